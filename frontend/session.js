// Getting in and out: the forms, the session that is kept, and the connection that it opens.

import { Connection, invitesReconnect } from "./connection.js";
import { act, api, app, ask, carryOut, draftKey, endSession, on, outboxPrefix, render, wake } from "./core.js";
import {
  $, announce, confirmed, dressAvatar, fullNameOf, informed, missing, nameOf, newPasswordFaults, onSubmit, retell, showErrors, storage,
} from "./dom.js";
import { Farewell } from "./farewell.js";
import { Keeper } from "./keeper.js";
import { SyncClient } from "./sync.js";

const BANNER_AFTER_MS = 2_000;
// {user}: there is a log-in. {ended}: there was; with `untold`, the user's id, while the server has yet to hear of it and
// the cookie may live. Tokens are the cookie's and the memory's.
const SESSION_KEY = "hearth.session";
const REFRESH_MS_MAX = 7_000; // a lost answer is given again for 10 s
const LOGOUT_MS_MAX = 5_000;
const INFO_MS_MAX = 5_000; // who comes with an invite waits for it

let entered = () => {}; // what follows when a session begins

// ---- forms

onSubmit($("login-form"), (values) => missing(values, "username", "password"), async ({ username, password }) => {
  await logIn("/api/login", { username: username.trim(), password, cookie: true });
});

onSubmit($("register-form"), (values) => {
  const { length } = [...values.username.trim()];
  const isOdd = length > 0 && (length < 3 || length > 32);
  const name = isOdd ? [{ field: "username", message: "3 to 32 characters" }] : missing(values, "username");
  return [...name, ...missing(values, "email"), ...newPasswordFaults(values, "password")];
}, async ({ username, email, password, full_name }) => {
  const body = { username: username.trim(), email: email.trim(), password, cookie: true };
  if (linked.invite) body.invite = linked.invite;
  if (full_name.trim()) body.full_name = full_name.trim();
  await logIn("/api/register", body);
});

onSubmit($("reset-form"), (values) => newPasswordFaults(values, "new_password"), async ({ new_password }) => {
  await ask("POST", "/api/password/reset", { body: { code: linked.reset, new_password } });
  await leaveReset();
});
$("reset-later").addEventListener("click", () => leaveReset(false));

/** Back to where one was; a log-in whose password has been replaced is over. */
async function leaveReset(isDone = true) {
  const { session } = app;
  if (session && isDone) {
    session.leaving = "reset";
    await api("GET", "/api/me").catch(() => {}); // ends it, when it is over
    delete session.leaving;
  }
  delete linked.reset;
  $("reset-form").reset();
  showErrors($("reset-form"), []);
  if (!app.session) {
    if (isDone) notice(END_REASONS.reset);
    return showAuth(isDone ? "login" : formAtDoor());
  }
  showChat();
  render();
  if (isDone) informed("The new password is set", `You are still logged in here, as ${nameOf(app.session.user)}.`);
}

const WORDS = {
  login: ["Log in", "Good to see you", "Log in to"],
  register: ["Create an account", "Come in", "A new account on"],
  reset: ["New password", "A new password", "For your account on"],
};

function closeDialogs() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
}

function showAuth(which) {
  closeDialogs();
  if (which === "reset") {
    $("auth-notice").hidden = true;
    if (app.session) notice(`You are logged in here as ${fullNameOf(app.session.user)}. This link may be for another account.`);
  }
  document.body.dataset.view = "auth";
  const [title, heading, lead] = WORDS[which];
  document.title = `${title} · Hearth`;
  $("auth-title").textContent = heading;
  $("auth-lead").textContent = `${lead} ${location.host}`;
  for (const form of Object.keys(WORDS)) $(`${form}-form`).hidden = form !== which;
  $(`${which}-form`).querySelector("input").focus();
}

/** A link for a new password stays in front, whatever becomes of the log-in behind it. */
function showChat() {
  if (!linked.reset) document.body.dataset.view = "chat";
}

/** The form for who isn't logged in. */
const formAtDoor = (otherwise = linked.invite ? "register" : "login") => (linked.reset ? "reset" : otherwise);

function notice(text) {
  $("auth-notice").textContent = text;
  $("auth-notice").hidden = false;
}

/** What a link brings after its `#`, which no server sees: an invite, or the right to a new password. */
const linked = {};
function takeLink(before = "") {
  const [, what, code] = location.hash.match(/^#(invite|reset)=([\w-]+)$/) ?? [];
  if (!what) return false;
  linked[what] = code;
  history.replaceState(null, "", location.pathname + before);
  return true;
}

const CLOSED = "Nobody can register here: the operator of this server has closed it. Invites can't be used, either.";

/** Shows what the link that was taken is for. */
function followLink() {
  const isTurnedAway = linked.invite && registration === "closed";
  if (isTurnedAway) delete linked.invite;
  offerRegistration();
  if (!app.session || linked.reset) showAuth(formAtDoor());
  else if (linked.invite) offerInvite();
  if (isTurnedAway) app.session ? informed("An invite to register", CLOSED) : notice(CLOSED);
}

addEventListener("hashchange", ({ oldURL }) => {
  if (takeLink(new URL(oldURL).hash)) followLink();
});

let offers = 0; // a later link voids the answer to an earlier one
async function offerInvite() {
  const number = ++offers;
  closeDialogs();
  const text = `You are logged in as ${nameOf(app.session.user)}. Log out to register with this invite, or open its link again later.`;
  const yes = await confirmed("An invite to register", text, "Log out");
  if (number !== offers || !app.session) return; // when it ended meanwhile, the form is there
  if (yes) await leaveHere();
  if (app.session) delete linked.invite;
}

let registration = "open"; // as the server last told
function offerRegistration() {
  $("show-register").hidden = registration === "closed" || (registration === "invite" && !linked.invite);
}

for (const box of document.querySelectorAll("[data-shows]")) {
  const show = (isShown) => {
    for (const id of box.dataset.shows.split(" ")) $(id).type = isShown ? "text" : "password";
  };
  box.addEventListener("change", () => show(box.checked));
  box.form.addEventListener("reset", () => show(false));
}
$("show-register").addEventListener("click", () => showAuth("register"));
$("show-login").addEventListener("click", () => showAuth("login"));

// ---- the session

/** A new log-in takes the cookie's place: the one that was left is told of before, if it can be. */
async function logIn(path, body) {
  await farewell.rest();
  const tokens = await ask("POST", path, { body }).catch((problem) => {
    farewell.wake();
    throw problem;
  });
  farewell.stop();
  for (const form of [$("login-form"), $("register-form")]) form.reset();
  $("auth-notice").hidden = true;
  delete linked.invite;
  enter(tokens.user, tokens);
}

/** One tab after the other, so that none shows a token that another has just exchanged. */
function inTurn(once) {
  const signal = AbortSignal.timeout(REFRESH_MS_MAX);
  return navigator.locks ? navigator.locks.request("hearth.refresh", { signal }, once) : once(); // https only
}
const refresh = () => ask("POST", "/api/refresh", { body: {}, deadline_ms: REFRESH_MS_MAX });
const exchange = () => inTurn(refresh);

/** The page of this user; when no tokens are given, with those that the cookie gets, as soon as the server answers. */
function enter(user, tokens = null) {
  const keeper = new Keeper({
    exchange,
    on: {
      fresh: renewed,
      waiting: () => { if (keeper.token === null) connectionChanged("waiting"); }, // else the socket may be well
      ended: (reason, { message }) => endSession(reason, message),
    },
  });
  app.session = { user, keeper };
  const outbox = storage.keys(outboxPrefix()).map(storage.get).filter(Boolean);
  outbox.sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1));
  app.client = new SyncClient({ userId: user.id, outbox });
  const address = new URL("/ws", location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  app.connection = new Connection({
    url: address.href,
    token: null,
    on: {
      state: connectionChanged,
      closed: connectionClosed,
      frame: (frame) => carryOut(app.client.receive(frame, Date.now())),
    },
  });
  announce("");
  iAm(user);
  entered();
  if (tokens === null) {
    connectionChanged("connecting");
    return keeper.wake();
  }
  keeper.hold(tokens);
  renewed(tokens);
}

function renewed({ access_token, user }) {
  if (user.id !== app.session.user.id) return location.reload(); // somebody else logged in, in another tab
  iAm(user);
  showChat();
  app.connection.renew(access_token);
}

/** What is known of me, shown and kept. */
export function iAm(user) {
  const { id, username, full_name } = user;
  app.session.user = user;
  storage.set(SESSION_KEY, { user: { id, username, full_name } });
  $("my-name").textContent = $("my-name").title = nameOf(user);
  dressAvatar($("my-avatar"), user);
  render();
}

const END_REASONS = {
  over: "Your session has run out, or was ended elsewhere. Log in again: your room and what you wrote are kept.",
  revoked: "This session was ended elsewhere. Log in again to go on.",
  unknown: "The server doesn't know this session any more. Log in again to go on.",
  disabled: "This account has been switched off, or deleted. If that was not you, ask the administrator.",
  elsewhere: "You logged out in another tab.",
  logout: "You are logged out.",
  reset: "Your new password is set. Log in with it.",
  everywhere: "You are logged out everywhere.",
  deleted: "Your account is deleted.",
};

const INVITE_WAITS = "Your invite is kept as long as this page is open: it makes another account.";

on("ended", ({ reason, detail }) => {
  const untold = reason === "logout" ? { untold: app.session.user.id } : {};
  if (storage.get(SESSION_KEY)?.user) storage.set(SESSION_KEY, { ended: reason, ...untold });
  app.session.keeper.stop();
  app.session = null;
  app.connection.stop();
  app.connection = app.client = null;
  const words = END_REASONS[reason] ?? detail ?? END_REASONS.revoked;
  const isForInvite = reason === "logout" && linked.invite; // who didn't leave for it has an account to go on with
  notice(linked.invite && !isForInvite ? `${words} ${INVITE_WAITS}` : words);
  showAuth(formAtDoor(isForInvite ? "register" : "login"));
});

/** What is lost by whoever leaves now, in words. */
export function unsentWords() {
  const unsent = app.client?.outbox.items.filter((item) => item.state !== "stored").length ?? 0;
  if (unsent === 0) return "";
  return `${unsent === 1 ? "One message has" : `${unsent} messages have`} not been sent, and will be lost.`;
}
on("render", retell);

/** Ends the session by what `act` does at the server; what was written and not sent goes with it. */
export async function leaveBy(reason, act) {
  const { session } = app;
  const prefixes = [outboxPrefix(), draftKey("")];
  session.leaving = reason;
  try {
    await act();
  } finally {
    delete session.leaving;
  }
  for (const key of prefixes.flatMap(storage.keys)) storage.remove(key);
  if (session === app.session) endSession(reason);
}

/** Ends the log-in that was left, by its token, else by what the cookie gets, as long as that is still of the same one. */
async function tellOfLogOut(token) {
  const mark = storage.get(SESSION_KEY);
  if (mark && !mark.untold) return; // another tab has done it, or somebody has logged in
  const end = (newest) => ask("POST", "/api/logout", { token: newest, deadline_ms: LOGOUT_MS_MAX });
  try {
    if (token) return await end(token);
  } catch (problem) {
    if (problem.status !== 401) throw problem;
  }
  const { access_token, user } = await refresh();
  if (!mark || user.id === mark.untold) await end(access_token);
}

const UNTOLD = "You are logged out here, but the server could not be told yet. This page goes on trying.";
const HERE_ONLY = "You are logged out here, but the server could not be told. There, this session ends by itself when it is not used.";
const farewell = new Farewell({
  tell: (token) => inTurn(() => tellOfLogOut(token)),
  on: {
    waiting: () => sayUntold(UNTOLD),
    gaveUp: () => sayUntold(HERE_ONLY),
    told: () => {
      if (storage.get(SESSION_KEY)?.untold) storage.set(SESSION_KEY, { ended: "logout" });
      if ([UNTOLD, HERE_ONLY].includes($("auth-notice").textContent)) notice(END_REASONS.logout);
    },
  },
});
const sayUntold = (text) => !app.session && !linked.reset && notice(text);

async function leaveHere() {
  const words = () => unsentWords() || "Everything has been sent.";
  if (unsentWords() && !(await confirmed("Log out?", words, "Log out"))) return;
  if (!app.session) return;
  const { token } = app.session.keeper;
  await leaveBy("logout", () => {}); // here at once, whatever the network does
  farewell.begin(token);
}
$("log-out").addEventListener("click", leaveHere);

addEventListener("storage", ({ key, newValue }) => {
  if (!app.session || key === null) return;
  if (key === SESSION_KEY) {
    const mark = storage.get(SESSION_KEY);
    if (!mark?.user) endSession((mark?.ended ?? "logout") === "logout" ? "elsewhere" : mark.ended);
    else if (mark.user.id !== app.session.user.id) location.reload();
  } else if (newValue === null && key.startsWith(outboxPrefix())) {
    act((client, now) => client.discard(key.slice(outboxPrefix().length), now)); // another tab sent or discarded it
  }
});

// ---- the connection

function connectionChanged(state) {
  app.connectionState = state;
  if (state === "connecting") app.stoppedBecause = null;
  if (state === "live") app.session.keeper.trust();
  if (state === "live") $("banner").hidden = true;
  else setTimeout(renderBanner, BANNER_AFTER_MS); // not at each blip
  render();
}

function connectionClosed(code) {
  act((client) => client.disconnected());
  const { session } = app;
  if (app.connection.shown === null && !session.wondered) { // no socket has opened yet: a refresh is told why, a socket isn't
    session.wondered = true;
    session.keeper.newerThan(session.keeper.token).catch(() => {});
  }
  if (code === 4004) session.keeper.newerThan(app.connection.shown).catch(() => {}); // the keeper goes on trying
  if (code === 4500 && session.keeper.doubt(app.connection.shown)) return true;
  const reason = { 4500: "unknown", 4501: "revoked", 4502: "disabled" }[code];
  if (reason) {
    setTimeout(() => app.session && endSession(reason)); // after the connection has finished its own step
    return false;
  }
  if (!invitesReconnect(code)) app.stoppedBecause = code;
  return undefined; // as the code says
}

function renderBanner() {
  if (!app.session || app.connectionState === "live") return;
  showChat(); // what there is without the server
  $("banner").hidden = false;
  $("reconnect").hidden = app.connectionState === "connecting";
  const stopped = app.stoppedBecause === 4503
    ? "Too many connections are open for you. Close another tab, then try again."
    : "The server ended the connection. Reload the page, or try again.";
  const waiting = "No connection. What you write is kept, and sent when it is back.";
  const text = app.connectionState === "stopped" ? stopped : waiting;
  if ($("banner-text").textContent !== text) $("banner-text").textContent = text;
}

$("reconnect").addEventListener("click", () => {
  app.session.keeper.wake();
  app.connection.start();
});
addEventListener("online", () => {
  wake();
  farewell.wake();
});

/** Begins with the session that was kept, or at the form; `whenEntered` follows each beginning of a session. */
export function begin(whenEntered) {
  entered = whenEntered;
  takeLink();
  const { user, untold } = storage.get(SESSION_KEY) ?? {};
  if (user) enter(user);
  if (untold) farewell.begin();
  const told = ask("GET", "/api/info", { deadline_ms: INFO_MS_MAX }).then((info) => {
    registration = info.registration;
    offerRegistration();
  }, () => {});
  if (!linked.invite) return followLink();
  told.then(() => { // the log-in form may be there already, for a session that has ended
    if (registration === "closed" || document.body.dataset.view !== "auth") followLink();
  });
}
