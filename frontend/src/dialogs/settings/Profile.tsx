import { useEffect, useRef, useState } from "react";
import { Field } from "../../forms/Field.tsx";
import { useForm } from "../../forms/useForm.ts";
import { useText } from "../../i18n/text.ts";
import { useClient, useEngine } from "../../session/hooks.ts";
import { bodyOf } from "../../session/http.ts";
import { emailRules, fullNameRules } from "../../session/rules.ts";
import { useSession } from "../../session/session.ts";
import { logOutAsking } from "../../shell/leaving.ts";
import { toast } from "../../shell/ui.ts";

export function Profile() {
  const t = useText();
  const engine = useEngine();
  const rules = useSession((state) => state.rules);
  const me = useClient((_, { me }) => me);
  /** What was typed; null: what the server has. */
  const [typedName, setTypedName] = useState<string | null>(null);
  const [typedEmail, setTypedEmail] = useState<string | null>(null);
  const fullName = typedName ?? me.full_name ?? "";
  const email = typedEmail ?? ("email" in me ? (me.email ?? "") : "");
  const nameKept = fullNameRules(fullName, rules);
  const emailKept = emailRules(email);
  const broken = (list: typeof nameKept): string | undefined => {
    const first = list.find(({ met }) => !met);
    return first && t(first.key, first.values);
  };
  const hasSaved = useRef(false);
  useEffect(() => {
    bodyOf(engine.api.GET("/api/me")).then(
      (user) => !hasSaved.current && engine.setMe(user), // the answer may be older than what was saved
      () => {}, // what is held is shown
    );
  }, [engine]);
  const { faults, isBusy, onSubmit } = useForm(
    ["full_name", "email"],
    () => ({
      full_name: broken(nameKept),
      email: typedEmail === null ? undefined : broken(emailKept),
    }),
    async () => {
      hasSaved.current = true;
      const body = {
        ...(typedName !== null && { full_name: typedName.trim() }),
        ...(typedEmail !== null && { email: typedEmail.trim() }),
      };
      engine.setMe(await bodyOf(engine.api.PATCH("/api/me", { body })));
      toast(t("settings.saved"));
    },
  );
  return (
    <>
      <form className="form" onSubmit={onSubmit} noValidate>
        <p className="form__fault" role="alert">
          {faults.get("")}
        </p>
        <Field
          label={t("field.username")}
          value={me.username}
          onValue={() => {}}
          readOnly
          hint={t("settings.username.hint")}
        />
        <Field
          label={t("field.fullName")}
          name="full_name"
          optional
          autoComplete="name"
          autoCapitalize="words"
          value={fullName}
          onValue={setTypedName}
          fault={faults.get("full_name")}
        />
        <Field
          label={t("field.email")}
          name="email"
          type="email"
          autoComplete="email"
          value={email}
          onValue={setTypedEmail}
          fault={faults.get("email")}
        />
        <div className="form__row">
          <button type="submit" className="button button--main" aria-disabled={isBusy}>
            {t("edit.save")}
          </button>
        </div>
      </form>
      <div className="part form__row">
        <button type="button" className="button" onClick={() => void logOutAsking(engine, t)}>
          {t("settings.logOut")}
        </button>
      </div>
    </>
  );
}
