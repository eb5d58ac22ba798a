import { useState } from "react";
import { Link } from "wouter";
import { useHistoryState } from "wouter/use-browser-location";
import { Doorway } from "./forms/Doorway.tsx";
import { Field } from "./forms/Field.tsx";
import { useForm } from "./forms/useForm.ts";
import { useText } from "./i18n/text.ts";
import { Problem } from "./session/http.ts";
import {
  againRules,
  emailRules,
  fullNameRules,
  passwordRules,
  type Rule,
  usernameRules,
} from "./session/rules.ts";
import { register, session, useSession } from "./session/session.ts";

const FIELDS = ["full_name", "username", "email", "password", "again"] as const;

/** The form for a new account. Its rules show as one types; who registers is logged in. */
export function Register() {
  const t = useText();
  const rules = useSession((state) => state.rules);
  const registration = useSession((state) => state.registration);
  const invite = useSession((state) => state.invite);
  // The log-in form stands at the address that was opened first.
  const from = useHistoryState<{ from?: string } | null>()?.from ?? "/login";
  const [isRefused, setRefused] = useState(false);
  const [values, setValues] = useState({ full_name: "", username: "", email: "", password: "", again: "" });
  const kept: Record<(typeof FIELDS)[number], Rule[]> = {
    full_name: fullNameRules(values.full_name, rules),
    username: usernameRules(values.username, rules),
    email: emailRules(values.email),
    password: passwordRules(values.password, rules),
    again: againRules(values.password, values.again),
  };
  const { faults, isBusy, onSubmit, clear } = useForm(
    FIELDS,
    () => Object.fromEntries(FIELDS.map((field) => [field, faultOf(field)])),
    async () => {
      const { username, email, password, full_name } = values;
      try {
        await register({
          username: username.trim(),
          email: email.trim(),
          password,
          ...(full_name.trim() && { full_name: full_name.trim() }),
          ...(invite !== null && { invite }),
        });
      } catch (problem) {
        const isOfInvite =
          problem instanceof Problem && problem.errors.some(({ field }) => field === "invite");
        if (invite === null || !isOfInvite) throw problem;
        session.setState({ invite: null });
        setRefused(true);
        throw new Problem(problem.status, { detail: t("register.inviteRefused") });
      }
    },
  );

  function faultOf(field: (typeof FIELDS)[number]): string | undefined {
    if (field !== "full_name" && values[field].trim() === "") return t("form.missing");
    const broken = kept[field].find(({ met }) => !met);
    return broken && t(broken.key, broken.values);
  }

  const field = (name: (typeof FIELDS)[number]) => ({
    name,
    value: values[name],
    rules: kept[name],
    fault: faults.get(name),
    onValue: (value: string) => {
      setValues({ ...values, [name]: value });
      clear(name);
    },
  });

  const isClosed = registration === "closed" || (registration === "invite" && invite === null);
  if (isClosed) {
    return (
      <Doorway
        title={t("register.closed.title")}
        lead={t(registration === "closed" ? "register.closed.lead" : "register.inviteOnly.lead")}
        notice={[isRefused && t("register.inviteVoid")]}
      >
        <p className="doorway__other">
          <Link href={from}>{t("register.toLogin")}</Link>
        </p>
      </Doorway>
    );
  }
  return (
    <Doorway
      title={t("register.title")}
      lead={t("register.lead", { host: location.host })}
      notice={[invite !== null && t("register.invited")]}
    >
      <form className="form" onSubmit={onSubmit} noValidate>
        <p className="form__fault" role="alert">
          {faults.get("")}
        </p>
        <Field
          label={t("field.fullName")}
          autoComplete="name"
          autoCapitalize="words"
          optional
          autoFocus
          {...field("full_name")}
        />
        <Field
          label={t("field.username")}
          hint={t("field.username.hint")}
          autoComplete="username"
          {...field("username")}
        />
        <Field label={t("field.email")} type="email" autoComplete="email" {...field("email")} />
        <Field
          label={t("field.password")}
          type="password"
          autoComplete="new-password"
          {...field("password")}
        />
        <Field label={t("field.again")} type="password" autoComplete="new-password" {...field("again")} />
        <button type="submit" className="button button--main button--wide" aria-disabled={isBusy}>
          {t(isBusy ? "register.busy" : "register.submit")}
        </button>
      </form>
      <p className="doorway__other">
        {t("register.haveAccount")} <Link href={from}>{t("register.toLogin")}</Link>
      </p>
    </Doorway>
  );
}
