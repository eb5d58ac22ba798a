// Who is in the room, who is there now, and what one may do with whom.

import { act, api, app, attempt, goTo, roomPath } from "./core.js";
import {
  $, announce, avatar, confirmed, debounced, fullNameOf, handle, icon, make, missing, nameOf, onSubmit, reconcile, roomName,
} from "./dom.js";
import { openMenu } from "./menu.js";

const RANKS = ["owner", "admin", "member"];

export function renderMembers(room) {
  const { client, session } = app;
  const isDirect = room.info.kind === "direct";
  const order = ({ role, user }) => `${RANKS.indexOf(role)}${nameOf(user).toLowerCase()}`;
  const members = client.members(room.id).sort((a, b) => order(a).localeCompare(order(b)));
  const items = members.map((member) => {
    const online = client.isOnline(member.user.id);
    const isMe = member.user.id === session.user.id;
    const sign = JSON.stringify([member.user, member.role, online, isDirect]);
    return { key: member.user.id, sign, member, online, isMe, isDirect };
  });
  reconcile($("member-list"), items, memberRow);
  $("members-note").hidden = room.membersLoaded;
  $("add-member-form").hidden = isDirect || Boolean(room.info.archived_at);
  $("leave-part").hidden = isDirect;
  const isStuck = room.info.role === "owner" && !members.some((member) => member.role === "admin");
  $("leave").disabled = isStuck;
  $("leave-note").hidden = !isStuck;
}

function memberRow({ member: { user, role }, online, isMe, isDirect }) {
  const attrs = { "data-testid": `person-${user.id}`, "aria-haspopup": "menu" };
  const onclick = ({ currentTarget }) => personMenu(user, currentTarget);
  const button = make("button", { type: "button", className: "person", title: `@${user.username}`, onclick, attrs },
    avatar(user, online), make("span", { className: "names" }, make("span", { className: "name", textContent: nameOf(user) }), ...handle(user)));
  if (online) button.append(make("span", { className: "visually-hidden", textContent: " (online)" }));
  const notes = [role === "member" || isDirect ? "" : role, isMe ? "you" : ""].filter(Boolean).join(", ");
  if (notes) button.append(make("span", { className: "note", textContent: notes }));
  const data = { "data-testid": `member-${user.id}`, "data-online": String(online) };
  return make("li", { className: online ? "" : "away", attrs: data }, button);
}

/** What can be done with this person; in the open room when he is a member of it. */
export function personMenu(user, anchor) {
  const { client, route, session } = app;
  const room = client.room(route.roomId);
  const isMe = user.id === session.user.id;
  const entries = [{
    label: isMe ? "Write notes to myself" : "Send a message", icon: "chat", act: () => startDirect(user), testid: "start-direct",
  }];
  const member = room?.members.get(user.id);
  if (!isMe && member?.role && room.info.kind !== "direct" && !room.info.archived_at) entries.push(...duties(room, member));
  const state = isMe ? "you" : client.isOnline(user.id) ? "online" : "not online";
  const heading = make("p", { className: "menu-heading" }, make("b", { textContent: nameOf(user) }),
    make("span", { className: "note", textContent: `@${user.username} · ${state}` }));
  openMenu(anchor, { heading, entries });
}

function duties(room, { user, role }) {
  const mine = room.info.role;
  const path = roomPath(room.id, `/members/${user.id}`);
  const setRole = (next) => () => attempt(() => api("PATCH", path, { role: next }));
  const name = fullNameOf(user);
  const entries = [];
  if (mine === "owner") {
    entries.push(role === "admin"
      ? { label: "Take the admin role away", icon: "star", act: setRole("member"), testid: "make-member" }
      : { label: "Make an admin", icon: "star", act: setRole("admin"), testid: "make-admin" });
    entries.push({ label: "Hand the room over", icon: "key", testid: "make-owner", act: async () => {
      const text = `${name} will own ${roomName(room.info)}. You stay, as an admin.`;
      if (await confirmed(`Hand over to ${name}?`, text, "Hand over")) await setRole("owner")();
    } });
  }
  if (mine === "owner" || (mine === "admin" && role === "member")) {
    entries.push({ label: "Remove from the room", icon: "close", danger: true, testid: `remove-${user.id}`, act: async () => {
      const text = `${name} will no longer see this room.`;
      if (await confirmed(`Remove ${name}?`, text, "Remove")) await attempt(() => api("DELETE", path));
    } });
  }
  return entries;
}

export async function startDirect(user) {
  const info = await attempt(() => api("POST", "/api/chat/direct", { user_id: user.id }));
  if (!info || !app.client) return;
  act((client) => client.joined(info));
  goTo(info.id);
}

onSubmit($("add-member-form"), (values) => missing(values, "username"), async ({ username }) => {
  const name = username.trim().replace(/^@/, "");
  try {
    await api("POST", roomPath(app.route.roomId, "/members"), { username: name });
  } catch (error) {
    const message = error.status === 404 ? "Nobody here has that username" : error.message;
    throw Object.assign(error, { errors: error.errors.length ? error.errors : [{ field: "username", message }] });
  }
  $("add-member-form").reset();
  announce(`${name} was added.`);
});
$("add-member-username").addEventListener("input", debounced(async () => {
  const q = $("add-member-username").value.trim().replace(/^@/, "");
  if (!q) return;
  const found = await api("GET", `/api/users?${new URLSearchParams({ q })}`).catch(() => ({ items: [] }));
  const options = found.items.map((user) => make("option", { value: user.username, label: nameOf(user) }));
  $("people").replaceChildren(...options);
}));

$("leave").addEventListener("click", async () => {
  const room = app.client.room(app.route.roomId);
  const warning = room.info.kind === "private"
    ? "You can come back only when a member adds you again."
    : "You can join it again at any time.";
  if (!(await confirmed(`Leave ${roomName(room.info)}?`, warning, "Leave"))) return;
  await attempt(() => api("POST", roomPath(room.id, "/leave")));
});
