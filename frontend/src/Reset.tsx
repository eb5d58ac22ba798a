import { useState } from "react";
import { Doorway } from "./forms/Doorway.tsx";
import { Field } from "./forms/Field.tsx";
import { useForm } from "./forms/useForm.ts";
import { useText } from "./i18n/text.ts";
import { againRules, passwordRules } from "./session/rules.ts";
import { resetPassword, session, useSession } from "./session/session.ts";

/** The form behind a link for a new password. It stands in front of whatever is open here. */
export function Reset({ code }: { code: string }) {
  const t = useText();
  const rules = useSession((state) => state.rules);
  const me = useSession((state) => state.engine?.me ?? null);
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const passwordKept = passwordRules(password, rules);
  const againKept = againRules(password, again);
  const broken = (list: typeof passwordKept): string | undefined => {
    const first = list.find(({ met }) => !met);
    return first && t(first.key, first.values);
  };
  const { faults, isBusy, onSubmit } = useForm(
    ["new_password", "again"],
    () => ({ new_password: broken(passwordKept), again: broken(againKept) }),
    () => resetPassword(code, password),
  );
  return (
    <Doorway
      title={t("reset.title")}
      lead={t("reset.lead", { host: location.host })}
      notice={[me !== null && t("reset.loggedIn", { name: me.full_name ?? me.username })]}
    >
      <form className="form" onSubmit={onSubmit} noValidate>
        <p className="form__fault" role="alert">
          {faults.get("") ?? faults.get("code")}
        </p>
        <Field
          label={t("field.newPassword")}
          name="new_password"
          type="password"
          autoComplete="new-password"
          autoFocus
          value={password}
          onValue={setPassword}
          rules={passwordKept}
          fault={faults.get("new_password")}
        />
        <Field
          label={t("field.again")}
          name="again"
          type="password"
          autoComplete="new-password"
          value={again}
          onValue={setAgain}
          rules={againKept}
          fault={faults.get("again")}
        />
        <button type="submit" className="button button--main button--wide" aria-disabled={isBusy}>
          {t("reset.submit")}
        </button>
        <button
          type="button"
          className="button button--wide"
          onClick={() => session.setState({ reset: null })}
        >
          {t("reset.later")}
        </button>
      </form>
    </Doorway>
  );
}
