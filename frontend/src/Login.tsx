import { useState } from "react";
import { Link, useLocation } from "wouter";
import { Doorway } from "./forms/Doorway.tsx";
import { Field } from "./forms/Field.tsx";
import { useForm } from "./forms/useForm.ts";
import { useText } from "./i18n/text.ts";
import { logIn, useSession } from "./session/session.ts";

/** The form for people who have an account. It says why a session has ended. */
export function Login() {
  const t = useText();
  const ended = useSession((state) => state.ended);
  const endedDetail = useSession((state) => state.endedDetail);
  const farewell = useSession((state) => state.farewell);
  const registration = useSession((state) => state.registration);
  const invite = useSession((state) => state.invite);
  const [path] = useLocation();
  const [username, setUsername] = useState("");
  const [password, setPassword] = useState("");
  const { faults, isBusy, onSubmit } = useForm(
    ["username", "password"],
    () => ({
      username: username.trim() ? undefined : t("form.missing"),
      password: password ? undefined : t("form.missing"),
    }),
    () => logIn(username.trim(), password),
  );
  const mayRegister = registration === "open" || (registration === "invite" && invite !== null);
  return (
    <Doorway
      title={t("login.title")}
      lead={t("login.lead", { host: location.host })}
      notice={[
        ended !== null && (ended === "refused" ? endedDetail || t("ended.disabled") : t(`ended.${ended}`)),
        ended === "logout" && farewell === "waiting" && t("farewell.waiting"),
        ended === "logout" && farewell === "gaveUp" && t("farewell.gaveUp"),
        invite !== null && t("login.inviteWaits"),
      ]}
    >
      <form className="form" onSubmit={onSubmit} noValidate>
        <p className="form__fault" role="alert">
          {faults.get("")}
        </p>
        <Field
          label={t("field.username")}
          name="username"
          autoComplete="username"
          autoFocus
          value={username}
          onValue={setUsername}
          fault={faults.get("username")}
        />
        <Field
          label={t("field.password")}
          name="password"
          type="password"
          autoComplete="current-password"
          value={password}
          onValue={setPassword}
          fault={faults.get("password")}
        />
        <button type="submit" className="button button--main button--wide" aria-disabled={isBusy}>
          {t(isBusy ? "login.busy" : "login.submit")}
        </button>
      </form>
      {mayRegister && (
        <p className="doorway__other">
          {t("login.noAccount")}{" "}
          <Link href="/register" state={path === "/login" ? null : { from: path + location.search }}>
            {t("login.toRegister")}
          </Link>
        </p>
      )}
    </Doorway>
  );
}
