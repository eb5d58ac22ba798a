// The list alone, with messages that are made up. The tests and the bench drive it by `window.bench`.

import { memo, StrictMode, useCallback, useState } from "react";
import { flushSync } from "react-dom";
import { createRoot } from "react-dom/client";
import "../src/styles.css";
import { List } from "../src/timeline/List.tsx";
import type { ListHandle, Start } from "../src/timeline/source.ts";
import "./list.css";

interface Message {
  id: number;
  text: string;
  note: string;
}

const WORDS = "the list keeps its place while messages come and go and heights change after layout".split(
  " ",
);

/** The same number gives the same text, from a word to some twenty lines. */
function text(id: number): string {
  let state = (id * 2654435761 + 12345) >>> 0;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const count = Math.ceil(random() ** 4 * 220) + 1;
  return Array.from({ length: count }, () => WORDS[Math.floor(random() * WORDS.length)]).join(" ");
}

const message = (id: number): Message => ({ id, text: text(id), note: "" });
const messages = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => message(from + i));

const View = memo(function View({ message: { id, text, note } }: { message: Message }) {
  const [isOpen, setOpen] = useState(false);
  const middle = text.length >> 1;
  return (
    <article className="message">
      <div className="message__avatar" />
      <div>
        <header>
          <strong>Ana {Math.abs(id) % 17}</strong>{" "}
          <time>12:{String(Math.abs(id) % 60).padStart(2, "0")}</time>
        </header>
        <p>
          {text.slice(0, middle)}
          <em>{text.slice(middle, middle + 12)}</em>
          {text.slice(middle + 12)} <a href="#top">#{id}</a> <code>{id.toString(16)}</code>
        </p>
        {id % 11 === 0 && <pre>{`let id = ${id};\nreturn id * 2;`}</pre>}
        {isOpen && <p>{text.repeat(4)}</p>}
        {note && <p>{note}</p>}
        <button type="button" onClick={() => setOpen(!isOpen)}>
          {isOpen ? "less" : "more"}
        </button>
      </div>
    </article>
  );
});

interface State {
  items: readonly Message[];
  start: Start;
  list: number;
  hasOlder: boolean;
  hasNewer: boolean;
}

const keyOf = ({ id }: Message) => `m${id}`;
const estimate = ({ text }: Message) => 72 + 23 * Math.floor(text.length / 110);
const log: { older: number; newer: number; atEnd: boolean[]; visible: string[]; renders: number } = {
  older: 0,
  newer: 0,
  atEnd: [],
  visible: [],
  renders: 0,
};
let handle: ListHandle | null = null;
let state: State = { items: [], start: "end", list: 0, hasOlder: false, hasNewer: false };
let show: (state: State) => void = () => {};

function set(change: Partial<State>): void {
  state = { ...state, ...change };
  flushSync(() => show(state)); // as a store's change is drawn
}

const first = () => state.items[0]?.id ?? 0;
const last = () => state.items.at(-1)?.id ?? -1;

const bench = {
  log,
  keys: () => state.items.map(keyOf),
  handle: () => handle,
  open(count: number, start: Start = "end", more: { hasOlder?: boolean; hasNewer?: boolean } = {}) {
    Object.assign(log, { older: 0, newer: 0, atEnd: [], visible: [] });
    set({
      hasOlder: false,
      hasNewer: false,
      ...more,
      items: messages(0, count),
      start,
      list: state.list + 1,
    });
  },
  append: (count: number) => set({ items: [...state.items, ...messages(last() + 1, last() + 1 + count)] }),
  prepend: (count: number) => set({ items: [...messages(first() - count, first()), ...state.items] }),
  remove: (key: string) => set({ items: state.items.filter((item) => keyOf(item) !== key) }),
  note: (key: string, note: string) =>
    set({ items: state.items.map((item) => (keyOf(item) === key ? { ...item, note } : item)) }),
  replace: (from: number, to: number) => set({ items: messages(from, to) }),
  more: (hasOlder: boolean, hasNewer: boolean) => set({ hasOlder, hasNewer }),
};

export type Bench = typeof bench;

declare global {
  interface Window {
    bench: Bench;
  }
}

function App() {
  const [current, setCurrent] = useState(state);
  show = setCurrent;
  const render = useCallback((item: Message) => {
    log.renders += 1;
    return <View message={item} />;
  }, []);
  return (
    <div className="bench">
      <input aria-label="Before" />
      <div>
        <List
          key={current.list}
          items={current.items}
          keyOf={keyOf}
          render={render}
          estimate={estimate}
          hasOlder={current.hasOlder}
          hasNewer={current.hasNewer}
          onOlder={() => {
            log.older += 1;
          }}
          onNewer={() => {
            log.newer += 1;
          }}
          onAtEnd={(atEnd) => log.atEnd.push(atEnd)}
          onVisible={(a, b) => log.visible.push(`${a} ${b}`)}
          start={current.start}
          label="Messages"
          handle={(value) => {
            handle = value;
          }}
        />
      </div>
    </div>
  );
}

window.bench = bench;
const root = document.getElementById("root");
const app = <App />;
if (root) createRoot(root).render(location.search === "?strict" ? <StrictMode>{app}</StrictMode> : app);
