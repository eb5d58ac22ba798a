// One's own account: name and address, the password, the log-ins, and its end.

import { api, app, attempt, on } from "./core.js";
import { $, announce, confirmed, make, missing, newPasswordFaults, onSubmit, showErrors } from "./dom.js";
import { iAm, leaveBy, unsentWords } from "./session.js";
import { deviceName } from "./text.js";

const timeFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function done(id, text) {
  $(id).textContent = text;
  $(id).hidden = text === "";
}

$("account").addEventListener("click", () => {
  const { user } = app.session;
  $("password-username").defaultValue = user.username; // for what keeps passwords
  for (const form of [$("profile-form"), $("password-form")]) {
    form.reset();
    showErrors(form, []);
  }
  for (const id of ["profile-done", "password-done"]) done(id, "");
  $("password-part").open = false;
  $("account-username").textContent = `@${user.username}`;
  $("profile-full_name").value = user.full_name ?? "";
  $("profile-email").value = user.email ?? "";
  $("login-list").replaceChildren();
  $("account-dialog").showModal();
  $("account-dialog").scrollTop = 0;
  listLogIns();
});

// ---- name, address and password

onSubmit($("profile-form"), (values) => {
  done("profile-done", "");
  return missing(values, "email");
}, async ({ full_name, email }) => {
  const { session } = app;
  const change = {};
  if (full_name.trim() !== (session.user.full_name ?? "")) change.full_name = full_name.trim();
  if (email.trim() !== session.user.email) change.email = email.trim();
  if (Object.keys(change).length > 0) {
    const user = await api("PATCH", "/api/me", change);
    if (session !== app.session) return;
    iAm(user);
    session.keeper.newerThan(session.keeper.token).catch(() => {}); // the socket learns the name by it, now or later
  }
  done("profile-done", "Saved.");
});

onSubmit($("password-form"), (values) => {
  done("password-done", "");
  return [...missing(values, "current_password"), ...newPasswordFaults(values, "new_password")];
}, async ({ current_password, new_password }) => {
  await api("POST", "/api/me/password", { current_password, new_password });
  if (!app.session) return;
  $("password-form").reset();
  $("password-part").open = false;
  done("password-done", "Your password is changed. Your other log-ins have ended.");
  listLogIns();
});

// ---- log-ins

let listing = 0; // a later list voids an earlier one's answer
async function listLogIns() {
  const number = ++listing;
  let note = "";
  let items = [];
  try {
    ({ items } = await api("GET", "/api/me/sessions"));
  } catch (error) {
    note = error.message;
  }
  if (number !== listing || !app.session) return;
  done("login-note", note);
  $("login-list").replaceChildren(...items.sort((a, b) => b.current - a.current).map(logIn));
}

function logIn({ id, user_agent, created_at, last_used_at, current }) {
  const name = deviceName(user_agent);
  const [what, at] = current ? ["This one, since", created_at] : ["Last used", last_used_at];
  const note = make("p", { className: "note", textContent: `${what} ${timeFormat.format(new Date(at))}` });
  const item = make("li", { attrs: { "data-testid": "login" } }, make("div", {}, make("b", { textContent: name, title: user_agent }), note));
  if (current) return item;
  const onclick = async ({ currentTarget }) => {
    currentTarget.disabled = true;
    const isOver = await attempt(async () => {
      await api("DELETE", `/api/me/sessions/${id}`).catch((problem) => {
        if (problem.status !== 404) throw problem; // it has ended already
      });
      return true;
    });
    if (!app.session) return;
    if (isOver) announce("The log-in has ended.");
    await listLogIns();
    $("account-dialog").focus();
  };
  const attrs = { "aria-label": `End ${name}, last used ${timeFormat.format(new Date(last_used_at))}`, "data-testid": "end-login" };
  item.append(make("button", { type: "button", className: "secondary", textContent: "End", onclick, attrs }));
  return item;
}

$("log-out-everywhere").addEventListener("click", async () => {
  const words = () => ["All your log-ins end at once, this one too.", unsentWords()].join(" ").trim();
  if (!(await confirmed("Log out everywhere?", words, "Log out everywhere")) || !app.session) return;
  await attempt(() => leaveBy("everywhere", () => api("POST", "/api/logout/all")));
});

// ---- the end

$("delete-account").addEventListener("click", () => {
  $("delete-username").defaultValue = app.session.user.username;
  $("delete-form").reset();
  showErrors($("delete-form"), []);
  $("delete-unsent").textContent = unsentWords();
  $("delete-dialog").showModal();
});
on("render", () => {
  if ($("delete-dialog").open) $("delete-unsent").textContent = unsentWords();
});

onSubmit($("delete-form"), (values) => missing(values, "current_password"), ({ current_password }) =>
  leaveBy("deleted", () => api("DELETE", "/api/me", { current_password })));
