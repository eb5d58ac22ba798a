// The open room's messages: what is shown in which order, and where the reader stands in it.

import { $, announce, avatar, icon, linkButton, make, nameOf, reconcile, shownKey } from "./dom.js";

const GROUP_MS = 5 * 60_000;
const OLDER_BELOW_PX = 600; // how near to the top the next page is asked for
const dayFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "full" });
const timeFormat = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const fullFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

export class Timeline {
  /** `act` is told what the reader does: loadOlder(), markRead(seq), retry(id), discard(id). */
  constructor(act) {
    this.act = act;
    this.box = $("timeline");
    this.list = $("messages");
    this.unannounced = [];
    this.leave();
    this.box.addEventListener("scroll", () => {
      this.stick = this.#isAtEnd();
      this.#afterMove();
    }, { passive: true });
    new ResizeObserver(() => {
      if (this.stick && this.placed) this.#toEnd();
    }).observe(this.box);
    $("jump").addEventListener("click", () => {
      this.stick = true;
      this.#toEnd();
      this.#afterMove();
      $("composer-text").focus();
    });
  }

  leave() {
    this.room = null;
    this.roomId = null;
    this.newAfter = null; // the seq above the "New" line
    this.placed = false; // the first page has been scrolled into place
    this.stick = true; // new messages keep the end in view
    this.unseen = 0;
    this.list.replaceChildren();
  }

  enter(roomId) {
    this.leave();
    this.roomId = roomId;
  }

  /** What comes while nobody looks will stand below the line. */
  lookedAway() {
    if (this.room?.loaded) this.newAfter = Math.max(this.room.lastReadSeq, this.room.readAsked);
  }

  arrived(row) {
    if (!this.stick) this.unseen += 1;
    if (this.unannounced.push(row) > 1) return;
    setTimeout(() => { // one sentence a second, however many messages
      const [first, ...others] = this.unannounced;
      this.unannounced = [];
      announce(others.length === 0 ? `${nameOf(first.sender)}: ${first.content}` : `${others.length + 1} new messages`);
    }, 1_000);
  }

  show(room, rows, pending, me) {
    this.room = room;
    if (room.loaded && room.markersKnown) this.newAfter ??= Math.max(room.lastReadSeq, room.readAsked);
    this.newestSeq = rows.at(-1)?.seq ?? 0; // not room.lastSeq: what is known of may still be on its way
    const held = this.stick ? null : this.#anchor();
    this.#showHistory(room);
    reconcile(this.list, this.#items(rows, pending, me), (item) => this.#build(item));
    if (room.loaded && !this.placed) this.#place();
    else if (this.stick) this.#toEnd();
    else if (held) this.#holdStill(held);
    this.#afterMove();
  }

  #showHistory(room) {
    $("history-retry").hidden = !room.loadFailed;
    $("history-text").textContent =
      room.loadFailed ? "The messages could not be read."
      : !room.loaded ? "Reading the messages…"
      : room.hasOlder ? "Reading earlier messages…"
      : room.messages.size > 0 ? "This is where the room begins." : "No messages yet. Say hello!";
  }

  /** Rows and pending messages, with the separators between them. A pending one keeps its key when its row comes. */
  #items(rows, pending, me) {
    const entries = rows.map((row) => ({ row, key: `${row.sender.id}:${row.id}`, state: "stored" }));
    for (const { id, content, createdAt, state, failure } of pending) {
      const row = { id, sender: me, content, created_at: createdAt };
      entries.push({ row, key: `${me.id}:${id}`, state, failure });
    }
    const items = [];
    const days = new Set(); // clocks differ a little: no day is announced twice
    let before = null;
    let marked = this.newAfter === null;
    for (const entry of entries) {
      const { row } = entry;
      const at = new Date(row.created_at);
      const day = at.toDateString();
      let separated = before === null;
      if (!days.has(day)) {
        days.add(day);
        items.push({ separator: "day", key: `day ${day}`, sign: "", text: dayFormat.format(at) });
        separated = true;
      }
      if (!marked && row.seq > this.newAfter && row.sender.id !== me.id) {
        items.push({ separator: "new", key: "new", sign: "", text: "New" });
        marked = separated = true;
      }
      entry.grouped = !separated && before.row.sender.id === row.sender.id && Math.abs(at - before.at) < GROUP_MS;
      entry.sign = JSON.stringify([row.seq, row.rev, entry.grouped, entry.state, entry.failure]);
      items.push(entry);
      before = { row, at };
    }
    return items;
  }

  #build(item) {
    if (item.separator) {
      const attrs = { "data-testid": `separator-${item.separator}` };
      return make("li", { className: `separator ${item.separator}`, attrs }, make("span", { textContent: item.text }));
    }
    const { row, grouped, state, failure } = item;
    const at = new Date(row.created_at);
    const attrs = { "data-testid": "message", "data-id": row.id, "data-state": state };
    if (row.seq) attrs["data-seq"] = row.seq;
    const title = fullFormat.format(at);
    const time = make("time", { dateTime: row.created_at, title, textContent: timeFormat.format(at) });
    const author = make("span", { className: "author", title: `@${row.sender.username}` }, nameOf(row.sender));
    const head = make("p", { className: grouped ? "head visually-hidden" : "head" }, author, " ", time);
    const side = grouped
      ? make("span", { className: "side-time", attrs: { "aria-hidden": "true" } }, time.cloneNode(true))
      : avatar(row.sender);
    const text = make("p", { className: "text", dir: "auto" });
    if (row.deleted_at) text.append(make("em", { textContent: "This message was deleted." }));
    else text.append(...linked(row.content ?? ""));
    if (row.edited_at && !row.deleted_at) text.append(make("span", { className: "note", textContent: " (edited)" }));
    const isOnItsWay = state === "sent" || state === "queued";
    if (isOnItsWay) text.append(make("span", { className: "visually-hidden", textContent: " (sending)" }));
    const element = make("li", { className: grouped ? "message grouped" : "message", attrs }, side, head, text);
    if (state === "failed") {
      element.append(make("p", { className: "failure", attrs: { role: "alert" } }, icon("alert"),
        make("span", { textContent: `Not sent. ${failure?.message ?? ""}` }),
        linkButton("Try again", () => this.act.retry(row.id), "retry"),
        linkButton("Discard", () => this.act.discard(row.id), "discard")));
    }
    return element;
  }

  #isAtEnd() {
    return this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 24;
  }

  #toEnd() {
    this.box.scrollTop = this.box.scrollHeight;
  }

  /** A room opens at its first unread message, else at the end. */
  #place() {
    this.placed = true;
    this.#toEnd();
    const line = this.list.querySelector(".separator.new");
    if (line) this.box.scrollTop += line.getBoundingClientRect().top - this.box.getBoundingClientRect().top - 48;
    this.stick = this.#isAtEnd();
  }

  /** The first message in view, by its lower edge: what stands below stays, even when the message itself is rebuilt. */
  #anchor() {
    const { top } = this.box.getBoundingClientRect();
    for (const element of this.list.children) {
      const { bottom } = element.getBoundingClientRect();
      if (bottom > top && element.classList.contains("message")) return { key: shownKey(element), bottom };
    }
    return null;
  }

  #holdStill({ key, bottom }) {
    const element = [...this.list.children].find((child) => shownKey(child) === key);
    if (element) this.box.scrollTop += element.getBoundingClientRect().bottom - bottom;
  }

  #afterMove() {
    const { room } = this;
    if (!room) return;
    if (this.stick) this.unseen = 0;
    $("jump").hidden = this.stick || !this.placed;
    $("jump-text").textContent =
      this.unseen === 0 ? "To the newest" : this.unseen === 1 ? "1 new message" : `${this.unseen} new messages`;
    if (!room.loaded) return;
    if (room.hasOlder && !room.loading && !room.loadFailed && this.box.scrollTop < OLDER_BELOW_PX) this.act.loadOlder();
    const isSeen = !document.hidden && this.box.clientHeight > 0 && this.#isAtEnd();
    if (isSeen && this.newestSeq > 0) this.act.markRead(this.newestSeq);
  }
}

/** Text with its web addresses as links. */
function linked(content) {
  const parts = content.split(/(https?:\/\/[^\s<>"]*[^\s<>"'.,;:!?)\]}])/);
  return parts.map((part, index) =>
    index % 2 ? make("a", { href: part, target: "_blank", rel: "noopener noreferrer", textContent: part }) : part);
}
