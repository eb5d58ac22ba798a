import { useState } from "react";
import { Field } from "../../forms/Field.tsx";
import { useForm } from "../../forms/useForm.ts";
import { useText } from "../../i18n/text.ts";
import { useEngine } from "../../session/hooks.ts";
import { againRules, passwordRules } from "../../session/rules.ts";
import { leaveBy, useSession } from "../../session/session.ts";
import { unsentWords } from "../../shell/leaving.ts";
import { toast } from "../../shell/ui.ts";

export function Security() {
  return (
    <>
      <PasswordForm />
      <Deletion />
    </>
  );
}

function PasswordForm() {
  const t = useText();
  const { api, me } = useEngine();
  const rules = useSession((state) => state.rules);
  const empty = { current_password: "", new_password: "", again: "" };
  const [values, setValues] = useState(empty);
  const kept = passwordRules(values.new_password, rules);
  const againKept = againRules(values.new_password, values.again);
  const broken = (list: typeof kept): string | undefined => {
    const first = list.find(({ met }) => !met);
    return first && t(first.key, first.values);
  };
  const { faults, isBusy, onSubmit } = useForm(
    ["current_password", "new_password", "again"],
    () => ({
      current_password: values.current_password ? undefined : t("form.missing"),
      new_password: broken(kept),
      again: broken(againKept),
    }),
    async () => {
      const { current_password, new_password } = values;
      await api.POST("/api/me/password", { body: { current_password, new_password } });
      setValues(empty);
      toast(t("password.changed"));
    },
  );
  const field = (name: keyof typeof empty) => ({
    name,
    type: "password" as const,
    value: values[name],
    onValue: (value: string) => setValues({ ...values, [name]: value }),
    fault: faults.get(name),
  });
  return (
    <form className="form" onSubmit={onSubmit} noValidate>
      <h3>{t("password.title")}</h3>
      <p className="quiet">{t("password.hint")}</p>
      <p className="form__fault" role="alert">
        {faults.get("")}
      </p>
      <input
        className="visually-hidden"
        type="text"
        autoComplete="username"
        value={me.username}
        readOnly
        tabIndex={-1}
        aria-hidden
      />
      <Field
        label={t("field.currentPassword")}
        autoComplete="current-password"
        {...field("current_password")}
      />
      <Field
        label={t("field.newPassword")}
        autoComplete="new-password"
        rules={kept}
        {...field("new_password")}
      />
      <Field label={t("field.again")} autoComplete="new-password" rules={againKept} {...field("again")} />
      <div className="form__row">
        <button type="submit" className="button button--main" aria-disabled={isBusy}>
          {t("password.submit")}
        </button>
      </div>
    </form>
  );
}

function Deletion() {
  const t = useText();
  const engine = useEngine();
  const [isOpen, open] = useState(false);
  const [password, setPassword] = useState("");
  const { faults, isBusy, onSubmit } = useForm(
    ["current_password"],
    () => ({ current_password: password ? undefined : t("form.missing") }),
    () => leaveBy("deleted", ({ api }) => api.DELETE("/api/me", { body: { current_password: password } })),
  );
  return (
    <section className="part">
      <h3>{t("deleteAccount.title")}</h3>
      <p className="quiet">{t("deleteAccount.text")}</p>
      {!isOpen ? (
        <div className="form__row">
          <button type="button" className="button button--danger" onClick={() => open(true)}>
            {t("deleteAccount.open")}
          </button>
        </div>
      ) : (
        <form className="form" onSubmit={onSubmit} noValidate>
          <p className="form__fault" role="alert">
            {[faults.get(""), unsentWords(engine, t)].filter(Boolean).join(" ")}
          </p>
          <Field
            label={t("field.currentPassword")}
            name="current_password"
            type="password"
            autoComplete="current-password"
            autoFocus
            value={password}
            onValue={setPassword}
            fault={faults.get("current_password")}
          />
          <div className="form__row">
            <button type="button" className="button" onClick={() => open(false)}>
              {t("confirm.no")}
            </button>
            <button type="submit" className="button button--main button--danger" aria-disabled={isBusy}>
              {t("deleteAccount.submit")}
            </button>
          </div>
        </form>
      )}
    </section>
  );
}
