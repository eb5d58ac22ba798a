// The box to write in: it grows, keeps a draft for each room, answers a message, and says who else is writing.

import { act, app, draftKey } from "./core.js";
import { $, nameOf, newUuid, storage } from "./dom.js";
import { closeCompletion, keyForCompletion } from "./complete.js";
import { oneLine, typingWords } from "./text.js";

const CONTENT_CHARS_MAX = 8_000;

const box = $("composer-text");
const answering = new Map(); // room id → the row that the next message there answers
let timeline = null;

/** `timeline` is told where to stay, and has the messages that can be changed. */
export function startComposer(shownIn) {
  timeline = shownIn;
}

export function enterRoom(roomId) {
  box.value = storage.get(draftKey(roomId)) ?? "";
  showAnswering();
  closeCompletion();
  grow();
}

export function leaveAll() {
  answering.clear();
  box.value = "";
}

export function answer(row) {
  answering.set(timeline.roomId, row);
  showAnswering();
  box.focus();
}

function stopAnswering() {
  answering.delete(timeline.roomId);
  showAnswering();
}

function showAnswering() {
  const row = answering.get(timeline.roomId);
  $("answering").hidden = !row;
  if (!row) return;
  $("answering-name").textContent = nameOf(row.sender);
  $("answering-text").textContent = oneLine(row.content ?? "");
}

export function renderComposer(room, name) {
  box.placeholder = $("composer-label").textContent = `Message ${name}`;
  $("composer").hidden = Boolean(room.info.archived_at);
  $("archived-note").hidden = !room.info.archived_at;
  const typists = app.client.typists(room.id, Date.now()).map(nameOf);
  const text = typingWords(typists);
  if ($("typing").textContent !== text) $("typing").textContent = text;
}

function grow() {
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight}px`; // the style sheet sets the upper bound
  const left = CONTENT_CHARS_MAX - [...box.value.trimEnd()].length;
  const over = left < 0;
  $("composer").classList.toggle("over", over);
  $("composer-hint").classList.toggle("counts", left < 200);
  $("composer-hint").textContent =
    over ? `${-left} ${left === -1 ? "character" : "characters"} too many`
    : left < 200 ? `${left} ${left === 1 ? "character" : "characters"} left`
    : "Enter sends, Shift+Enter starts a new line";
  $("send").disabled = over || box.value.trim() === "";
}

box.addEventListener("input", () => {
  grow();
  const { roomId } = timeline;
  if (box.value) storage.set(draftKey(roomId), box.value);
  else storage.remove(draftKey(roomId));
  if (box.value.trim()) act((client, now) => client.typed(roomId, now));
});

box.addEventListener("keydown", (event) => {
  // While an input method composes, its Enter chooses a word; 229 is what older browsers say.
  if (event.isComposing || event.keyCode === 229) return;
  if (keyForCompletion(event)) return event.preventDefault();
  if (event.key === "Enter" && !event.shiftKey) $("composer").requestSubmit();
  else if (event.key === "Escape" && answering.has(timeline.roomId)) stopAnswering();
  else if (event.key === "ArrowUp" && box.value === "" && timeline.lastOfMine()) timeline.edit(timeline.lastOfMine().seq);
  else return;
  event.preventDefault();
});

$("answering-stop").addEventListener("click", () => {
  stopAnswering();
  box.focus();
});

/** The text as it may be sent; null when it may not. */
export function fit(text) {
  const content = text.replaceAll("\0", "").trimEnd();
  return content.trim() === "" || [...content].length > CONTENT_CHARS_MAX ? null : content;
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const { roomId } = timeline;
  const content = fit(box.value);
  if (content === null || roomId === null) return;
  timeline.stick = true;
  const replyTo = answering.get(roomId)?.seq;
  const item = { id: newUuid(), roomId, content, replyTo, createdAt: new Date().toISOString() };
  act((client, now) => client.enqueue(item, now));
  box.value = "";
  storage.remove(draftKey(roomId));
  stopAnswering();
  grow();
  box.focus();
});
