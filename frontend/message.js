// One message as an element: its text, reactions, the quote it answers, and what can be done with it.

import { avatar, handle, icon, linkButton, make, nameOf } from "./dom.js";
import { hashOfMessage } from "./core.js";
import { pieces } from "./text.js";

const timeFormat = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const fullFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

export const timeOf = (at) => make("time", {
  dateTime: at, title: fullFormat.format(new Date(at)), textContent: timeFormat.format(new Date(at)),
});

/**
 * `item`: {row, grouped, state, failure, quote, editing}. `view`: {me, person(id), may}, where `may` says what the
 * reader may do: {write, moderate, pin}. `act`: what the reader does; without it, the message is only to be read.
 */
export function buildMessage(item, view, act) {
  const { row, grouped, state, editing } = item;
  const attrs = { "data-testid": "message", "data-id": row.id, "data-state": state };
  if (row.seq) attrs["data-seq"] = row.seq;
  const person = { type: "button", className: "author", title: `@${row.sender.username}`, textContent: nameOf(row.sender) };
  const author = act
    ? make("button", { ...person, onclick: ({ currentTarget }) => act.person(row.sender, currentTarget) })
    : make("b", { className: "author", textContent: person.textContent, title: person.title });
  const head = make("p", { className: grouped ? "head visually-hidden" : "head" }, author, ...(grouped ? [] : handle(row.sender)), " ", timeOf(row.created_at));
  if (grouped && act) author.tabIndex = -1; // the first of the group is reached
  const side = grouped
    ? make("span", { className: "side-time", attrs: { "aria-hidden": "true" } }, timeOf(row.created_at))
    : avatar(row.sender);
  const names = ["message"];
  if (grouped) names.push("grouped");
  if (isForMe(row, view.me)) names.push("for-me");
  const element = make("li", { className: names.join(" "), attrs }, side, head);
  if (item.quote) element.append(quoteOf(row, item.quote));
  element.append(editing ? editor(item, act) : textOf(item, view));
  if (row.reactions?.length && !row.deleted_at) element.append(chipsOf(row, view, act));
  if (state === "failed") element.append(failureOf(item, act));
  if (act && row.seq && !row.deleted_at && !editing && view.may.write) element.append(toolsOf(row, act));
  return element;
}

const isForMe = (row, me) =>
  !row.deleted_at && row.sender.id !== me.id && Boolean(row.mention_all || row.mentions?.includes(me.id));

function textOf({ row, state }, view) {
  const text = make("p", { className: "text", dir: "auto" });
  if (row.deleted_at) {
    text.append(make("em", { textContent: "This message was deleted" }));
    return text;
  }
  text.append(...written(row, view));
  if (row.edited_at || row.wished) {
    const title = row.edited_at ? fullFormat.format(new Date(row.edited_at)) : "";
    text.append(make("span", { className: "note", title, textContent: row.wished ? " (saving)" : " (edited)" }));
  }
  const isOnItsWay = state === "sent" || state === "queued";
  if (isOnItsWay) text.append(make("span", { className: "visually-hidden", textContent: " (sending)" }));
  return text;
}

/** The text with its addresses as links and its mentions marked. */
export function written(row, { me, person }) {
  const people = (row.mentions ?? []).map(person).filter(Boolean);
  return pieces(row.content ?? "", { people, all: row.mention_all, me: me.id }).map(({ text, address, mention, me: mine }) =>
    address ? make("a", { href: address, target: "_blank", rel: "noopener noreferrer", textContent: text })
    : mention ? make("span", { className: mine ? "mention mine" : "mention", textContent: text })
    : text);
}

function quoteOf(row, { name, text }) {
  const link = make("a", { className: "quote", href: hashOfMessage(row.room_id, row.reply_to), attrs: { "data-testid": "quote" } },
    icon("reply"), make("span", { className: "visually-hidden", textContent: "In reply to " }));
  if (name) link.append(make("b", { textContent: name }));
  link.append(make("span", { textContent: text }));
  return link;
}

function chipsOf(row, view, act) {
  const chips = row.reactions.map(({ emoji, count, me: mine, user_ids }) => {
    const attrs = {
      "aria-pressed": String(Boolean(mine)), "aria-label": `${emoji} ${count}${mine ? ", with yours" : ""}`,
      "data-testid": `reaction-${emoji}`,
    };
    const chip = make("button", { type: "button", className: "chip", attrs, disabled: !act || !view.may.write },
      make("span", { textContent: emoji }), make("span", { className: "count", textContent: String(count) }));
    if (!act) return chip;
    chip.onclick = () => act.react(row, emoji, !mine);
    chip.onpointerenter = chip.onfocus = () => { chip.title = act.whoReacted(user_ids ?? [], count, Boolean(mine)); };
    return chip;
  });
  return make("div", { className: "chips", attrs: { role: "group", "aria-label": "Reactions" } }, ...chips);
}

function toolsOf(row, act) {
  const tool = (name, label, testid, onclick) => make("button", {
    type: "button", className: "icon", title: label, onclick,
    attrs: { "aria-label": `${label}: message of ${nameOf(row.sender)}`, "data-testid": testid },
  }, icon(name));
  return make("div", { className: "tools" },
    tool("smile", "React", "react", ({ currentTarget }) => act.palette(row, currentTarget)),
    tool("reply", "Reply", "reply", () => act.reply(row)),
    tool("dots", "More", "more", ({ currentTarget }) => act.menu(row, currentTarget)));
}

function failureOf({ row, failure }, act) {
  return make("p", { className: "failure", attrs: { role: "alert" } }, icon("alert"),
    make("span", { textContent: `Not sent. ${failure?.message ?? ""}` }),
    linkButton("Try again", () => act.retry(row.id), "retry"),
    linkButton("Discard", () => act.discard(row.id), "discard"));
}

/** The text to be changed in its place: Enter saves, Escape leaves it as it was. */
function editor({ row }, act) {
  const box = make("textarea", { value: row.content, rows: 1, attrs: { id: "edit-text", "aria-label": "Edit the message", "data-testid": "edit-text" } });
  const grow = () => {
    box.style.height = "auto";
    box.style.height = `${box.scrollHeight}px`;
  };
  const save = () => act.save(row, box.value);
  box.addEventListener("input", grow);
  box.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Escape") act.edit(null);
    else if (event.key === "Enter" && !event.shiftKey) save();
    else return;
    event.preventDefault();
  });
  requestAnimationFrame(() => {
    grow();
    box.focus();
    box.scrollIntoView({ block: "nearest" });
    box.setSelectionRange(box.value.length, box.value.length);
  });
  return make("div", { className: "editor" }, box,
    make("p", { className: "note" }, "Escape to ", linkButton("cancel", () => act.edit(null), "edit-cancel"),
      ", Enter to ", linkButton("save", save, "edit-save")));
}
