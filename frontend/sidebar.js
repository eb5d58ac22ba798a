// The list of my rooms: those with a name, people, and what is archived; with what is unread in them.

import { app, hashOf, wide } from "./core.js";
import { $, avatar, icon, linkButton, make, reconcile, roomIcon, roomName } from "./dom.js";

export function renderSidebar(discard) {
  const { client } = app;
  const byName = (a, b) => roomName(a.info, app.session.user).localeCompare(roomName(b.info, app.session.user)) || a.id - b.id;
  const rooms = [...client.rooms.values()].sort(byName);
  const groupOf = ({ info }) => (info.archived_at ? "archived" : info.kind === "direct" ? "people" : "room");
  for (const group of ["room", "people", "archived"]) {
    const members = rooms.filter((room) => groupOf(room) === group);
    reconcile($(`${group}-list`), members.map(itemOf), roomLink);
    $(`${group}-section`).hidden = group !== "room" && members.length === 0;
  }
  $("no-rooms").hidden = rooms.length > 0 || client.epoch === null;
  unfoldFor(client.room(app.route.roomId));
  renderOrphans(discard);
}

let unfoldedFor = null;
/** An archived room that is entered is to be seen in the list; one may fold it again. */
function unfoldFor(room) {
  const id = room?.info.archived_at ? room.id : null;
  if (id !== null && id !== unfoldedFor) $("archived-section").open = true;
  unfoldedFor = id;
}

function itemOf({ id, info }) {
  const { client, route } = app;
  const item = {
    key: id, info, unread: client.unread(id), mentions: client.mentions(id), current: id === route.roomId,
    members: route.members && wide.matches, online: info.peer ? client.isOnline(info.peer.id) : null,
    name: roomName(info, app.session.user),
  };
  const { key, info: { kind, archived_at }, ...rest } = item;
  return { ...item, sign: JSON.stringify([kind, archived_at, rest]) };
}

function roomLink({ key, info, unread, mentions, current, members, online, name }) {
  const attrs = current ? { "aria-current": "page" } : {};
  const link = make("a", { href: hashOf(key, members), className: unread ? "unread" : "", attrs },
    info.peer ? avatar(info.peer, online) : icon(roomIcon(info)),
    make("span", { className: "name", textContent: name, title: name }));
  const hear = (textContent) => link.append(make("span", { className: "visually-hidden", textContent }));
  if (info.kind === "private") hear(" (private)");
  if (online) hear(" (online)");
  const badge = (testid, className, count, words) => {
    const text = count > 999 ? "999+" : String(count);
    link.append(make("span", { className: `badge ${className}`, attrs: { "data-testid": testid } }, text));
    hear(words);
  };
  if (mentions) badge("mentions", "mentions", `@${mentions}`, ` mention${mentions === 1 ? "" : "s"} of you`);
  if (unread) badge("unread", info.kind === "direct" ? "mentions" : "", unread, " unread");
  return make("li", { attrs: { "data-testid": `room-${key}` } }, link);
}

/** What was written for rooms that I am no longer in. */
function renderOrphans(discard) {
  const { client } = app;
  const orphans = client.outbox.items.filter((item) => item.state === "failed" && !client.room(item.roomId));
  $("orphans").hidden = orphans.length === 0;
  reconcile($("orphan-list"), orphans.map((item) => ({ key: item.id, sign: "", item })), ({ item }) =>
    make("li", {}, make("span", { textContent: item.content }),
      linkButton("Discard", () => discard(item.id), "discard-orphan")));
}
