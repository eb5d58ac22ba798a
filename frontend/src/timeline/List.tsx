import {
  type KeyboardEvent,
  memo,
  type ReactNode,
  type Ref,
  type RefObject,
  useEffect,
  useImperativeHandle,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import { Scroller } from "./scroller.ts";
import type { Callbacks, ListHandle, Source, Start } from "./source.ts";
import "./list.css";

export interface ListProps<Item> extends Source<Item>, Callbacks {
  /** Memoized by the caller: another function draws all rows again. */
  render(item: Item, index: number): ReactNode;
  /** Where a new list begins. Another room is another list, by React's `key`. */
  start: Start;
  label: string;
  handle: Ref<ListHandle>;
}

/**
 * A long list of rows of unknown height, of which a window of at most 300 is mounted. It stays at the end, or where the
 * reader is, whatever comes or changes its height.
 */
export function List<Item>(props: ListProps<Item>) {
  const { render, start, label, handle } = props;
  const [scroller] = useState(() => new Scroller(props, start));
  const layout = useSyncExternalStore(scroller.subscribe, scroller.layout);
  const list = useRef<HTMLOListElement>(null);

  useLayoutEffect(() => (list.current ? scroller.connect(list.current) : undefined), [scroller]);
  useLayoutEffect(() => scroller.shown(layout), [scroller, layout]);
  useLayoutEffect(() => scroller.update(props));
  useImperativeHandle(handle, () => scroller, [scroller]);
  useOneTabStop(list);

  // The items may change many times before the layout does, so the rows depend on the layout alone.
  const rows = useMemo(() => {
    const { items, keyOf, parts, gaps, older, newer } = layout;
    const children = [<Blank key="older" className="list__more" height={older} />];
    parts.forEach(({ from, to }, part) => {
      const keys = items.slice(from, to).map(keyOf);
      // The gap has the key of the row after it, so that rows never change their order and React never moves one.
      const gap = part === 0 ? "gap" : `gap ${keys[0]}`;
      children.push(<Blank key={gap} className="list__gap" height={gaps[part] ?? 0} />);
      items.slice(from, to).forEach((item, i) => {
        const key = keys[i] ?? "";
        children.push(
          <Row
            key={`row ${key}`}
            id={key}
            item={item}
            index={from + i}
            render={render}
            scroller={scroller}
          />,
        );
      });
    });
    children.push(<Blank key="last" className="list__gap" height={gaps.at(-1) ?? 0} />);
    children.push(<Blank key="newer" className="list__more" height={newer} />);
    return children;
  }, [layout, render, scroller]);

  const onKeyDown = (event: KeyboardEvent) => {
    const { altKey, ctrlKey, metaKey, shiftKey, target } = event;
    if (event.defaultPrevented || altKey || ctrlKey || metaKey || shiftKey) return;
    if (target instanceof Element && scroller.key(event.key, target)) event.preventDefault();
  };

  return (
    // biome-ignore lint/a11y/noRedundantRoles: Safari takes the role from a list without markers
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <ol ref={list} className="list" role="list" aria-label={label} tabIndex={0} onKeyDown={onKeyDown}>
      {rows}
    </ol>
  );
}

const TAB_MS_MAX = 200;

/**
 * Tab skips the rows, except the one that has the focus or an edit box: the links and buttons of many messages would be
 * hundreds of tab stops. The arrow keys lead to a row.
 */
function useOneTabStop(list: RefObject<HTMLElement | null>): void {
  useEffect(() => {
    const onTab = ({ key }: globalThis.KeyboardEvent): void => {
      if (key !== "Tab") return;
      const isPassed = (row: Element): row is HTMLElement =>
        row instanceof HTMLElement && !row.contains(document.activeElement) && !row.querySelector("textarea");
      const passed = [...(list.current?.children ?? [])].filter(isPassed);
      const pass = (inert: boolean): void => {
        for (const row of passed) row.inert = inert;
      };
      pass(true); // until the focus has moved
      addEventListener("focusin", () => pass(false), { once: true, capture: true });
      setTimeout(() => pass(false), TAB_MS_MAX);
    };
    addEventListener("keydown", onTab, { capture: true });
    return () => removeEventListener("keydown", onTab, { capture: true });
  }, [list]);
}

interface RowProps<Item> {
  id: string;
  item: Item;
  index: number;
  render(item: Item, index: number): ReactNode;
  scroller: Scroller<Item>;
}

function PlainRow<Item>({ id, item, index, render, scroller }: RowProps<Item>) {
  // Only for the first layout. After it the browser remembers the height.
  const [style] = useState(() => ({ containIntrinsicBlockSize: `auto ${scroller.reserve(index)}px` }));
  return (
    <li ref={scroller.attach} className="list__row" data-key={id} tabIndex={-1} style={style}>
      {render(item, index)}
    </li>
  );
}

// memo() forgets the type parameter.
const Row = memo(PlainRow) as typeof PlainRow;

const Blank = memo(function Blank({ className, height }: { className: string; height: number }) {
  return <li className={className} aria-hidden style={{ blockSize: height }} />;
});
