// Getting in and out: the forms, the session that is kept, and the connection that it opens.

import { Connection, invitesReconnect } from "./connection.js";
import { act, api, app, carryOut, draftKey, endSession, on, outboxPrefix, render } from "./core.js";
import { $, confirmed, dressAvatar, missing, nameOf, onSubmit, storage } from "./dom.js";
import { SyncClient } from "./sync.js";

const BANNER_AFTER_MS = 2_000;
const SESSION_KEY = "hearth.session";

let entered = () => {}; // what follows when a session begins

// ---- forms

onSubmit($("login-form"), (values) => missing(values, "username", "password"), async ({ username, password }) => {
  startSession(await api("POST", "/api/login", { username: username.trim(), password }));
});

onSubmit($("register-form"), (values) => {
  const faults = missing(values, "username", "email", "password");
  if (values.password && values.password !== values.again) {
    faults.push({ field: "again", message: "The two passwords differ" });
  }
  return faults;
}, async ({ username, email, password, full_name }) => {
  const body = { username: username.trim(), email: email.trim(), password };
  if (full_name.trim()) body.full_name = full_name.trim();
  startSession(await api("POST", "/api/register", body));
});

function showAuth(which) {
  document.body.dataset.view = "auth";
  const isNew = which === "register";
  document.title = isNew ? "Create an account · Hearth" : "Log in · Hearth";
  $("auth-title").textContent = isNew ? "Come in" : "Good to see you";
  $("auth-lead").textContent = `${isNew ? "A new account on" : "Log in to"} ${location.host}`;
  $("login-form").hidden = isNew;
  $("register-form").hidden = !isNew;
  $(`${which}-username`).focus();
}

for (const box of document.querySelectorAll("[data-shows]")) {
  box.addEventListener("change", () => {
    for (const id of box.dataset.shows.split(" ")) $(id).type = box.checked ? "text" : "password";
  });
}
$("show-register").addEventListener("click", () => showAuth("register"));
$("show-login").addEventListener("click", () => showAuth("login"));

// ---- the session

function startSession({ access_token, expires_in, user }) {
  storage.set(SESSION_KEY, { token: access_token, user, expiresAt: Date.now() + expires_in * 1000 });
  for (const form of [$("login-form"), $("register-form")]) form.reset();
  for (const box of document.querySelectorAll("[data-shows]")) box.dispatchEvent(new Event("change"));
  $("auth-notice").hidden = true;
  enter(storage.get(SESSION_KEY) ?? { token: access_token, user, expiresAt: Infinity });
}

function enter(held) {
  app.session = held;
  const outbox = storage.keys(outboxPrefix()).map(storage.get).filter(Boolean);
  outbox.sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1));
  app.client = new SyncClient({ userId: held.user.id, outbox });
  document.body.dataset.view = "chat";
  $("my-name").textContent = $("my-name").title = nameOf(held.user);
  dressAvatar($("my-avatar"), held.user);
  const address = new URL("/ws", location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  app.connection = new Connection({
    url: address.href,
    token: held.token,
    on: {
      state: connectionChanged,
      closed: connectionClosed,
      frame: (frame) => carryOut(app.client.receive(frame, Date.now())),
    },
  });
  app.connection.start();
  entered();
}

const END_REASONS = {
  expired: "Your session has run out. Log in again: your room and what you wrote are kept.",
  revoked: "This session was ended elsewhere. Log in again to go on.",
  unknown: "The server doesn't know this session any more. Log in again to go on.",
  disabled: "This account has been switched off. Ask the administrator.",
  elsewhere: "You logged out in another tab.",
  logout: "You are logged out.",
};

on("ended", (reason) => {
  storage.remove(SESSION_KEY);
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  app.session = null;
  app.connection?.stop();
  app.connection = app.client = null;
  $("auth-notice").textContent = END_REASONS[reason];
  $("auth-notice").hidden = false;
  showAuth("login");
});

$("log-out").addEventListener("click", async () => {
  const unsent = app.client.outbox.items.filter((item) => item.state !== "stored").length;
  if (unsent > 0) {
    const text = `${unsent === 1 ? "One message has" : `${unsent} messages have`} not been sent, and will be lost.`;
    if (!(await confirmed("Log out?", text, "Log out"))) return;
  }
  for (const key of [...storage.keys(outboxPrefix()), ...storage.keys(draftKey(""))]) storage.remove(key);
  endSession("logout");
});

addEventListener("storage", ({ key, newValue }) => {
  if (!app.session || key === null) return;
  if (key === SESSION_KEY) {
    if (newValue === null) endSession("elsewhere");
    else if (storage.get(SESSION_KEY)?.token !== app.session.token) location.reload();
  } else if (newValue === null && key.startsWith(outboxPrefix())) {
    act((client, now) => client.discard(key.slice(outboxPrefix().length), now)); // another tab sent or discarded it
  }
});

// ---- the connection

function connectionChanged(state) {
  app.connectionState = state;
  if (state === "connecting") app.stoppedBecause = null;
  if (state === "live") $("banner").hidden = true;
  else setTimeout(renderBanner, BANNER_AFTER_MS); // not at each blip
  render();
}

function connectionClosed(code) {
  act((client) => client.disconnected());
  const reason = { 4004: "expired", 4500: "unknown", 4501: "revoked", 4502: "disabled" }[code];
  if (reason) {
    setTimeout(() => app.session && endSession(reason)); // after the connection has finished its own step
    return false;
  }
  if (!invitesReconnect(code)) app.stoppedBecause = code;
  return true;
}

function renderBanner() {
  if (!app.session || app.connectionState === "live") return;
  $("banner").hidden = false;
  $("reconnect").hidden = app.connectionState === "connecting";
  const stopped = app.stoppedBecause === 4503
    ? "Too many connections are open for you. Close another tab, then try again."
    : "The server ended the connection. Reload the page, or try again.";
  const waiting = "No connection. What you write is kept, and sent when it is back.";
  const text = app.connectionState === "stopped" ? stopped : waiting;
  if ($("banner-text").textContent !== text) $("banner-text").textContent = text;
}

$("reconnect").addEventListener("click", () => app.connection.start());
addEventListener("online", () => app.connection?.check());

/** Begins with the session that was kept, or at the form; `whenEntered` follows each beginning of a session. */
export function begin(whenEntered) {
  entered = whenEntered;
  const kept = storage.get(SESSION_KEY);
  if (kept && kept.expiresAt > Date.now()) enter(kept);
  else if (kept) endSession("expired");
  else showAuth("login");
  api("GET", "/api/info").then(({ registration }) => {
    $("show-register").hidden = registration !== undefined && registration !== "open";
  }, () => {});
}
