import { Compass, MessageSquarePlus, UserRoundSearch } from "lucide-react";
import { useEffect, useState } from "react";
import { Link } from "wouter";
import { useText } from "../i18n/text.ts";
import type { Room } from "../protocol/types.ts";
import { useClient, useEngine } from "../session/hooks.ts";
import { bodyOf, Problem } from "../session/http.ts";
import { useActions } from "./actions.ts";
import { nameOf } from "./people.ts";
import { useIsPhone } from "./phone.ts";
import { ToList } from "./RoomHead.tsx";
import { openDialog } from "./ui.ts";

/** What stands where no room is open: what to do first, or why the room of the address isn't there. */
export function Welcome({ roomId, isReady }: { roomId: number | null; isReady: boolean }) {
  const isPhone = useIsPhone();
  if (roomId === null)
    return (
      <main className="welcome" aria-busy={!isReady}>
        {isReady && <FirstSteps />}
      </main>
    );
  return (
    <main className="stranger">
      {isPhone && (
        <header className="room-head">
          <ToList />
        </header>
      )}
      {isReady ? <Stranger roomId={roomId} /> : <div className="welcome" aria-busy />}
    </main>
  );
}

/** The three ways to begin. */
export function FirstSteps() {
  const t = useText();
  const name = useClient((_, { me }) => nameOf(me));
  const hasRooms = useClient((client) => client.rooms.size > 0);
  return (
    <div className="welcome__card">
      <img src="/favicon.svg" alt="" width={56} height={56} />
      <h1>{hasRooms ? t("welcome.back") : t("welcome.title", { name })}</h1>
      <p className="quiet">{t(hasRooms ? "welcome.choose" : "welcome.lead")}</p>
      <div className="welcome__ways">
        <button type="button" className="way" onClick={() => openDialog({ kind: "browse" })}>
          <Compass aria-hidden />
          <span>
            <b>{t("welcome.browse")}</b>
            <small>{t("welcome.browse.hint")}</small>
          </span>
        </button>
        <button type="button" className="way" onClick={() => openDialog({ kind: "newRoom" })}>
          <MessageSquarePlus aria-hidden />
          <span>
            <b>{t("welcome.new")}</b>
            <small>{t("welcome.new.hint")}</small>
          </span>
        </button>
        <button type="button" className="way" onClick={() => openDialog({ kind: "switcher" })}>
          <UserRoundSearch aria-hidden />
          <span>
            <b>{t("welcome.people")}</b>
            <small>{t("welcome.people.hint")}</small>
          </span>
        </button>
      </div>
    </div>
  );
}

/** A room that isn't mine: it can be joined, or it can't be seen. */
function Stranger({ roomId }: { roomId: number }) {
  const t = useText();
  const { api } = useEngine();
  const { join } = useActions();
  const isLive = useClient((_, { line }) => line.state === "live");
  const [found, setFound] = useState<Room | "missing" | null>(null);
  useEffect(() => {
    let isOver = false;
    setFound(null);
    if (!isLive) return undefined;
    bodyOf(api.GET("/api/chat/rooms/{room}", { params: { path: { room: roomId } } })).then(
      (room) => !isOver && setFound(room),
      (problem) => !isOver && problem instanceof Problem && problem.status === 404 && setFound("missing"),
    );
    return () => {
      isOver = true;
    };
  }, [api, roomId, isLive]);
  if (found === null) return <div className="welcome" aria-busy />;
  const isMissing = found === "missing";
  return (
    <div className="welcome">
      <div className="welcome__card">
        <h1 dir="auto">{isMissing ? t("stranger.missing") : found.name}</h1>
        <p className="quiet">
          {isMissing ? t("stranger.missing.lead") : t("stranger.lead", { count: found.member_count })}
        </p>
        {!isMissing && found.topic && <p dir="auto">{found.topic}</p>}
        {isMissing ? (
          <Link href="/" className="button">
            {t("stranger.home")}
          </Link>
        ) : (
          <button type="button" className="button button--main" onClick={() => join(roomId)}>
            {t("stranger.join")}
          </button>
        )}
      </div>
    </div>
  );
}
