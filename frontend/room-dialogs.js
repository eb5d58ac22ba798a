// Rooms as a whole: make one, find and join one, change one, archive or delete it.

import { act, api, app, attempt, goTo, roomPath } from "./core.js";
import { $, confirmed, debounced, icon, make, missing, onSubmit, roomIcon, roomName, showErrors } from "./dom.js";

for (const button of document.querySelectorAll("[data-closes]")) {
  button.addEventListener("click", () => button.closest("dialog").close());
}

// ---- make

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
  act((client) => client.joined(info));
  goTo(info.id);
});

// ---- find and join

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
    if (items.length === 0 && !query.has("q")) note = "There is no public room that you aren't in. Make one!";
  } catch (error) {
    note = error.message;
  }
  if (number !== browsing || !app.session) return;
  $("browse-note").textContent = note;
  $("browse-more").hidden = next === null;
  $("browse-more").onclick = () => browse(next, items);
  $("public-list").replaceChildren(...items.map(publicRoom));
}

function publicRoom(info) {
  const mine = app.client.room(info.id) !== undefined;
  const count = info.member_count === 1 ? "1 member" : `${info.member_count} members`;
  const text = make("div", {}, make("b", { textContent: roomName(info) }),
    make("p", { className: "note", textContent: info.topic ? `${count} · ${info.topic}` : count }));
  const enterRoom = () => {
    if (!mine) return join(info.id);
    $("browse-dialog").close();
    goTo(info.id);
  };
  const label = mine ? "Open" : "Join";
  const attrs = { "aria-label": `${label} ${roomName(info)}`, "data-testid": `join-${info.id}` };
  const button = { type: "button", className: "secondary", textContent: label, onclick: enterRoom, attrs };
  return make("li", {}, icon(roomIcon(info)), text, make("button", button));
}

async function join(id) {
  const info = await attempt(() => api("POST", roomPath(id, "/join")));
  if (!info || !app.client) return;
  $("browse-dialog").close();
  act((client) => client.joined(info));
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
$("welcome-join").addEventListener("click", () => join(app.route.roomId));
$("browse-query").addEventListener("input", debounced(() => browse()));

// ---- change, archive, delete

export const mayManage = ({ kind, role }) => kind !== "direct" && (role === "owner" || role === "admin");

const openRoom = () => app.client.room(app.route.roomId);

$("room-settings").addEventListener("click", () => {
  const { info } = openRoom();
  const form = $("room-form");
  showErrors(form, []);
  form.elements.name.value = info.name;
  form.elements.topic.value = info.topic ?? "";
  for (const field of ["name", "topic"]) form.elements[field].readOnly = Boolean(info.archived_at);
  $("room-save").parentElement.hidden = Boolean(info.archived_at);
  $("room-archive").textContent = info.archived_at ? "Bring back" : "Archive";
  $("room-archive-hint").textContent = info.archived_at
    ? "It is archived: everyone can read it, nobody can write."
    : "Everyone can still read it, nobody can write.";
  $("room-delete-part").hidden = info.role !== "owner";
  $("room-dialog").showModal();
});

onSubmit($("room-form"), (values) => missing(values, "name"), async ({ name, topic }) => {
  const { id, info } = openRoom();
  const change = {};
  if (name.trim() !== info.name) change.name = name.trim();
  if (topic.trim() !== (info.topic ?? "")) change.topic = topic.trim();
  if (Object.keys(change).length > 0) await api("PATCH", roomPath(id), change);
  $("room-dialog").close();
});

$("room-archive").addEventListener("click", async () => {
  const { id, info } = openRoom();
  $("room-dialog").close();
  await attempt(() => api("PATCH", roomPath(id), { archived: !info.archived_at }));
});

$("room-delete").addEventListener("click", async () => {
  const { id, info } = openRoom();
  $("room-dialog").close();
  const text = "All its messages are deleted, for everyone, for ever.";
  if (!(await confirmed(`Delete ${roomName(info)}?`, text, "Delete the room"))) return;
  await attempt(() => api("DELETE", roomPath(id)));
});
