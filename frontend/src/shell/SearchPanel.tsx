import { X } from "lucide-react";
import { useEffect, useState } from "react";
import { wordsOf } from "../forms/useForm.ts";
import { useText } from "../i18n/text.ts";
import type { Found, FoundList, UserSummary } from "../protocol/types.ts";
import { useClient, useEngine } from "../session/hooks.ts";
import { bodyOf } from "../session/http.ts";
import { nameOf, roomName } from "./people.ts";
import { useIsPhone } from "./phone.ts";
import { goTo } from "./routes.ts";
import { setSearch, useSearch } from "./search.ts";
import { useWhen } from "./time.ts";
import { toast } from "./ui.ts";

const ASK_AFTER_MS = 400; // the server takes two a second
const PAGES_MAX = 10;

/** Searches messages: in this room or in all, by author, by date. Query and filters stay when one comes back. */
export default function SearchPanel({ roomId, onClose }: { roomId: number; onClose(): void }) {
  const t = useText();
  const engine = useEngine();
  const isPhone = useIsPhone();
  const { query, isHere, from, since, until } = useSearch();
  const [found, setFound] = useState<{ items: Found[]; next: string | null } | null>(null);
  const [isBusy, setBusy] = useState(false);
  const [note, setNote] = useState("");
  const author = useAuthor(from);
  const q = query.trim();
  const isReady = /[\p{L}\p{N}]/u.test(q);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `sought` reads these
  useEffect(() => {
    setFound(null);
    setNote("");
    if (!isReady) return undefined;
    let isOver = false;
    setBusy(true);
    const timer = setTimeout(async () => {
      try {
        const page = await sought(undefined);
        if (isOver) return;
        setFound(page);
        setNote(page.items.length === 0 ? t("search.nothing") : "");
      } catch (problem) {
        if (!isOver) setNote(wordsOf(problem, t));
      } finally {
        if (!isOver) setBusy(false);
      }
    }, ASK_AFTER_MS);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [engine, q, isReady, isHere, roomId, author, since, until, t]);

  /** The next results within the dates. The server knows no dates, so pages are read until some are there, or the dates are passed. */
  async function sought(cursor: string | undefined): Promise<{ items: Found[]; next: string | null }> {
    let items: Found[] = [];
    let next: string | null | undefined = cursor;
    for (let page = 0; page < PAGES_MAX && items.length === 0 && next !== null; page += 1) {
      const answer: FoundList = await bodyOf(
        engine.api.GET("/api/chat/search", {
          params: {
            query: {
              q,
              limit: 30,
              ...(isHere && { room_id: roomId }),
              ...(author && { from: author.id }),
              ...(next !== undefined && { cursor: next }),
            },
          },
        }),
      );
      items = answer.items.filter(({ message: { created_at } }) => isWithin(created_at, since, until));
      next = answer.next;
      const last = answer.items.at(-1)?.message.created_at;
      if (since !== "" && last !== undefined && Date.parse(last) < startOf(since)) next = null; // the newest come first
    }
    return { items, next: next ?? null };
  }

  async function more(): Promise<void> {
    if (!found?.next || isBusy) return;
    setBusy(true);
    try {
      const page = await sought(found.next);
      setFound({ items: [...found.items, ...page.items], next: page.next });
    } catch (problem) {
      toast(wordsOf(problem, t));
    } finally {
      setBusy(false);
    }
  }

  return (
    <>
      <header className="panel__head">
        <h2>{t("panel.search")}</h2>
        <button
          type="button"
          className="icon-button"
          aria-label={t("panel.close")}
          title={t("panel.close")}
          onClick={onClose}
        >
          <X aria-hidden size={20} />
        </button>
      </header>
      <div className="panel__body">
        <search>
          <div className="filters">
            <input
              type="search"
              className="input"
              style={{ flexBasis: "100%" }}
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
            <label className="visually-hidden" htmlFor="search-since">
              {t("search.since")}
            </label>
            <input
              id="search-since"
              type="date"
              className="input"
              title={t("search.since")}
              value={since}
              onChange={(event) => setSearch({ since: event.target.value })}
            />
            <label className="visually-hidden" htmlFor="search-until">
              {t("search.until")}
            </label>
            <input
              id="search-until"
              type="date"
              className="input"
              title={t("search.until")}
              value={until}
              onChange={(event) => setSearch({ until: event.target.value })}
            />
          </div>
        </search>
        <p className="quiet" role="status">
          {isBusy ? t("search.busy") : from.trim() !== "" && author === null ? t("search.noAuthor") : note}
        </p>
        <ul aria-label={t("search.results")}>
          {found?.items.map((item) => (
            <li key={`${item.room.id}/${item.message.seq}`}>
              <FoundLink
                item={item}
                onOpen={() => goTo(item.room.id, item.message.seq, { keepsPanel: !isPhone })}
              />
            </li>
          ))}
        </ul>
        {found?.next && (
          <button type="button" className="button button--wide" onClick={() => void more()}>
            {t("list.more")}
          </button>
        )}
      </div>
    </>
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

const startOf = (day: string): number => new Date(`${day}T00:00:00`).getTime();
const DAY_MS = 86_400_000;

function isWithin(at: string, since: string, until: string): boolean {
  const moment = Date.parse(at);
  return (since === "" || moment >= startOf(since)) && (until === "" || moment < startOf(until) + DAY_MS);
}

/** The author of this name; null: nobody has it; undefined: none is asked for, or they are still being looked up. */
function useAuthor(name: string): UserSummary | null | undefined {
  const { api } = useEngine();
  const [author, setAuthor] = useState<UserSummary | null | undefined>();
  const word = name.trim().replace(/^@/, "");
  const known = useClient((client) => client.personNamed(word));
  useEffect(() => {
    setAuthor(undefined);
    if (word === "" || known) return undefined;
    let isOver = false;
    const timer = setTimeout(() => {
      bodyOf(api.GET("/api/users", { params: { query: { q: word, limit: 1 } } })).then(
        ({ items }) => !isOver && setAuthor(items[0] ?? null),
        () => {},
      );
    }, 250);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [api, word, known]);
  return known ?? author;
}
