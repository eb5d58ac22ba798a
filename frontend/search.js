// Searching the messages of my rooms, and looking at one with what stands around it.

import { api, app, attempt, hashOfMessage, roomPath } from "./core.js";
import { $, debounced, handle, make, nameOf, roomName } from "./dom.js";
import { buildMessage, timeOf } from "./message.js";

const SEARCH_AFTER_MS = 350; // the server takes two a second
const AROUND = 31;
const dayFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

let searching = 0; // a later search voids an earlier one's answer

async function search(cursor = null, shown = 0) {
  const number = ++searching;
  const query = new URLSearchParams({ q: $("search-query").value.trim() });
  if ($("search-here").checked && app.route.roomId !== null) query.set("room_id", app.route.roomId);
  if (cursor) query.set("cursor", cursor);
  if (!/[\p{L}\p{N}]/u.test(query.get("q"))) return show([], query.get("q") && "Type at least one letter or digit.", null, 0);
  try {
    const page = await api("GET", `/api/chat/search?${query}`);
    const note = page.items.length + shown === 0 ? "Nothing was found. Whole words are sought; word* finds beginnings." : "";
    if (number === searching) show(page.items, note, page.next, shown);
  } catch (error) {
    if (number === searching && app.session) show([], error.message, null, 0);
  }
}

function show(items, note, next, shown) {
  $("search-note").textContent = note;
  $("search-more").hidden = !next;
  $("search-more").onclick = () => search(next, shown + items.length);
  if (shown === 0) $("search-results").replaceChildren();
  $("search-results").append(...items.map(result));
}

function result({ message, room, snippet }) {
  const text = make("p", { className: "snippet", dir: "auto" },
    ...snippet.map(({ text: piece, hit }) => (hit ? make("mark", { textContent: piece }) : piece)));
  const time = timeOf(message.created_at);
  time.textContent = dayFormat.format(new Date(message.created_at));
  const onclick = () => $("search-dialog").close();
  const link = make("a", { href: hashOfMessage(room.id, message.seq), onclick },
    make("p", { className: "found-at" }, make("b", { textContent: nameOf(message.sender) }), ...handle(message.sender),
      make("span", { className: "note name", textContent: `in ${roomName(room, app.session.user)}` }), time), text);
  return make("li", { attrs: { "data-testid": `found-${room.id}-${message.seq}` } }, link);
}

const searchSoon = debounced(() => search(), SEARCH_AFTER_MS);
$("search-query").addEventListener("input", searchSoon);
$("search-here").addEventListener("change", () => search());

export function openSearch() {
  if (document.querySelector("dialog[open]")) return;
  const room = app.client.room(app.route.roomId);
  $("search-scope").hidden = !room;
  $("search-here-name").textContent = room ? roomName(room.info, app.session.user) : "";
  if (!room) $("search-here").checked = false;
  $("search-dialog").showModal();
  $("search-query").select();
}

export function forgetSearch() {
  searching += 1;
  $("search-query").value = "";
  show([], "", null, 0);
}

$("search").addEventListener("click", openSearch);
addEventListener("keydown", (event) => {
  if (!app.session || event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey) return;
  event.preventDefault();
  openSearch();
});

/** A message too far back to be scrolled to, with its neighbours, to be read. */
export async function lookAround(roomId, seq, view) {
  const query = new URLSearchParams({ around: seq, limit: AROUND });
  const page = await attempt(() => api("GET", roomPath(roomId, `/messages?${query}`)));
  if (!page || !app.session) return;
  const rows = page.items.map((row, index) => {
    const grouped = page.items[index - 1]?.sender.id === row.sender.id;
    return buildMessage({ row, grouped, state: "stored" }, view);
  });
  $("around-list").replaceChildren(...rows);
  $("around-title").textContent = page.items.length ? dayFormat.format(new Date(page.items[0].created_at)) : "Nothing here";
  $("around-dialog").showModal();
  const found = $("around-list").querySelector(`[data-seq="${seq}"]`);
  found?.classList.add("lit");
  found?.scrollIntoView({ block: "center" });
}
