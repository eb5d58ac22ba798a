// The open room's messages: what is shown in which order, and where the reader stands in it.

import { $, announce, make, nameOf, reconcile, shownKey } from "./dom.js";
import { buildMessage } from "./message.js";
import { markerOf } from "./room.js";
import { oneLine } from "./text.js";

const GROUP_MS = 5 * 60_000;
const OLDER_BELOW_PX = 600; // how near to the top the next page is asked for
const REACH_MAX = 1_000; // how many messages are read back to come to one of them
const UNDER_PINS_PX = 88; // what the line of pins may cover, and a little of what stands before
const dayFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "full" });

export class Timeline {
  /**
   * `act` is told what the reader does: loadOlder(downTo), markRead(seq), farAway(seq), found(), and what message.js
   * asks for.
   */
  constructor(act) {
    this.act = { ...act, edit: (row) => this.edit(row?.seq ?? null) };
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
    this.list.addEventListener("click", (event) => this.#tapped(event));
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
    this.rows = [];
    this.newAfter = null; // the seq above the "New" line
    this.hasLine = false; // it is drawn, and stays until the reader looks away
    this.placed = false; // the first page has been scrolled into place
    this.stick = true; // new messages keep the end in view
    this.unseen = new Set(); // seqs of what came below the end that is in view
    this.editing = null; // the seq of the message whose text is being changed
    this.goal = null; // the seq of a message to be shown
    this.list.replaceChildren();
  }

  enter(roomId) {
    this.leave();
    this.roomId = roomId;
  }

  /** What comes while nobody looks will stand below the line. */
  lookedAway() {
    if (this.newAfter !== null) this.newAfter = Math.max(this.newAfter, markerOf(this.room));
  }

  /** Whether what comes is seen as it comes. */
  #isWatched() {
    return this.placed && this.stick && !document.hidden && document.hasFocus();
  }

  arrived(row) {
    if (!this.stick) this.unseen.add(row.seq);
    if (this.unannounced.push(row) > 1) return;
    setTimeout(() => { // one sentence a second, however many messages
      const gone = new Set(this.rows.filter((one) => one.deleted_at).map((one) => one.id));
      const [first, ...others] = this.unannounced.filter(({ id }) => !gone.has(id));
      this.unannounced = [];
      if (!first) return;
      const text = oneLine(first.content ?? "");
      announce(others.length === 0 ? `${nameOf(first.sender)}: ${text}` : `${others.length + 1} new messages`);
    }, 1_000);
  }

  edit(seq) {
    this.editing = seq;
    this.stick = seq === null && this.#isAtEnd(); // what is being edited stays in view
    this.act.render();
    if (seq === null) $("composer-text").focus();
  }

  /** The last message that I may still change. */
  lastOfMine() {
    return this.rows.findLast((row) => row.sender.id === this.view.me.id && !row.deleted_at) ?? null;
  }

  goTo(seq) {
    this.goal = seq;
  }

  show(room, rows, pending, view) {
    Object.assign(this, { room, rows, view });
    this.newestSeq = rows.at(-1)?.seq ?? 0; // not room.lastSeq: what is known of may still be on its way
    if (room.loaded && room.markersKnown) this.newAfter ??= markerOf(room);
    if (this.newAfter !== null && !this.hasLine && this.#isWatched()) this.newAfter = Math.max(this.newAfter, this.newestSeq);
    const held = this.stick ? null : this.#anchor();
    this.#showHistory(room);
    const items = this.#items(rows, pending);
    this.hasLine = items.some((item) => item.separator === "new");
    reconcile(this.list, items, (item) =>
      item.separator ? separator(item) : buildMessage(item, view, this.act));
    if (room.loaded && !this.placed) this.#place();
    else if (this.stick) this.#toEnd();
    else if (held) this.#holdStill(held);
    if (this.goal !== null && room.loaded) this.#seekGoal();
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
  #items(rows, pending) {
    const { me } = this.view;
    const entries = rows.map((row) => ({ row, key: `${row.sender.id}:${row.id}`, state: "stored" }));
    for (const { id, roomId, content, replyTo, createdAt, state, failure } of pending) {
      const row = { id, room_id: roomId, sender: me, content, reply_to: replyTo, created_at: createdAt };
      entries.push({ row, key: `${me.id}:${id}`, state, failure });
    }
    const bySeq = new Map(rows.map((row) => [row.seq, row]));
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
      if (!marked && row.seq > this.newAfter && row.sender.id !== me.id && !row.deleted_at) {
        items.push({ separator: "new", key: "new", sign: "", text: "New" });
        marked = separated = true;
      }
      const follows = !separated && before.row.sender.id === row.sender.id && Math.abs(at - before.at) < GROUP_MS;
      entry.grouped = follows && !row.reply_to;
      if (row.reply_to && !row.deleted_at) entry.quote = this.#quote(bySeq.get(row.reply_to));
      entry.editing = row.seq === this.editing && !row.deleted_at;
      entry.sign = this.#sign(entry);
      items.push(entry);
      before = { row, at };
    }
    return items;
  }

  #quote(row) {
    if (!row) return { name: null, text: "An earlier message" };
    return { name: nameOf(row.sender), text: row.deleted_at ? "This message was deleted" : oneLine(row.content ?? "") };
  }

  /** What an element depends on; one that is being edited is left alone. */
  #sign({ row, grouped, state, failure, quote, editing }) {
    if (editing) return "editing";
    const names = row.mentions?.map((id) => this.view.person(id)?.username);
    return JSON.stringify([
      row.seq, row.rev, row.wished && row.content, grouped, state, failure, quote, names, row.reactions, this.view.may,
    ]);
  }

  /** On a touch screen a tap opens what a pointer finds at the message's side. */
  #tapped(event) {
    const element = event.target.closest(".message[data-seq]");
    const isTouch = event.pointerType === "touch" || matchMedia("(hover: none)").matches;
    if (!element || !isTouch || event.target.closest("a, button, textarea") || String(getSelection())) return;
    const row = this.rows.find((one) => one.seq === Number(element.dataset.seq));
    if (row && !row.deleted_at && this.view.may.write) this.act.menu(row, element);
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
    if (line) this.box.scrollTop += line.getBoundingClientRect().top - this.box.getBoundingClientRect().top - UNDER_PINS_PX;
    this.stick = this.#isAtEnd();
  }

  /** Shows the message that is sought in the middle, reads back to it, or has it shown elsewhere when it is far away. */
  #seekGoal() {
    const { goal, room } = this;
    const element = this.list.querySelector(`.message[data-seq="${goal}"]`);
    const isFar = room.oldest - goal > REACH_MAX;
    if (!element && goal < room.oldest && room.hasOlder && !isFar && !room.loadFailed) return this.act.loadOlder(goal);
    this.goal = null;
    this.act.found();
    if (!element) return this.act.farAway(goal);
    const { top, height } = element.getBoundingClientRect();
    const frame = this.box.getBoundingClientRect();
    this.box.scrollTop += top + height / 2 - frame.top - frame.height / 2;
    this.stick = this.#isAtEnd();
    element.classList.add("lit");
    setTimeout(() => element.classList.remove("lit"), 2_000);
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
    if (this.stick) this.unseen.clear();
    const unseen = this.rows.filter((row) => this.unseen.has(row.seq) && !row.deleted_at).length;
    $("jump").hidden = this.stick || !this.placed;
    $("jump-text").textContent =
      unseen === 0 ? "To the newest" : unseen === 1 ? "1 new message" : `${unseen} new messages`;
    if (!room.loaded) return;
    if (room.hasOlder && !room.loading && !room.loadFailed && this.box.scrollTop < OLDER_BELOW_PX) this.act.loadOlder();
    const isSeen = !document.hidden && this.box.clientHeight > 0 && this.#isAtEnd();
    if (isSeen && this.newestSeq > 0) this.act.markRead(this.newestSeq);
  }
}

function separator({ separator: kind, text }) {
  const attrs = { "data-testid": `separator-${kind}` };
  return make("li", { className: `separator ${kind}`, attrs }, make("span", { textContent: text }));
}
