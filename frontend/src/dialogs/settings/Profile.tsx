import { useEffect, useState } from "react";
import { Field } from "../../forms/Field.tsx";
import { useForm } from "../../forms/useForm.ts";
import { useText } from "../../i18n/text.ts";
import { useEngine } from "../../session/hooks.ts";
import { bodyOf } from "../../session/http.ts";
import { emailRules, fullNameRules } from "../../session/rules.ts";
import { useSession } from "../../session/session.ts";
import { logOutAsking } from "../../shell/leaving.ts";
import { toast } from "../../shell/ui.ts";

export function Profile() {
  const t = useText();
  const engine = useEngine();
  const rules = useSession((state) => state.rules);
  const [fullName, setFullName] = useState(engine.me.full_name ?? "");
  const [email, setEmail] = useState("email" in engine.me ? (engine.me.email ?? "") : "");
  const nameKept = fullNameRules(fullName, rules);
  const emailKept = emailRules(email);
  const broken = (list: typeof nameKept): string | undefined => {
    const first = list.find(({ met }) => !met);
    return first && t(first.key, first.values);
  };
  useEffect(() => {
    let isOver = false;
    bodyOf(engine.api.GET("/api/me")).then(
      (user) => {
        if (isOver) return;
        setFullName(user.full_name ?? "");
        setEmail(user.email ?? "");
      },
      () => {}, // what is held is shown
    );
    return () => {
      isOver = true;
    };
  }, [engine]);
  const { faults, isBusy, onSubmit } = useForm(
    ["full_name", "email"],
    () => ({ full_name: broken(nameKept), email: broken(emailKept) }),
    async () => {
      engine.setMe(
        await bodyOf(
          engine.api.PATCH("/api/me", { body: { full_name: fullName.trim(), email: email.trim() } }),
        ),
      );
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
          value={engine.me.username}
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
          onValue={setFullName}
          fault={faults.get("full_name")}
        />
        <Field
          label={t("field.email")}
          name="email"
          type="email"
          autoComplete="email"
          value={email}
          onValue={setEmail}
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
