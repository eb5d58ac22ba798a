// One menu for the whole page: opened beside what was clicked, a sheet at the bottom on a phone.

import { $, icon, make } from "./dom.js";

const EMOJI = [..."👍❤😂🎉🔥👏🙏🚀😮😢🤔👀✅☕👋💯"].map((one) => (one === "❤" ? "❤️" : one));
const COLUMNS = 8; // as the style sheet lays them out
const GAP_PX = 6;
const menu = $("menu");

/**
 * `heading`: what it is about. `entries`: {label, icon, act, danger, testid}. `pick(emoji)`: with a palette.
 */
export function openMenu(anchor, { heading, entries = [], pick }) {
  const choose = (act) => () => {
    menu.hidePopover();
    act();
  };
  const attrs = (label, testid) => ({ role: "menuitem", "aria-label": label, "data-testid": testid });
  const palette = make("div", { className: "palette", attrs: { role: "group", "aria-label": "React with" } },
    ...(pick ? EMOJI : []).map((emoji) => make("button", {
      type: "button", textContent: emoji, onclick: choose(() => pick(emoji)), attrs: attrs(`React with ${emoji}`, `pick-${emoji}`),
    })));
  const buttons = entries.map(({ label, icon: name, act, danger, testid }) => make("button", {
    type: "button", className: danger ? "danger" : "", onclick: choose(act), attrs: attrs(label, testid),
  }, icon(name), label));
  menu.replaceChildren(...(heading ? [heading] : []), ...(pick ? [palette] : []), ...buttons);
  menu.showPopover();
  place(anchor.getBoundingClientRect());
  menu.querySelector("button")?.focus();
}

/** Below the anchor or above it, wherever there is room. */
function place(anchor) {
  const { offsetWidth: width, offsetHeight: height } = menu;
  const below = anchor.bottom + GAP_PX;
  const top = below + height < innerHeight ? below : anchor.top - GAP_PX - height;
  const start = getComputedStyle(menu).direction === "rtl" ? anchor.left : anchor.right - width;
  menu.style.top = `${Math.max(GAP_PX, top)}px`;
  menu.style.left = `${Math.max(GAP_PX, Math.min(start, innerWidth - width - GAP_PX))}px`;
}

menu.addEventListener("keydown", (event) => {
  const buttons = [...menu.querySelectorAll("button")];
  const here = buttons.indexOf(document.activeElement);
  const inPalette = document.activeElement.parentElement?.className === "palette";
  const palette = menu.querySelectorAll(".palette button").length;
  const row = inPalette && here + COLUMNS < palette ? COLUMNS : inPalette ? palette - here : 1;
  const back = inPalette ? COLUMNS : 1;
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: row, ArrowUp: -back }[event.key];
  if (event.key === "Tab") menu.hidePopover();
  if (step === undefined) return;
  event.preventDefault();
  buttons[(here + step + buttons.length) % buttons.length].focus();
});
