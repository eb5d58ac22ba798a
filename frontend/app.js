// The page: what is shown where, and what follows from what the reader does.

import "./account.js";
import { answer, enterRoom, fit, leaveAll, renderComposer, startComposer } from "./composer.js";
import { act, api, app, attempt, carryOut, hashOf, hashOfMessage, on, render, roomPath, wake, wide } from "./core.js";
import { $, announce, confirmed, dressAvatar, handleOf, icon, informed, make, nameOf, reconcile, roomIcon, roomName } from "./dom.js";
import { personMenu, renderMembers } from "./members.js";
import { openMenu } from "./menu.js";
import { mayManage } from "./room-dialogs.js";
import { forgetSearch, lookAround } from "./search.js";
import { begin } from "./session.js";
import { renderSidebar } from "./sidebar.js";
import { oneLine } from "./text.js";
import { Timeline } from "./timeline.js";

let left = null; // the room that I was in until just now
let stranger = null; // the open room when I'm not a member: {id, info} or {id, missing: true}

// ---- what the reader does with messages

const change = (type, row, more = {}) =>
  act((client, now) => client.change({ type, room_id: timeline.roomId, seq: row.seq, ...more }, now));
const react = (row, emoji, on) => change("react", row, { emoji, on });
const pick = (row) => (emoji) => react(row, emoji, true);

const timeline = new Timeline({
  render,
  loadOlder: (downTo) => act((client) => client.loadOlder(timeline.roomId, downTo)),
  markRead: (seq) => {
    const effects = app.client.markRead(timeline.roomId, seq);
    if (effects.length > 0) carryOut(effects); // rendering asks for it each time: nothing new must end there
  },
  retry: (id) => act((client, now) => client.retry(id, now)),
  discard: (id) => act((client, now) => client.discard(id, now)),
  react,
  reply: answer,
  palette: (row, anchor) => openMenu(anchor, { pick: pick(row) }),
  menu: messageMenu,
  person: personMenu,
  save: saveEdit,
  whoReacted,
  found: () => {
    app.route.seq = null;
    history.replaceState(null, "", hashOf(timeline.roomId, app.route.members)); // so that its link leads there again
  },
  farAway: (seq) => lookAround(timeline.roomId, seq, timeline.view),
});
startComposer(timeline);

function messageMenu(row, anchor) {
  const { may, me } = timeline.view;
  const isMine = row.sender.id === me.id;
  const entries = [{ label: "Reply", icon: "reply", act: () => answer(row), testid: "menu-reply" }];
  if (isMine) entries.push({ label: "Edit", icon: "edit", act: () => timeline.edit(row.seq), testid: "menu-edit" });
  if (may.pin) {
    const label = row.pinned_at ? "Unpin" : "Pin";
    entries.push({ label, icon: "pin", act: () => setPin(row, !row.pinned_at), testid: "menu-pin" });
  }
  if (isMine || may.moderate) {
    entries.push({ label: "Delete", icon: "bin", danger: true, act: () => deleteMessage(row), testid: "menu-delete" });
  }
  openMenu(anchor, { entries, pick: pick(row) });
}

async function deleteMessage(row) {
  const text = `“${oneLine(row.content, 80)}” will be gone for everyone.`;
  if (await confirmed("Delete this message?", text, "Delete")) change("delete", row);
}

const setPin = (row, isPinned) =>
  attempt(() => api(isPinned ? "PUT" : "DELETE", roomPath(timeline.roomId, `/messages/${row.seq}/pin`)));

/** An edit that leaves nothing is a deletion, and is asked about. */
function saveEdit(row, text) {
  const content = fit(text);
  if (content === null && text.trim() !== "") return announce("This is too long.");
  timeline.edit(null);
  if (content === null) deleteMessage(row);
  else if (content !== row.content) change("edit", row, { content });
}

/** Names where they are known; those that aren't are asked for, for the next time. */
function whoReacted(ids, count, mine) {
  const { client, session } = app;
  carryOut(client.meet(ids));
  const others = ids.filter((id) => id !== session.user.id).map((id) => client.person(id)).filter(Boolean).map(nameOf);
  const names = [...(mine ? ["You"] : []), ...others].slice(0, 12);
  const rest = count - names.length;
  if (names.length === 0) return count === 1 ? "1 person" : `${count} people`;
  if (rest > 0) names.push(`${rest} more`);
  return names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0];
}

// ---- what the state machine tells

on("effect", (effect) => {
  if (effect.do === "arrived" && effect.roomId === timeline.roomId) timeline.arrived(effect.row);
  else if (effect.do === "forgot" && effect.roomId === timeline.roomId) {
    timeline.leave();
    $("room-dialog").close();
    [left, stranger] = [effect.roomId, null]; // it is looked at anew: perhaps it is there, perhaps not
    announce("You are no longer in this room.");
  } else if (effect.do === "refused") {
    const what = { edit: "The change was not saved", delete: "The message was not deleted", react: "The reaction was not taken" };
    informed(what[effect.change.type], effect.message);
  }
});

on("ended", () => {
  left = stranger = null;
  timeline.leave();
  leaveAll();
  forgetSearch();
  for (const list of ["room-list", "people-list", "archived-list", "member-list", "orphan-list", "pin-list"]) {
    $(list).replaceChildren();
  }
});

document.addEventListener("visibilitychange", () => {
  if (document.hidden) timeline.lookedAway();
  else wake();
  render();
});
addEventListener("blur", () => {
  timeline.lookedAway();
  render();
});

// A page that was left may be kept, with its socket, to be shown again: whoever left isn't here.
window.addEventListener("pagehide", () => app.connection?.stop());
window.addEventListener("pageshow", (event) => {
  if (!event.persisted || !app.session) return;
  app.session.keeper.wake();
  app.connection.start();
});

// ---- where we are

function followHash() {
  if (!app.session) return;
  const match = location.hash.match(/^#\/room\/(\d+)(?:\/(members|\d+))?$/);
  const roomId = match ? Number(match[1]) : null;
  const seq = match?.[2] && match[2] !== "members" ? Number(match[2]) : null;
  // On the way to a message, the list of members stays as it is where there is room for both.
  const members = match?.[2] === "members" || (seq !== null && app.route.members && wide.matches);
  app.route = { roomId, members, seq };
  if (stranger?.id !== roomId) stranger = null;
  if (left !== roomId) left = null;
  if (roomId === null) timeline.leave(); // to be entered anew: at what came meanwhile
  if (seq !== null && timeline.roomId === roomId) timeline.goTo(seq);
  carryOut(app.client.open(roomId, { members }));
}

addEventListener("hashchange", () => {
  followHash();
  requestAnimationFrame(() => { // when it has been rendered
    if (app.route.members && !wide.matches) $("members-close").focus();
    else if (app.route.roomId !== null && matchMedia("(pointer: fine)").matches) $("composer-text").focus();
  });
});

/** Where the list of members lies over the room, a click beside it or Escape puts it away. */
function closeMembers() {
  if (app.route.members && !wide.matches) location.hash = hashOf(app.route.roomId);
}
$("room").addEventListener("click", ({ target }) => target === $("room") && closeMembers()); // what dims the room is its own
$("members").addEventListener("keydown", ({ key, target }) => {
  if (key !== "Escape" || wide.matches) return;
  if (target === $("add-member-username") && target.value) $("members-close").focus(); // only leaves what was being typed
  else closeMembers();
});

// ---- rendering

const CONNECTION_WORDS = {
  live: "Connected",
  connecting: "Connecting…",
  waiting: "Offline, retrying",
  stopped: "Not connected",
};

on("render", () => {
  const { client, route } = app;
  const room = client.room(route.roomId);
  $("chat").dataset.pane = route.roomId === null ? "rooms" : route.members && room ? "members" : "room";
  $("chat").dataset.members = String(route.members && Boolean(room));
  $("connection-state").textContent = CONNECTION_WORDS[app.connectionState];
  $("connection-state").dataset.state = app.connectionState;
  renderSidebar((id) => act((machine, now) => machine.discard(id, now)));
  $("conversation").hidden = !room;
  $("welcome").hidden = Boolean(room);
  if (room) renderRoom(room);
  else renderWelcome();
  const ids = [...client.rooms.keys()];
  const unread = ids.reduce((sum, id) => sum + client.unread(id), 0);
  const name = room ? `${roomName(room.info, app.session.user)} · ` : "";
  document.title = `${unread ? `(${unread}) ` : ""}${name}Hearth`;
});

function renderWelcome() {
  const { client, route, session } = app;
  const id = route.roomId;
  if (id !== null && client.live && stranger?.id !== id) lookAt(id);
  const info = id !== null && stranger?.info;
  $("welcome-join").hidden = !info;
  $("welcome-new").hidden = $("welcome-browse").hidden = client.epoch === null || (id !== null && (Boolean(info) || !stranger));
  const [title, text] =
    client.epoch === null ? ["One moment", "Connecting to the server."]
    : info && left === id ? [roomName(info), "You are no longer in this room. It is public: you can join it again."]
    : info ? [roomName(info), info.topic || "A public room that you have not joined yet."]
    : id !== null && !stranger ? ["One moment", "Looking for this room."]
    : id !== null && left === id ? ["You are no longer in this room", "You were taken out of it, or it was deleted."]
    : id !== null ? ["Nothing here", "There is no such room, or it is not yours to see."]
    : client.rooms.size > 0 ? ["Choose a room", "Your rooms are in the list. You can also make one, or find another."]
    : [`Welcome, ${nameOf(session.user)}`, "Make a room and add people to it, or find a public room and say hello."];
  $("welcome-title").textContent = title;
  $("welcome-text").textContent = text;
}

async function lookAt(id) {
  stranger = { id };
  const info = await api("GET", roomPath(id)).catch(() => null);
  if (stranger?.id !== id) return;
  stranger = info ? { id, info } : { id, missing: true };
  render();
}

function renderRoom(room) {
  const { client, route, session } = app;
  const { info } = room;
  const isDirect = info.kind === "direct" && Boolean(info.peer);
  const name = roomName(info, session.user);
  $("room-name").textContent = $("room-name").title = name;
  $("room-icon").toggleAttribute("hidden", isDirect);
  $("room-avatar").hidden = !isDirect;
  if (isDirect) dressAvatar($("room-avatar"), info.peer, client.isOnline(info.peer.id));
  $("room-kind").setAttribute("href", `#i-${roomIcon(info)}`);
  const presence = isDirect && info.peer.id !== session.user.id ? (client.isOnline(info.peer.id) ? "online" : "not online") : "";
  const about = isDirect ? [handleOf(info.peer), presence].filter(Boolean).join(" · ") : info.topic ?? "";
  $("room-topic").textContent = $("room-topic").title = about;
  $("room-settings").hidden = !mayManage(info);
  $("member-count").textContent = info.member_count ?? "";
  $("members-toggle").href = hashOf(room.id, !route.members);
  $("members-toggle").setAttribute("aria-expanded", String(route.members));
  $("members-close").href = hashOf(room.id);
  if (timeline.roomId !== room.id) {
    timeline.enter(room.id);
    $("pins").open = false;
    enterRoom(room.id);
    if (route.seq !== null) timeline.goTo(route.seq);
  }
  const may = {
    write: !info.archived_at,
    moderate: mayManage(info),
    pin: !info.archived_at && (mayManage(info) || isDirect),
  };
  const view = { me: session.user, person: (id) => client.person(id), may };
  renderPins(room, may);
  timeline.show(room, client.rows(room.id), client.pending(room.id), view);
  renderComposer(room, name);
  if (route.members) renderMembers(room);
}

/** One line for the newest, all of them when it is opened. */
function renderPins(room, may) {
  const pins = app.client.pins(room.id).reverse();
  $("pins").hidden = pins.length === 0;
  if (pins.length === 0) $("pins").open = false;
  $("pins-newest").textContent = pins.length > 0 ? `${nameOf(pins[0].sender)}: ${oneLine(pins[0].content ?? "")}` : "";
  $("pins-count").textContent = pins.length > 1 ? String(pins.length) : "";
  const items = pins.map((row) => ({ key: row.seq, sign: JSON.stringify([row.rev, may.pin]), row }));
  reconcile($("pin-list"), items, ({ row }) => {
    const onclick = () => { $("pins").open = false; };
    const link = make("a", { href: hashOfMessage(room.id, row.seq), onclick }, make("b", { textContent: nameOf(row.sender) }),
      make("span", { textContent: oneLine(row.content ?? "") }));
    const item = make("li", { attrs: { "data-testid": `pin-${row.seq}` } }, link);
    const attrs = { "aria-label": "Unpin", "data-testid": `unpin-${row.seq}` };
    const unpin = () => setPin(row, false);
    if (may.pin) item.append(make("button", { type: "button", className: "icon", title: "Unpin", onclick: unpin, attrs }, icon("close")));
    return item;
  });
}

$("history-retry").addEventListener("click", () => {
  const room = app.client.room(timeline.roomId);
  act((client) => (room?.loaded ? client.loadOlder(room.id) : client.open(app.route.roomId, { members: app.route.members })));
});

begin(followHash);
