import { useEffect, useMemo, useRef, useState } from "react";
import { wordsOf } from "../forms/useForm.ts";
import { useText } from "../i18n/text.ts";
import { fold } from "../markdown/names.ts";
import type { Found, FoundList, UserSummary } from "../protocol/types.ts";
import { useEngine } from "../session/hooks.ts";
import { bodyOf } from "../session/http.ts";
import { PanelHead } from "./PanelHead.tsx";
import { nameOf, roomName } from "./people.ts";
import { useIsPhone } from "./phone.ts";
import { goTo } from "./routes.ts";
import { setSearch, useSearch } from "./search.ts";
import { useWhen } from "./time.ts";
import { toast } from "./ui.ts";
import "./panels.css";

const ASK_AFTER_MS = 400; // the server takes two a second

/** Searches messages: in this room or in all, by author, by date. Query and filters stay when one comes back. */
export default function SearchPanel({ roomId, onClose }: { roomId: number; onClose(): void }) {
  const t = useText();
  const engine = useEngine();
  const isPhone = useIsPhone();
  const { query, isHere, from, since, until } = useSearch();
  const [found, setFound] = useState<FoundList | null>(null);
  const [isBusy, setBusy] = useState(false);
  const [fault, setFault] = useState("");
  /** The search whose answers count. */
  const present = useRef<object | null>(null);
  const author = useAuthor(from);
  const by = typeof author === "object" ? author : null;
  const q = query.trim();
  const isReady = /[\p{L}\p{N}]/u.test(q) && (by !== null || author === "anybody");

  // biome-ignore lint/correctness/useExhaustiveDependencies: `sought` reads these
  useEffect(() => {
    setFound(null);
    setFault("");
    setBusy(isReady);
    if (!isReady) return undefined;
    const search = {};
    present.current = search;
    const timer = setTimeout(async () => {
      try {
        const page = await sought(undefined);
        if (present.current === search) setFound(page);
      } catch (problem) {
        if (present.current === search) setFault(wordsOf(problem, t));
      } finally {
        if (present.current === search) setBusy(false);
      }
    }, ASK_AFTER_MS);
    return () => {
      present.current = null;
      clearTimeout(timer);
    };
  }, [engine, q, isReady, isHere, roomId, by?.id, since, until, t]);

  function sought(cursor: string | undefined): Promise<FoundList> {
    return bodyOf(
      engine.api.GET("/api/chat/search", {
        params: {
          query: {
            q,
            limit: 30,
            ...(isHere && { room_id: roomId }),
            ...(by && { from: by.id }),
            ...(since !== "" && { since: startOf(since, 0) }),
            ...(until !== "" && { until: startOf(until, 1) }),
            ...(cursor !== undefined && { cursor }),
          },
        },
      }),
    );
  }

  async function more(): Promise<void> {
    if (!found?.next || isBusy) return;
    const search = present.current;
    setBusy(true);
    try {
      const page = await sought(found.next);
      if (present.current === search) setFound({ ...page, items: [...found.items, ...page.items] });
    } catch (problem) {
      if (present.current === search) toast(wordsOf(problem, t));
    } finally {
      if (present.current === search) setBusy(false);
    }
  }

  function status(): string {
    if (author === "nobody") return t("search.noAuthor");
    if (author === "failed") return t("search.authorFailed");
    if (isBusy) return t("search.busy");
    if (found?.complete === false) {
      return t("search.indexing", { share: Math.floor(100 * (found.progress ?? 0)) });
    }
    if (found?.items.length === 0) return t(found.next === null ? "search.nothing" : "search.nothingYet");
    return fault;
  }

  const open = ({ room, message }: Found): void => goTo(room.id, message.seq, { keepsPanel: !isPhone });
  const exact = found?.items.filter((item) => !item.near) ?? [];
  const near = found?.items.filter((item) => item.near) ?? [];
  return (
    <>
      <PanelHead title={t("panel.search")} onClose={onClose} />
      <div className="panel__body">
        <search>
          <div className="filters">
            <input
              type="search"
              className="input"
              aria-label={t("search.query")}
              placeholder={t("search.query")}
              value={query}
              onChange={(event) => setSearch({ query: event.target.value })}
              // biome-ignore lint/a11y/noAutofocus: the panel is opened to search
              autoFocus
              maxLength={200}
            />
            <select
              className="input"
              aria-label={t("search.where")}
              value={isHere ? "here" : "all"}
              onChange={(event) => setSearch({ isHere: event.target.value === "here" })}
            >
              <option value="here">{t("search.here")}</option>
              <option value="all">{t("search.everywhere")}</option>
            </select>
            <input
              className="input"
              aria-label={t("search.from")}
              placeholder={t("search.from")}
              value={from}
              onChange={(event) => setSearch({ from: event.target.value })}
              autoCapitalize="none"
              spellCheck={false}
            />
            <label>
              {t("search.since")}
              <input
                type="date"
                className="input"
                value={since}
                onChange={(event) => setSearch({ since: event.target.value })}
              />
            </label>
            <label>
              {t("search.until")}
              <input
                type="date"
                className="input"
                value={until}
                onChange={(event) => setSearch({ until: event.target.value })}
              />
            </label>
          </div>
        </search>
        <p className="quiet" role="status">
          {by && <span dir="auto">{t("search.by", { name: nameOf(by), username: by.username })}</span>}{" "}
          {status()}
        </p>
        <Results name={t("search.results")} items={exact} onOpen={open} />
        {near.length > 0 && (
          <>
            <h3 className="found-similar quiet">{t("search.near")}</h3>
            <Results name={t("search.near")} items={near} onOpen={open} />
          </>
        )}
        {found?.next && (
          <button type="button" className="button button--wide" onClick={() => void more()}>
            {t("list.more")}
          </button>
        )}
      </div>
    </>
  );
}

interface ResultsProps {
  name: string;
  items: Found[];
  onOpen(item: Found): void;
}

function Results({ name, items, onOpen }: ResultsProps) {
  return (
    <ul aria-label={name}>
      {items.map((item) => (
        <li key={`${item.room.id}/${item.message.seq}`}>
          <FoundLink item={item} onOpen={() => onOpen(item)} />
        </li>
      ))}
    </ul>
  );
}

/** It opens the place beside the results, which stay. */
function FoundLink({ item: { message, room, snippet }, onOpen }: { item: Found; onOpen(): void }) {
  const when = useWhen();
  return (
    <button type="button" className="found" onClick={onOpen}>
      <span className="found__head">
        <b className="name" dir="auto">
          {nameOf(message.sender)}
        </b>
        <time dateTime={message.created_at}>{when.full(message.created_at)}</time>
      </span>
      <span className="found__room name" dir="auto">
        {roomName({ kind: room.kind, name: room.name, ...(room.peer && { peer: room.peer }) })}
      </span>
      <span dir="auto">
        {snippet.map(({ text, hit }, index) =>
          // biome-ignore lint/suspicious/noArrayIndexKey: the pieces of a text
          hit ? <mark key={index}>{text}</mark> : text,
        )}
      </span>
    </button>
  );
}

/** The start of a day here, or of one that is so many days later. */
function startOf(day: string, daysLater: number): string {
  const start = new Date(`${day}T00:00:00`);
  start.setDate(start.getDate() + daysLater);
  return start.toISOString();
}

/** Whose messages are sought: they are still being looked up, nobody has that name, or the look-up has failed. */
type Author = UserSummary | "anybody" | "pending" | "nobody" | "failed";

const isNamed = ({ username, full_name }: UserSummary, word: string): boolean =>
  [username, full_name ?? ""].some((name) => fold(name) === fold(word));

/** Who has this name, else the first one of whose names begins so. */
function useAuthor(name: string): Author {
  const { api, client } = useEngine();
  const word = name.trim().replace(/^@/, "");
  const [found, setFound] = useState<{ word: string; author: Author } | null>(null);
  const known = useMemo(() => (word === "" ? undefined : client.personNamed(word)), [client, word]);
  useEffect(() => {
    if (word === "" || known) return undefined;
    let isOver = false;
    const settle = (author: Author): void => {
      if (!isOver) setFound({ word, author });
    };
    const timer = setTimeout(() => {
      bodyOf(api.GET("/api/users", { params: { query: { q: word, limit: 200 } } })).then(
        ({ items }) => settle(items.find((user) => isNamed(user, word)) ?? items[0] ?? "nobody"),
        () => settle("failed"),
      );
    }, 250);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [api, word, known]);
  if (word === "") return "anybody";
  return known ?? (found?.word === word ? found.author : "pending");
}
