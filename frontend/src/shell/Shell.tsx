import { Suspense, useEffect, useRef } from "react";
import { ChatRoom } from "../ChatRoom.tsx";
import { Catalogue } from "../i18n/Catalogue.tsx";
import texts from "../i18n/en.json";
import { useText } from "../i18n/text.ts";
import { part, preload } from "../loading.ts";
import { useClient, useEngine } from "../session/hooks.ts";
import { session, useSession } from "../session/session.ts";
import { forgetEdits } from "../timeline/editing.ts";
import { goalOf } from "../timeline/place.ts";
import { Banner } from "./Banner.tsx";
import { useBackCloses } from "./back.ts";
import { useBadges } from "./badges.ts";
import { offerInvite } from "./leaving.ts";
import { closeMenu, useMenu } from "./menu.ts";
import { useNotifications } from "./notifications.ts";
import { roomName } from "./people.ts";
import { useIsPhone } from "./phone.ts";
import { loadDialogs, loadMenus, loadSwitcher } from "./preloaded.ts";
import { goTo, showPanel, toggleId, usePlace, useReturns } from "./routes.ts";
import { Sidebar } from "./Sidebar.tsx";
import { forgetSearch } from "./search.ts";
import { useShortcuts } from "./shortcuts.ts";
import { Toasts } from "./Toasts.tsx";
import { useTold } from "./told.ts";
import { closeAll, closeDialogs, useUi } from "./ui.ts";
import { Waiting, WaitingPanel } from "./Waiting.tsx";
import "./shell.css";

const PRELOAD_AFTER_MS = 1_000;

const Dialogs = part(loadDialogs);
const Menus = part(loadMenus);
const UserList = part(() => import("../UserList.tsx").then(({ UserList }) => ({ default: UserList })));
const Welcome = part(() => import("./Welcome.tsx").then(({ Welcome }) => ({ default: Welcome })));
const SearchPanel = part(() => import("./SearchPanel.tsx"));
const PinsPanel = part(() => import("./PinsPanel.tsx"));

/** What who is logged in sees, with its texts. */
export function Shell() {
  return (
    <Catalogue texts={texts}>
      <Chat />
    </Catalogue>
  );
}

/** The list of rooms, the open room, and a panel beside it. */
function Chat() {
  const t = useText();
  const engine = useEngine();
  const { roomId, seq, panel: named } = usePlace();
  const isPhone = useIsPhone();
  const isMember = useClient((client) => roomId !== null && client.rooms.has(roomId));
  const panel = isMember ? named : null;
  const isReady = useClient((client) => client.epoch !== null);
  const announcement = useUi((state) => state.announcement);
  const hasDialogs = useUi((state) => state.dialogs.length > 0);
  const hasMenu = useMenu() !== null;
  useReturns(panel);
  useShortcuts();
  useBackCloses();
  useBadges();
  useNotifications(roomId);
  useTold(roomId);

  const asked = useUi((state) => state.asked);
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is asked for again is shown again
  useEffect(() => {
    engine.act((client) => {
      if (roomId === null) return client.close();
      const goal = goalOf(seq);
      return client.open(roomId, goal === "end" || goal === null ? {} : { around: goal.seq });
    });
  }, [engine, roomId, seq, asked]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a panel leaves the place as it is
  useEffect(() => {
    if (roomId !== null) engine.act((client) => client.open(roomId, { members: panel === "members" }));
  }, [engine, roomId, panel, seq, asked]);

  // What had the focus may have gone with the panel: then what had opened it gets it.
  const lastPanel = useRef(panel);
  useEffect(() => {
    const closed = panel === null ? lastPanel.current : null;
    lastPanel.current = panel;
    if (closed !== null && document.activeElement === document.body)
      document.getElementById(toggleId(closed))?.focus();
  }, [panel]);

  // Who came by an invite begins in its room, which is the only one so far.
  const isInvited = useSession((state) => state.isInvited);
  useEffect(() => {
    if (!isInvited || !isReady) return;
    session.setState({ isInvited: false });
    const [first] = engine.client.rooms.keys();
    if (roomId === null && first !== undefined) goTo(first);
  });

  // What was sought and what is open belong to this session.
  useEffect(
    () => () => {
      forgetSearch();
      forgetEdits();
      closeAll();
      closeMenu();
    },
    [],
  );
  const invite = useSession((state) => state.invite);
  useEffect(() => {
    if (invite !== null) void offerInvite(engine, t);
  }, [engine, invite, t]);

  const roomTitle = useClient((client) => {
    const info = roomId === null ? undefined : client.room(roomId)?.info;
    return info ? roomName(info) : "";
  });
  // What fills a phone's screen is its main part.
  const PanelFrame = isPhone ? "main" : "aside";
  // The switcher and menus are to open at once, also without a connection: they are loaded when the rooms are there.
  useEffect(() => {
    if (!isReady) return undefined;
    const timer = setTimeout(
      () => void Promise.allSettled([loadDialogs, loadSwitcher, loadMenus].map(preload)),
      PRELOAD_AFTER_MS,
    );
    return () => clearTimeout(timer);
  }, [isReady]);

  const closePanel = (): void => showPanel(null);
  const showsList = !isPhone || roomId === null;
  const showsRoom = !isPhone || (roomId !== null && panel === null);
  return (
    <div className="shell" data-panel={panel ?? "none"} data-phone={isPhone}>
      {showsList &&
        (isPhone ? (
          <main className="shell__main">
            <Banner />
            <Sidebar />
          </main>
        ) : (
          <Sidebar />
        ))}
      {showsRoom && (
        <div className="shell__main">
          <Banner />
          {roomId !== null && isMember ? (
            <ChatRoom key={roomId} roomId={roomId} />
          ) : (
            <Suspense fallback={null}>
              <Welcome roomId={roomId} isReady={isReady} />
            </Suspense>
          )}
        </div>
      )}
      {roomId !== null && panel !== null && (
        <PanelFrame className="shell__panel" aria-label={t(`panel.${panel}`)}>
          {isPhone && (
            <h1 className="visually-hidden" dir="auto">
              {roomTitle}
            </h1>
          )}
          <Suspense fallback={<WaitingPanel panel={panel} onClose={closePanel} />}>
            {panel === "members" && <UserList roomId={roomId} onClose={closePanel} />}
            {panel === "search" && <SearchPanel roomId={roomId} onClose={closePanel} />}
            {panel === "pins" && <PinsPanel roomId={roomId} onClose={closePanel} />}
          </Suspense>
        </PanelFrame>
      )}
      <div className="visually-hidden" role="status" aria-live="polite">
        {announcement}
      </div>
      <Toasts />
      <Suspense fallback={<Waiting onDrop={closeDialogs} />}>{hasDialogs && <Dialogs />}</Suspense>
      <Suspense fallback={<Waiting onDrop={closeMenu} />}>{hasMenu && <Menus />}</Suspense>
    </div>
  );
}
