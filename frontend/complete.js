// Names that fit what is being written after an "@": chosen by keyboard or pointer, put in as the username.

import { api, app, roomPath } from "./core.js";
import { $, avatar, debounced, make, nameOf } from "./dom.js";
import { begunName, plain } from "./names.js";

const CHOICES_MAX = 6;

const box = $("composer-text");
const list = $("mention-list");
let choices = [];
let chosen = 0;
let asked = 0; // a later question voids an earlier one's answer

const begun = () => begunName(box.value.slice(0, box.selectionStart));

function known(word) {
  const beginning = plain(word);
  const fits = (user) =>
    [user.username, ...nameOf(user).split(/\s+/)].some((name) => plain(name).startsWith(beginning));
  return app.client.members(app.route.roomId).map((member) => member.user).filter(fits);
}

function show(users) {
  const others = users.filter((user) => user.id !== app.session.user.id);
  choices = [...new Map(others.map((user) => [user.id, user])).values()].slice(0, CHOICES_MAX);
  chosen = 0;
  list.hidden = choices.length === 0;
  list.replaceChildren(...choices.map((user, index) => make("li", {
    id: `mention-${index}`, onclick: () => take(user), attrs: { role: "option", "data-testid": `mention-${user.username}` },
  }, avatar(user), make("span", { className: "name", textContent: nameOf(user) }),
  make("span", { className: "note", textContent: `@${user.username}` }))));
  mark();
}

function mark() {
  [...list.children].forEach((item, index) => item.setAttribute("aria-selected", String(index === chosen)));
  if (choices.length > 0) box.setAttribute("aria-activedescendant", `mention-${chosen}`);
  else box.removeAttribute("aria-activedescendant");
}

function take(user) {
  const end = box.selectionStart;
  box.setRangeText(`@${user.username} `, end - begun().length - 1, end, "end");
  closeCompletion();
  box.focus();
  box.dispatchEvent(new Event("input", { bubbles: true }));
}

export function closeCompletion() {
  asked += 1;
  show([]);
}

const askServer = debounced(async () => {
  const number = ++asked;
  const word = begun();
  if (!word || !app.session) return;
  const query = new URLSearchParams({ q: word, limit: CHOICES_MAX });
  const page = await api("GET", roomPath(app.route.roomId, `/members?${query}`)).catch(() => null);
  if (page && number === asked && begun() === word) show([...known(word), ...page.items.map((member) => member.user)]);
});

box.addEventListener("input", () => {
  const word = begun();
  if (word === null) return closeCompletion();
  show(known(word));
  askServer();
});
box.addEventListener("blur", () => setTimeout(closeCompletion, 200)); // a click on a choice comes first

/** True when the key was meant for the list. */
export function keyForCompletion({ key }) {
  if (choices.length === 0) return false;
  if (key === "Escape") closeCompletion();
  else if (key === "Enter" || key === "Tab") take(choices[chosen]);
  else if (key === "ArrowDown" || key === "ArrowUp") {
    chosen = (chosen + (key === "ArrowDown" ? 1 : choices.length - 1)) % choices.length;
    mark();
  } else return false;
  return true;
}
