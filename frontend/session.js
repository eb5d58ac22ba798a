// Getting in and out: the forms, the session that is kept, and the connection that it opens.

import { Connection, invitesReconnect, reconnectDelay } from "./connection.js";
import { act, api, app, carryOut, draftKey, endSession, on, outboxPrefix, render } from "./core.js";
import { $, confirmed, dressAvatar, missing, nameOf, onSubmit, storage } from "./dom.js";
import { SyncClient } from "./sync.js";

const BANNER_AFTER_MS = 2_000;
const SESSION_KEY = "hearth.session"; // {user}: that there is a log-in; its tokens are the cookie's and the memory's
const FRESH_PART = 0.75; // of a token's life, after which a newer one is got
const TIMER_MS_MAX = 2 ** 31 - 1;

let entered = () => {}; // what follows when a session begins

// ---- forms

onSubmit($("login-form"), (values) => missing(values, "username", "password"), async ({ username, password }) => {
  startSession(await api("POST", "/api/login", { username: username.trim(), password, cookie: true }));
});

onSubmit($("register-form"), (values) => {
  const faults = missing(values, "username", "email", "password");
  if (values.password && values.password !== values.again) {
    faults.push({ field: "again", message: "The two passwords differ" });
  }
  return faults;
}, async ({ username, email, password, full_name }) => {
  const body = { username: username.trim(), email: email.trim(), password, cookie: true };
  if (linked.invite) body.invite = linked.invite;
  if (full_name.trim()) body.full_name = full_name.trim();
  startSession(await api("POST", "/api/register", body));
});

onSubmit($("reset-form"), (values) => {
  const faults = missing(values, "new_password");
  if (values.new_password && values.new_password !== values.again) {
    faults.push({ field: "again", message: "The two passwords differ" });
  }
  return faults;
}, async ({ new_password }) => {
  await api("POST", "/api/password/reset", { code: linked.reset, new_password });
  $("reset-form").reset();
  notice("Your new password is set. Log in with it.");
  showAuth("login");
});

const WORDS = {
  login: ["Log in", "Good to see you", "Log in to"],
  register: ["Create an account", "Come in", "A new account on"],
  reset: ["New password", "A new password", "For your account on"],
};

function showAuth(which) {
  document.body.dataset.view = "auth";
  const [title, heading, lead] = WORDS[which];
  document.title = `${title} · Hearth`;
  $("auth-title").textContent = heading;
  $("auth-lead").textContent = `${lead} ${location.host}`;
  for (const form of Object.keys(WORDS)) $(`${form}-form`).hidden = form !== which;
  $(`${which}-form`).querySelector("input").focus();
}

function notice(text) {
  $("auth-notice").textContent = text;
  $("auth-notice").hidden = false;
}

/** What a link brings after its `#`, which no server sees: an invite, or the right to a new password. */
const linked = {};
function takeLink() {
  const [, what, code] = location.hash.match(/^#(invite|reset)=([\w-]+)$/) ?? [];
  if (what) {
    linked[what] = code;
    history.replaceState(null, "", location.pathname);
  }
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
  storage.set(SESSION_KEY, { user });
  for (const form of [$("login-form"), $("register-form")]) form.reset();
  for (const box of document.querySelectorAll("[data-shows]")) box.dispatchEvent(new Event("change"));
  $("auth-notice").hidden = true;
  delete linked.invite;
  enter({ token: access_token, user });
  keepFresh(expires_in);
}

let renewal = null;
function keepFresh(expires_in) {
  clearTimeout(renewal);
  const wait_ms = Math.min(expires_in * 1000 * FRESH_PART, TIMER_MS_MAX);
  renewal = setTimeout(() => app.refresh().catch(() => app.session && keepFresh(10)), wait_ms);
}

let refreshing = null;
app.refresh = () => (refreshing ??= exchange().finally(() => (refreshing = null)));

/** Gets a newer token by the cookie, for requests and for the socket that is open. */
async function exchange() {
  const of = app.session;
  const { access_token, expires_in, user } = await api("POST", "/api/refresh", {}).catch((problem) => {
    // Without a cookie any more, or disabled: nothing brings a token again.
    if (of && of === app.session && [400, 403].includes(problem.status)) endSession(problem.status === 403 ? "disabled" : "expired");
    throw problem;
  });
  if (!of || of !== app.session) return;
  if (user.id !== of.user.id) return location.reload(); // somebody else logged in, in another tab
  of.token = app.connection.token = access_token;
  app.connection.send({ type: "auth", token: access_token });
  keepFresh(expires_in);
}

/** Goes on with the log-in that the cookie holds. */
async function resume(attempt = 0) {
  try {
    startSession(await api("POST", "/api/refresh", {}));
  } catch (problem) {
    if (problem.status === 401) return endSession("expired");
    if (problem.status === 403) {
      endSession("disabled");
      return notice(problem.message); // or this address isn't the server's own
    }
    if (problem.status === 400) return endSession("expired"); // no cookie any more
    setTimeout(() => resume(attempt + 1), reconnectDelay(attempt));
  }
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
  clearTimeout(renewal);
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  app.session = null;
  app.connection?.stop();
  app.connection = app.client = null;
  notice(END_REASONS[reason]);
  showAuth("login");
});

$("log-out").addEventListener("click", async () => {
  const unsent = app.client.outbox.items.filter((item) => item.state !== "stored").length;
  if (unsent > 0) {
    const text = `${unsent === 1 ? "One message has" : `${unsent} messages have`} not been sent, and will be lost.`;
    if (!(await confirmed("Log out?", text, "Log out"))) return;
  }
  for (const key of [...storage.keys(outboxPrefix()), ...storage.keys(draftKey(""))]) storage.remove(key);
  await api("POST", "/api/logout").catch(() => {}); // without a network it ends here, and there when it isn't refreshed
  if (app.session) endSession("logout");
});

addEventListener("storage", ({ key, newValue }) => {
  if (!app.session || key === null) return;
  if (key === SESSION_KEY) {
    if (newValue === null) endSession("elsewhere");
    else if (storage.get(SESSION_KEY)?.user.id !== app.session.user.id) location.reload();
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
  if (code === 4004) app.refresh().catch(() => {}); // and the connection comes back with it
  const reason = { 4500: "unknown", 4501: "revoked", 4502: "disabled" }[code];
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
  takeLink();
  if (linked.reset) showAuth("reset");
  else if (storage.get(SESSION_KEY)) resume();
  else showAuth(linked.invite ? "register" : "login");
  api("GET", "/api/info").then(({ registration }) => {
    $("show-register").hidden = registration === "closed" || (registration === "invite" && !linked.invite);
  }, () => {});
}
