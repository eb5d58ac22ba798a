// Tools for the page that know nothing of rooms: elements, lists, forms, dialogs, storage.
// Text from people is set as textContent only.

export const $ = (id) => document.getElementById(id);

/** An element with properties, attributes (in `attrs`) and children. */
export function make(tag, { attrs = {}, ...properties } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(attrs)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

export const nameOf = (user) => user.full_name || user.username;
/** Beside a full name, which may be anybody's: the one that is his alone. */
export const handleOf = ({ full_name, username }) => (full_name ? `@${username}` : "");
export const fullNameOf = (user) => [nameOf(user), handleOf(user)].filter(Boolean).join(" ");
export const handle = (user) =>
  handleOf(user) ? [" ", make("span", { className: "handle", textContent: handleOf(user) })] : [];
const initials = (user) => nameOf(user).split(/\s+/).slice(0, 2).map((word) => [...word][0]).join("").toUpperCase();
export const roomIcon = (info) => (info.archived_at ? "archive" : info.kind === "private" ? "lock" : "hash");

/** A direct room is called by its peer; with oneself, it holds notes. */
export function roomName({ kind, name, peer }, me = null) {
  if (kind !== "direct") return name ?? "Room";
  if (!peer) return "Direct messages";
  return peer.id === me?.id ? `${nameOf(peer)} (notes)` : nameOf(peer);
}

/** With a dot when it is said whether the person is online. */
export function dressAvatar(element, user, online = null) {
  element.textContent = initials(user);
  if (online !== null) element.append(make("span", { className: online ? "dot online" : "dot" }));
  element.style.setProperty("--hue", String(Math.round((user.id * 137.508) % 360))); // neighbours differ most
  return element;
}
export const avatar = (user, online = null) =>
  dressAvatar(make("span", { className: "avatar", attrs: { "aria-hidden": "true" } }), user, online);

export const linkButton = (textContent, onclick, testid = "") =>
  make("button", { type: "button", className: "link", textContent, onclick, attrs: { "data-testid": testid } });

let saying;
/** Says it once to screen readers; nothing takes back what was said before. */
export function announce(text) {
  clearTimeout(saying);
  $("announcer").textContent = "";
  if (text) saying = setTimeout(() => { $("announcer").textContent = text; }, 50);
}

const shown = new WeakMap(); // element → the {key, sign} it was built from

export const shownKey = (element) => shown.get(element)?.key;

/** What stands in a new element for this one of the old. */
const twinOf = ({ dataset: { testid = "" } }, element) =>
  element.querySelector(`[data-testid="${CSS.escape(testid)}"]`) ?? element.querySelector("a, button");

/** Makes `parent` show `items` in order. Only those whose `sign` changed are built anew: focus and selection stay. */
export function reconcile(parent, items, build) {
  const held = new Map([...parent.children].map((element) => [shownKey(element), element]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const old = held.get(item.key);
    let element = old;
    held.delete(item.key);
    if (!old || shown.get(old).sign !== item.sign) {
      element = build(item);
      shown.set(element, { key: item.key, sign: item.sign });
      if (old) {
        const focused = old.contains(document.activeElement) ? document.activeElement : null;
        old.replaceWith(element);
        if (place === old) place = element;
        if (focused) twinOf(focused, element)?.focus({ preventScroll: true });
      }
    }
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  for (const element of held.values()) element.remove();
}

const sentence = (text) => (/^\p{Ll}/u.test(text) ? text[0].toUpperCase() + text.slice(1) : text);
const labelOf = (input) => input.labels[0]?.firstChild.textContent.trim() ?? "";

/** Each beside its field; those without one, and `general`, above the form. What a field is called inside is nobody's matter. */
export function showErrors(form, errors, general) {
  for (const element of form.querySelectorAll(".field-error")) element.hidden = true;
  for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
  let first = null;
  const said = [];
  for (const { field, message } of errors) {
    const input = form.elements[field];
    const place = input?.id && $(`${input.id}-error`);
    if (!place) {
      general = [general, `${sentence(message)}.`].filter(Boolean).join(" ");
      continue;
    }
    place.textContent = sentence(message);
    said.push(`${labelOf(input)}: ${message}`);
    place.hidden = false;
    input.setAttribute("aria-invalid", "true");
    first ??= input;
  }
  const place = form.querySelector(".form-error");
  if (place) {
    place.hidden = !general;
    place.textContent = general ?? "";
  }
  first?.focus();
  announce(said.join(". "));
}

/** Sends a form once; what is wrong with it is shown beside its fields. */
export function onSubmit(form, check, act) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.dataset.busy) return;
    const values = Object.fromEntries(new FormData(form));
    const faults = check(values);
    showErrors(form, faults);
    if (faults.length > 0) return;
    form.dataset.busy = "yes";
    try {
      await act(values);
    } catch (error) {
      showErrors(form, error.errors ?? [], error.errors?.length ? undefined : error.message);
    } finally {
      delete form.dataset.busy;
    }
  });
}

export const missing = (values, ...fields) =>
  fields.filter((field) => !values[field].trim()).map((field) => ({ field, message: "Please fill this in" }));

const PASSWORD_BYTES_MIN = 8;

/** What can be told of a new password, and of its repetition, without the server. */
export function newPasswordFaults(values, field) {
  const faults = missing(values, field);
  const isShort = new TextEncoder().encode(values[field]).length < PASSWORD_BYTES_MIN;
  if (faults.length === 0 && isShort) faults.push({ field, message: `At least ${PASSWORD_BYTES_MIN} characters` });
  if (values[field] !== values.again) faults.push({ field: "again", message: "The two passwords differ" });
  return faults;
}

/** Asks; resolves to whether it was confirmed. */
export const confirmed = (title, text, yes) => inTurn({ title, text, yes, isQuestion: true });

/** Says it, to be put away. */
export const informed = (title, text) => inTurn({ title, text, yes: "OK", isQuestion: false });

let words = () => ""; // those of the question that is shown

/** What is asked may change while it stands there: `text` as a function is read again. */
export function retell() {
  if ($("confirm-dialog").open && $("confirm-text").textContent !== words()) $("confirm-text").textContent = words();
}

let turn = Promise.resolve(); // one after the other: an answer must not be taken for another's
const inTurn = (what) => (turn = turn.then(() => show(what)));

function show({ title, text, yes, isQuestion }) {
  const dialog = $("confirm-dialog");
  $("confirm-title").textContent = title;
  words = typeof text === "function" ? text : () => text;
  $("confirm-text").textContent = words();
  $("confirm-no").hidden = !isQuestion;
  $("confirm-yes").textContent = yes;
  $("confirm-yes").classList.toggle("danger", isQuestion);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

export function debounced(act, wait_ms = 200) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(act, wait_ms);
  };
}

/** Storage may be forbidden or full; the page then works until it is closed. */
function orElse(instead, act) {
  try {
    return act();
  } catch {
    return instead;
  }
}

export const storage = {
  get: (key) => orElse(null, () => JSON.parse(localStorage.getItem(key))),
  set: (key, value) => orElse(undefined, () => localStorage.setItem(key, JSON.stringify(value))),
  remove: (key) => orElse(undefined, () => localStorage.removeItem(key)),
  keys: (prefix) => orElse([], () => Object.keys(localStorage).filter((key) => key.startsWith(prefix))),
};

/** crypto.randomUUID is missing on plain http, where a home server may well be. */
export function newUuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
