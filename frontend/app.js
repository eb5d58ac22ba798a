// The page: DOM and requests around the state machine in sync.js and the socket in connection.js.
//
// Everything that comes from the state machine passes through `carryOut`, and every change ends in one `render`.

import { Connection, invitesReconnect } from "./connection.js";
import {
  $, announce, avatar, confirmed, debounced, dressAvatar, icon, linkButton, make, missing, nameOf, newUuid,
  onSubmit, reconcile, roomIcon, roomName, showErrors, storage,
} from "./dom.js";
import { SyncClient } from "./sync.js";
import { Timeline } from "./timeline.js";

const CONTENT_CHARS_MAX = 8_000;
const BANNER_AFTER_MS = 2_000;
const SESSION_KEY = "hearth.session";

const wide = matchMedia("(min-width: 761px)");

let session = null; // {token, user, expiresAt}
let client = null;
let connection = null;
let connectionState = "stopped";
let stoppedBecause = null; // the close code after which we don't try again
let route = { roomId: null, members: false };
let stranger = null; // the open room when I'm not a member: {id, info} or {id, missing: true}
const timeline = new Timeline({
  loadOlder: () => carryOut(client.loadOlder(timeline.roomId)),
  markRead: (seq) => carryOut(client.markRead(timeline.roomId, seq)),
  retry: (id) => carryOut(client.retry(id, Date.now())),
  discard: (id) => carryOut(client.discard(id, Date.now())),
});

const outboxPrefix = () => `hearth.outbox.${session.user.id}.`;
const draftKey = (roomId) => `hearth.draft.${session.user.id}.${roomId}`;

// ---- requests

class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || "The server could not do that. Try again in a moment.");
    Object.assign(this, { status, code: body.code, errors: body.errors ?? [] });
  }
}

async function api(method, path, body) {
  const headers = { Accept: "application/json" };
  const asked = session;
  if (asked) headers.Authorization = `Bearer ${asked.token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Problem(0, { detail: "The server can't be reached. Check your connection and try again." });
  }
  const answer = response.status === 204 ? null : await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const problem = new Problem(response.status, answer ?? {});
  if (response.status === 401 && asked && asked === session) endSession(reasonOf(problem.code));
  throw problem;
}

const reasonOf = (code) => (code === "token_revoked" ? "revoked" : code === "unauthorized" ? "unknown" : "expired");

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
  session = held;
  const outbox = storage.keys(outboxPrefix()).map(storage.get).filter(Boolean);
  outbox.sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1));
  client = new SyncClient({ userId: session.user.id, outbox });
  document.body.dataset.view = "chat";
  $("my-name").textContent = nameOf(session.user);
  dressAvatar($("my-avatar"), session.user);
  const address = new URL("/ws", location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  connection = new Connection({
    url: address.href,
    token: session.token,
    on: {
      state: connectionChanged,
      closed: connectionClosed,
      frame: (frame) => carryOut(client.receive(frame, Date.now())),
    },
  });
  connection.start();
  followHash();
}

const END_REASONS = {
  expired: "Your session has run out. Log in again: your room and what you wrote are kept.",
  revoked: "This session was ended elsewhere. Log in again to go on.",
  unknown: "The server doesn't know this session any more. Log in again to go on.",
  disabled: "This account has been switched off. Ask the administrator.",
  elsewhere: "You logged out in another tab.",
  logout: "You are logged out.",
};

function endSession(reason) {
  storage.remove(SESSION_KEY);
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  session = null;
  connection?.stop();
  connection = client = stranger = null;
  timeline.leave();
  for (const list of ["room-list", "member-list", "orphan-list"]) $(list).replaceChildren();
  $("composer-text").value = "";
  $("auth-notice").textContent = END_REASONS[reason];
  $("auth-notice").hidden = false;
  showAuth("login");
}

$("log-out").addEventListener("click", async () => {
  const unsent = client.outbox.filter((item) => item.state !== "stored").length;
  if (unsent > 0) {
    const text = `${unsent === 1 ? "One message has" : `${unsent} messages have`} not been sent, and will be lost.`;
    if (!(await confirmed("Log out?", text, "Log out"))) return;
  }
  for (const key of [...storage.keys(outboxPrefix()), ...storage.keys(draftKey(""))]) storage.remove(key);
  endSession("logout");
});

addEventListener("storage", ({ key, newValue }) => {
  if (!session || key === null) return;
  if (key === SESSION_KEY) {
    if (newValue === null) endSession("elsewhere");
    else if (storage.get(SESSION_KEY)?.token !== session.token) location.reload();
  } else if (newValue === null && key.startsWith(outboxPrefix())) {
    carryOut(client.discard(key.slice(outboxPrefix().length), Date.now())); // another tab sent or discarded it
  }
});

// ---- the connection

function connectionChanged(state) {
  connectionState = state;
  if (state === "connecting") stoppedBecause = null;
  if (state === "live") $("banner").hidden = true;
  else setTimeout(renderBanner, BANNER_AFTER_MS); // not at each blip
  render();
}

function connectionClosed(code) {
  carryOut(client.disconnected());
  const reason = { 4004: "expired", 4500: "unknown", 4501: "revoked", 4502: "disabled" }[code];
  if (reason) {
    setTimeout(() => session && endSession(reason)); // after the connection has finished its own step
    return false;
  }
  if (!invitesReconnect(code)) stoppedBecause = code;
  return true;
}

function renderBanner() {
  if (!session || connectionState === "live") return;
  $("banner").hidden = false;
  $("reconnect").hidden = connectionState === "connecting";
  const stopped = stoppedBecause === 4503
    ? "Too many connections are open for you. Close another tab, then try again."
    : "The server ended the connection. Reload the page, or try again.";
  const waiting = "No connection. What you write is kept, and sent when it is back.";
  const text = connectionState === "stopped" ? stopped : waiting;
  if ($("banner-text").textContent !== text) $("banner-text").textContent = text;
}

$("reconnect").addEventListener("click", () => connection.start());
addEventListener("online", () => connection?.check());
document.addEventListener("visibilitychange", () => {
  if (document.hidden) timeline.lookedAway();
  else connection?.check();
  render();
});

// ---- what the state machine asks for

function carryOut(effects) {
  for (const effect of effects) {
    const { request } = effect;
    if (effect.do === "send") connection?.send(effect.frame);
    else if (effect.do === "wake") setTimeout(() => client && carryOut(client.wake(Date.now())), effect.in_ms);
    else if (effect.do === "save") storage.set(outboxPrefix() + effect.item.id, effect.item);
    else if (effect.do === "erase") storage.remove(outboxPrefix() + effect.id);
    else if (effect.do === "reconnect") connection?.restart();
    else if (effect.do === "arrived" && effect.roomId === timeline.roomId) timeline.arrived(effect.row);
    else if (effect.do === "forgot" && effect.roomId === timeline.roomId) {
      timeline.leave();
      announce("You are no longer in this room.");
    }
    else if (request) setTimeout(() => answer(effect.do, request), request.in_ms ?? 0);
  }
  render();
}

async function answer(what, request) {
  const asker = client;
  if (!asker) return;
  const path = `/api/chat/rooms/${request.roomId}`;
  const query = new URLSearchParams();
  if (what === "page") query.set("limit", request.limit);
  if (what === "page" && request.before !== null) query.set("before", request.before);
  if (what === "members" && request.cursor !== null) query.set("cursor", request.cursor);
  const suffix = { page: "/messages", members: "/members", room: "" }[what] + (query.size ? `?${query}` : "");
  let body = null;
  try {
    body = await api("GET", path + suffix);
  } catch { /* told to the state machine below */ }
  if (asker !== client) return; // the session ended meanwhile
  if (what === "room") carryOut(client.roomLoaded(request, body));
  else if (what === "page") carryOut(body ? client.pageLoaded(request, body) : client.pageFailed(request));
  else carryOut(body ? client.membersLoaded(request, body) : client.membersFailed(request));
}

// ---- where we are: the hash holds the room, so that reload, back and links work

function followHash() {
  if (!session) return;
  const match = location.hash.match(/^#\/room\/(\d+)(\/members)?$/);
  route = { roomId: match ? Number(match[1]) : null, members: Boolean(match?.[2]) };
  if (stranger?.id !== route.roomId) stranger = null;
  carryOut(client.open(route.roomId, { members: route.members }));
}
addEventListener("hashchange", () => {
  followHash();
  if (route.members && !wide.matches) $("members-close").focus();
  else if (route.roomId !== null && matchMedia("(pointer: fine)").matches) $("composer-text").focus();
});

const hashOf = (roomId, members = false) => `#/room/${roomId}${members ? "/members" : ""}`;

function goTo(roomId) {
  location.hash = hashOf(roomId, route.members && wide.matches);
}

// ---- rendering

const CONNECTION_WORDS = {
  live: "Connected",
  connecting: "Connecting…",
  waiting: "No connection, trying again",
  stopped: "Not connected",
};

let rendering = false;
function render() {
  if (rendering || !session) return;
  rendering = true;
  const later = document.hidden ? (act) => setTimeout(act, 100) : requestAnimationFrame; // hidden tabs get no frames
  later(() => {
    rendering = false;
    if (session) renderNow();
  });
}

function renderNow() {
  const room = client.room(route.roomId);
  $("chat").dataset.pane = route.roomId === null ? "rooms" : route.members && room ? "members" : "room";
  $("chat").dataset.members = String(route.members && Boolean(room));
  $("connection-state").textContent = CONNECTION_WORDS[connectionState];
  $("connection-state").dataset.state = connectionState;
  renderRooms();
  $("conversation").hidden = !room;
  $("welcome").hidden = Boolean(room);
  if (room) renderRoom(room);
  else renderWelcome();
  const unread = [...client.rooms.keys()].reduce((sum, id) => sum + client.unread(id), 0);
  document.title = `${unread ? `(${unread}) ` : ""}${room ? `${roomName(room.info)} · ` : ""}Hearth`;
}

function renderRooms() {
  const byName = (a, b) => roomName(a.info).localeCompare(roomName(b.info)) || a.id - b.id;
  const rooms = [...client.rooms.values()].sort(byName);
  const members = route.members && wide.matches;
  const items = rooms.map((room) => {
    const { id, info } = room;
    const [unread, current] = [client.unread(id), id === route.roomId];
    const sign = JSON.stringify([roomName(info), info.kind, unread, current, members]);
    return { key: id, info, unread, current, sign };
  });
  reconcile($("room-list"), items, ({ key, info, unread, current }) => {
    const link = make("a", { href: hashOf(key, members), className: unread ? "unread" : "" },
      icon(roomIcon(info)), make("span", { className: "name", textContent: roomName(info), title: roomName(info) }));
    if (current) link.setAttribute("aria-current", "page");
    const hear = (textContent) => link.append(make("span", { className: "visually-hidden", textContent }));
    if (info.kind === "private") hear(" (private)");
    if (unread) {
      const count = unread > 999 ? "999+" : String(unread);
      const badge = make("span", { className: "badge", attrs: { "data-testid": "unread" } }, count);
      link.append(badge);
      hear(" unread");
    }
    return make("li", { attrs: { "data-testid": `room-${key}` } }, link);
  });
  $("no-rooms").hidden = rooms.length > 0 || client.epoch === null;
  const orphans = client.outbox.filter((item) => item.state === "failed" && !client.room(item.roomId));
  $("orphans").hidden = orphans.length === 0;
  reconcile($("orphan-list"), orphans.map((item) => ({ key: item.id, sign: "", item })), ({ item }) => {
    const discard = linkButton("Discard", () => timeline.act.discard(item.id), "discard-orphan");
    return make("li", {}, make("span", { textContent: item.content }), discard);
  });
}


function renderWelcome() {
  const id = route.roomId;
  if (id !== null && client.live && stranger?.id !== id) lookAt(id);
  const info = id !== null && stranger?.info;
  $("welcome-join").hidden = !info;
  $("welcome-new").hidden = $("welcome-browse").hidden = id !== null && (Boolean(info) || !stranger);
  const [title, text] =
    client.epoch === null ? ["One moment", "Connecting to the server."]
    : info ? [roomName(info), info.topic || "A public room that you have not joined yet."]
    : id !== null && !stranger ? ["One moment", "Looking for this room."]
    : id !== null ? ["Nothing here", "There is no such room, or it is not yours to see."]
    : client.rooms.size > 0 ? ["Choose a room", "Your rooms are in the list. You can also make one, or find another."]
    : [`Welcome, ${nameOf(session.user)}`, "Make a room and add people to it, or find a public room and say hello."];
  $("welcome-title").textContent = title;
  $("welcome-text").textContent = text;
}

async function lookAt(id) {
  stranger = { id };
  const info = await api("GET", `/api/chat/rooms/${id}`).catch(() => null);
  if (stranger?.id !== id) return;
  stranger = info ? { id, info } : { id, missing: true };
  render();
}

function renderRoom(room) {
  const { info } = room;
  $("room-name").textContent = roomName(info);
  $("room-kind").setAttribute("href", `#i-${roomIcon(info)}`);
  $("room-topic").textContent = $("room-topic").title = info.topic ?? "";
  $("member-count").textContent = info.member_count ?? "";
  $("members-toggle").href = hashOf(room.id, !route.members);
  $("members-toggle").setAttribute("aria-expanded", String(route.members));
  $("members-close").href = hashOf(room.id);
  $("composer-text").placeholder = $("composer-label").textContent = `Message ${roomName(info)}`;
  if (timeline.roomId !== room.id) {
    timeline.enter(room.id);
    $("composer-text").value = storage.get(draftKey(room.id)) ?? "";
    growComposer();
  }
  timeline.show(room, client.rows(room.id), client.pending(room.id), session.user);
  if (route.members) renderMembers(room);
}

function renderMembers(room) {
  const owner = room.info.role === "owner";
  const order = (member) => `${member.role === "owner" ? 0 : 1}${nameOf(member.user).toLowerCase()}`;
  const members = client.members(room.id).sort((a, b) => order(a).localeCompare(order(b)));
  const items = members.map((member) => ({ key: member.user.id, sign: JSON.stringify([member, owner]), member }));
  reconcile($("member-list"), items, ({ member: { user, role } }) => {
    const me = user.id === session.user.id;
    const name = make("span", { className: "name", title: `@${user.username}` }, nameOf(user));
    const row = make("li", { attrs: { "data-testid": `member-${user.id}` } }, avatar(user), name);
    const notes = [role === "member" ? "" : role, me ? "you" : ""].filter(Boolean).join(", ");
    if (notes) row.append(make("span", { className: "note", textContent: notes }));
    if (owner && role !== "owner") {
      const attrs = { "aria-label": `Remove ${nameOf(user)}`, "data-testid": `remove-${user.id}` };
      const onclick = () => removeMember(room, user);
      row.append(make("button", { type: "button", className: "icon", title: "Remove", onclick, attrs }, icon("close")));
    }
    return row;
  });
  $("leave").disabled = owner;
  $("leave-note").hidden = !owner;
}

$("history-retry").addEventListener("click", () => {
  const room = client.room(timeline.roomId);
  carryOut(room?.loaded ? client.loadOlder(room.id) : client.open(route.roomId, { members: route.members }));
});

// ---- writing

const box = $("composer-text");

function growComposer() {
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight}px`; // the style sheet sets the upper bound
  const left = CONTENT_CHARS_MAX - [...box.value.trimEnd()].length;
  const over = left < 0;
  $("composer").classList.toggle("over", over);
  $("composer-hint").classList.toggle("counts", left < 200);
  $("composer-hint").textContent =
    over ? `${-left} characters too many`
    : left < 200 ? `${left} characters left`
    : "Enter sends, Shift+Enter starts a new line";
  $("send").disabled = over || box.value.trim() === "";
}

box.addEventListener("input", () => {
  growComposer();
  if (box.value) storage.set(draftKey(timeline.roomId), box.value);
  else storage.remove(draftKey(timeline.roomId));
});
box.addEventListener("keydown", (event) => {
  // While an input method composes, its Enter chooses a word; 229 is what older browsers say.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  $("composer").requestSubmit();
});
$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const content = box.value.replaceAll("\0", "").trimEnd();
  if (content.trim() === "" || [...content].length > CONTENT_CHARS_MAX || timeline.roomId === null) return;
  timeline.stick = true;
  const item = { id: newUuid(), roomId: timeline.roomId, content, createdAt: new Date().toISOString() };
  carryOut(client.enqueue(item, Date.now()));
  box.value = "";
  storage.remove(draftKey(timeline.roomId));
  growComposer();
  box.focus();
});

// ---- rooms: make, find, join, leave; members: add, remove

for (const button of document.querySelectorAll("[data-closes]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}

/** Does it, or says why not. */
async function attempt(act) {
  try {
    return await act();
  } catch (error) {
    if (session) await confirmed("That did not work", error.message, "All right");
    return null;
  }
}

function openNewRoom() {
  $("new-room-form").reset();
  showErrors($("new-room-form"), []);
  $("new-room-dialog").showModal();
}
onSubmit($("new-room-form"), (values) => missing(values, "name"), async ({ name, topic, kind }) => {
  const body = { name: name.trim(), kind };
  if (topic.trim()) body.topic = topic.trim();
  const info = await api("POST", "/api/chat/rooms", body);
  $("new-room-dialog").close();
  carryOut(client.joined(info));
  goTo(info.id);
});

let browsing = 0; // a later search voids an earlier one's answer
async function browse(cursor = null, items = []) {
  const number = ++browsing;
  const query = new URLSearchParams({ scope: "public" });
  if ($("browse-query").value.trim()) query.set("q", $("browse-query").value.trim());
  if (cursor !== null) query.set("cursor", cursor);
  let note = "";
  let next = null;
  try {
    const page = await api("GET", `/api/chat/rooms?${query}`);
    items = [...items, ...page.items];
    next = page.next ?? null;
    if (items.length === 0) note = "No public room is called that.";
    if (items.length === 0 && !query.has("q")) note = "There is no public room yet. Make the first one!";
  } catch (error) {
    note = error.message;
  }
  if (number !== browsing || !session) return;
  $("browse-note").textContent = note;
  $("browse-more").hidden = next === null;
  $("browse-more").onclick = () => browse(next, items);
  $("public-list").replaceChildren(...items.map(publicRoom));
}

function publicRoom(info) {
  const mine = client.room(info.id) !== undefined;
  const count = info.member_count === 1 ? "1 member" : `${info.member_count} members`;
  const text = make("div", {}, make("b", { textContent: roomName(info) }),
    make("p", { className: "note", textContent: info.topic ? `${count} · ${info.topic}` : count }));
  const enterRoom = () => {
    if (!mine) return join(info.id);
    $("browse-dialog").close();
    goTo(info.id);
  };
  const act = mine ? "Open" : "Join";
  const attrs = { "aria-label": `${act} ${roomName(info)}`, "data-testid": `join-${info.id}` };
  const button = { type: "button", className: "secondary", textContent: act, onclick: enterRoom, attrs };
  return make("li", {}, icon(roomIcon(info)), text, make("button", button));
}

async function join(id) {
  const info = await attempt(() => api("POST", `/api/chat/rooms/${id}/join`));
  if (!info || !client) return;
  $("browse-dialog").close();
  carryOut(client.joined(info));
  goTo(id);
}

function openBrowser() {
  $("browse-query").value = "";
  $("public-list").replaceChildren();
  $("browse-dialog").showModal();
  browse();
}
for (const id of ["new-room", "welcome-new"]) $(id).addEventListener("click", openNewRoom);
for (const id of ["browse", "welcome-browse"]) $(id).addEventListener("click", openBrowser);
$("welcome-join").addEventListener("click", () => join(route.roomId));

$("browse-query").addEventListener("input", debounced(() => browse()));

$("leave").addEventListener("click", async () => {
  const room = client.room(timeline.roomId);
  const warning = room.info.kind === "private"
    ? "You can come back only when a member adds you again."
    : "You can join it again at any time.";
  if (!(await confirmed(`Leave ${roomName(room.info)}?`, warning, "Leave"))) return;
  await attempt(() => api("POST", `/api/chat/rooms/${room.id}/leave`));
});

async function removeMember(room, user) {
  const text = `${nameOf(user)} will no longer see this room.`;
  if (!(await confirmed(`Remove ${nameOf(user)}?`, text, "Remove"))) return;
  await attempt(() => api("DELETE", `/api/chat/rooms/${room.id}/members/${user.id}`));
}

onSubmit($("add-member-form"), (values) => missing(values, "username"), async ({ username }) => {
  try {
    await api("POST", `/api/chat/rooms/${timeline.roomId}/members`, { username: username.trim().replace(/^@/, "") });
  } catch (error) {
    const message = error.status === 404 ? "Nobody here has that username" : error.message;
    throw Object.assign(error, { errors: error.errors.length ? error.errors : [{ field: "username", message }] });
  }
  $("add-member-form").reset();
  announce(`${username} was added.`);
});
$("add-member-username").addEventListener("input", debounced(async () => {
  const q = $("add-member-username").value.trim().replace(/^@/, "");
  if (!q) return;
  const found = await api("GET", `/api/users?${new URLSearchParams({ q })}`).catch(() => ({ items: [] }));
  const options = found.items.map((user) => make("option", { value: user.username, label: nameOf(user) }));
  $("people").replaceChildren(...options);
}));

// ---- start

const kept = storage.get(SESSION_KEY);
if (kept && kept.expiresAt > Date.now()) enter(kept);
else if (kept) endSession("expired");
else showAuth("login");
api("GET", "/api/info").then(({ registration }) => {
  $("show-register").hidden = registration !== undefined && registration !== "open";
}, () => {});
