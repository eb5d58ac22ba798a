import { CSPProvider } from "@base-ui/react/csp-provider";
import { Menu } from "@base-ui/react/menu";
import { Popover } from "@base-ui/react/popover";
import {
  Archive,
  Bell,
  BellOff,
  Copy,
  Link2,
  LogOut,
  type LucideIcon,
  MailOpen,
  Pencil,
  Pin,
  PinOff,
  Reply,
  Settings,
  SmilePlus,
  Star,
  StarOff,
  Trash2,
  UserPlus,
  UserRound,
} from "lucide-react";
import { Suspense, useEffect } from "react";
import { replyTo } from "../composer/answering.ts";
import { mayManage, mayPin } from "../dialogs/duties.ts";
import { type Text, useText } from "../i18n/text.ts";
import { part } from "../loading.ts";
import { copyText } from "../markdown/copy.ts";
import type { Engine } from "../session/engine.ts";
import { useClient, useEngine } from "../session/hooks.ts";
import { ownPrefs, setUnreadFrom, toggleFavourite, usedReaction } from "../session/prefs.ts";
import { startEditing } from "../timeline/editing.ts";
import { type Actions, useActions } from "./actions.ts";
import { FocusBack } from "./FocusBack.tsx";
import { closeMenu, type MenuOf, menu, useMenu } from "./menu.ts";
import { entryOf, markRead } from "./rooms.ts";
import { linkTo } from "./routes.ts";
import { openDialog, toast } from "./ui.ts";
import { WaitingWords } from "./Waiting.tsx";
import "../dialogs/dialogs.css";

const EmojiPicker = part(() => import("../dialogs/EmojiPicker.tsx"));

interface Entry {
  key: string;
  label: string;
  Icon: LucideIcon;
  isDanger?: boolean;
  act(): void;
}

/** The menu that is open. */
export default function Menus() {
  const t = useText();
  const engine = useEngine();
  const actions = useActions();
  const open = useMenu();
  useClient((client) => client.version); // what can be done follows the message, the room and my role
  const isGone = open !== null && !hasAnything(open.what, engine);
  useEffect(() => {
    if (isGone) closeMenu();
  }, [isGone]);
  if (!open || isGone) return null;
  const { what, anchor, button } = open;
  if (what.kind === "emoji") {
    return (
      <CSPProvider disableStyleElements>
        <Popover.Root open onOpenChange={(isOpen) => !isOpen && closeMenu()}>
          <Popover.Portal>
            <Popover.Positioner
              anchor={anchor}
              side="top"
              align="end"
              sideOffset={6}
              className="menu__positioner"
            >
              <Popover.Popup className="menu menu--picker" aria-label={t("tools.pick")} finalFocus={false}>
                <FocusBack to={button} />
                <Suspense
                  fallback={
                    <div className="emoji-picker quiet">
                      <WaitingWords />
                    </div>
                  }
                >
                  <EmojiPicker
                    onPick={(emoji) => {
                      closeMenu();
                      what.pick(emoji);
                    }}
                  />
                </Suspense>
              </Popover.Popup>
            </Popover.Positioner>
          </Popover.Portal>
        </Popover.Root>
      </CSPProvider>
    );
  }
  const entries = entriesOf(what, engine, actions, t);
  const label = t(`menu.${what.kind}`);
  return (
    <CSPProvider disableStyleElements>
      <Menu.Root open modal={false} onOpenChange={(isOpen) => !isOpen && closeMenu()}>
        <Menu.Portal role="region" aria-label={label}>
          <Menu.Positioner anchor={anchor} align="end" sideOffset={4} className="menu__positioner">
            <Menu.Popup
              className="menu"
              aria-label={label}
              finalFocus={false}
              onContextMenu={(event) => event.preventDefault()} // by the Menu key that has opened it
            >
              <FocusBack to={button} />
              {what.kind === "message" && <Quick what={what} engine={engine} actions={actions} />}
              {entries.map(({ key, label, Icon, isDanger, act }) => (
                <Menu.Item
                  key={key}
                  className="menu__item"
                  data-danger={isDanger}
                  data-action={key}
                  onClick={act}
                >
                  <Icon aria-hidden size={18} />
                  {label}
                </Menu.Item>
              ))}
            </Menu.Popup>
          </Menu.Positioner>
        </Menu.Portal>
      </Menu.Root>
    </CSPProvider>
  );
}

/** Whether the subject of a menu still exists. */
function hasAnything(what: MenuOf, { client }: Engine): boolean {
  if (what.kind === "member") return client.person(what.userId) !== undefined;
  if (what.roomId === undefined) return true;
  if (!("seq" in what) || what.seq === undefined) return client.room(what.roomId) !== undefined;
  const row = client.row(what.roomId, what.seq);
  return row !== undefined && row.deleted_at === undefined;
}

/** The reactions that were used last. */
function Quick({
  what: { roomId, seq },
  engine,
  actions,
}: {
  what: { roomId: number; seq: number };
  engine: Engine;
  actions: Actions;
}) {
  const t = useText();
  const room = engine.client.room(roomId);
  if (room?.info.archived_at) return null;
  return (
    <Menu.Group className="menu__quick">
      {ownPrefs.getState().reactions.map((emoji) => {
        const isMine = engine.client
          .row(roomId, seq)
          ?.reactions?.find((reaction) => reaction.emoji === emoji)?.me;
        return (
          <Menu.Item
            key={emoji}
            className="menu__item"
            aria-label={t("tools.react", { emoji })}
            onClick={() => {
              usedReaction(emoji);
              actions.react(roomId, seq, emoji, !isMine);
            }}
          >
            {emoji}
          </Menu.Item>
        );
      })}
    </Menu.Group>
  );
}

function entriesOf(
  what: Exclude<MenuOf, { kind: "emoji" }>,
  engine: Engine,
  actions: Actions,
  t: Text,
): Entry[] {
  if (what.kind === "message") return messageEntries(what.roomId, what.seq, engine, actions, t);
  if (what.kind === "member") return memberEntries(what.roomId, what.userId, engine, t);
  return roomEntries(what.roomId, engine, actions, t);
}

function messageEntries(roomId: number, seq: number, engine: Engine, actions: Actions, t: Text): Entry[] {
  const room = engine.client.room(roomId);
  const row = engine.client.row(roomId, seq);
  if (!room || !row || row.deleted_at) return [];
  const isMine = row.sender.id === engine.me.id;
  const isOpen = !room.info.archived_at;
  const copied = (isDone: boolean): void => void toast(t(isDone ? "copy.done" : "copy.failed"));
  const entries: (Entry | false)[] = [
    isOpen && {
      key: "reply",
      label: t("tools.reply"),
      Icon: Reply,
      act: () => queueMicrotask(() => replyTo(roomId, seq)), // the item takes the focus once more upon the click
    },
    isOpen && {
      key: "react",
      label: t("tools.pick"),
      Icon: SmilePlus,
      act: () => pickReaction(roomId, seq, engine, actions),
    },
    isOpen &&
      isMine && { key: "edit", label: t("tools.edit"), Icon: Pencil, act: () => startEditing(roomId, seq) },
    {
      key: "copy",
      label: t("tools.copy"),
      Icon: Copy,
      act: () => void copyText(row.content ?? "").then(copied),
    },
    {
      key: "link",
      label: t("tools.link"),
      Icon: Link2,
      act: () => void copyText(linkTo(roomId, seq)).then(copied),
    },
    { key: "unread", label: t("tools.unread"), Icon: MailOpen, act: () => setUnreadFrom(roomId, seq) },
    isOpen &&
      mayPin(room.info) && {
        key: "pin",
        label: t(row.pinned_at ? "tools.unpin" : "tools.pin"),
        Icon: row.pinned_at ? PinOff : Pin,
        act: () => void actions.pin(roomId, seq, !row.pinned_at),
      },
    isOpen &&
      (isMine || mayManage(room.info)) && {
        key: "delete",
        label: t("tools.delete"),
        Icon: Trash2,
        isDanger: true,
        act: () => engine.deleteSoon(roomId, seq),
      },
  ];
  return entries.filter((entry) => entry !== false);
}

/** Shows the picker in the menu's place, once that has closed. */
function pickReaction(roomId: number, seq: number, engine: Engine, actions: Actions): void {
  const { open } = menu.getState();
  if (!open) return;
  const pick = (emoji: string): void => {
    const isMine = engine.client.row(roomId, seq)?.reactions?.find((one) => one.emoji === emoji)?.me;
    usedReaction(emoji);
    actions.react(roomId, seq, emoji, !isMine);
  };
  setTimeout(() => menu.setState({ open: { ...open, what: { kind: "emoji", roomId, seq, pick } } }));
}

function memberEntries(roomId: number, userId: number, engine: Engine, t: Text): Entry[] {
  const user = engine.client.person(userId);
  return user
    ? [
        {
          key: "profile",
          label: t("person.show"),
          Icon: UserRound,
          act: () => openDialog({ kind: "person", user, roomId }),
        },
      ]
    : [];
}

function roomEntries(roomId: number, engine: Engine, actions: Actions, t: Text): Entry[] {
  const room = engine.client.room(roomId);
  if (!room) return [];
  const { info } = room;
  const isFavourite = ownPrefs.getState().favourites.includes(roomId);
  const isMuted = info.notify === "none";
  const isRoom = info.kind !== "direct";
  const entries: (Entry | false)[] = [
    entryOf(engine.client, engine.drafts, room).unread > 0 && {
      key: "read",
      label: t("room.markRead"),
      Icon: MailOpen,
      act: () => markRead(engine, room),
    },
    {
      key: "favourite",
      label: t(isFavourite ? "room.unfavourite" : "room.favourite"),
      Icon: isFavourite ? StarOff : Star,
      act: () => toggleFavourite(roomId),
    },
    {
      key: "mute",
      label: t(isMuted ? "room.unmute" : "room.mute"),
      Icon: isMuted ? Bell : BellOff,
      act: () => void actions.notify(roomId, isMuted ? "all" : "none"),
    },
    isRoom &&
      !info.archived_at && {
        key: "invite",
        label: t("members.invite"),
        Icon: UserPlus,
        act: () => openDialog({ kind: "invite", roomId }),
      },
    {
      key: "settings",
      label: t("room.settings"),
      Icon: Settings,
      act: () => openDialog({ kind: "room", roomId }),
    },
    isRoom &&
      mayManage(info) && {
        key: "archive",
        label: t(info.archived_at ? "archive.back" : "archive.title"),
        Icon: Archive,
        act: () => void actions.archive(roomId, !info.archived_at),
      },
    isRoom && {
      key: "leave",
      label: t("leave.open"),
      Icon: LogOut,
      isDanger: true,
      act: () => void actions.leave(roomId),
    },
  ];
  return entries.filter((entry) => entry !== false);
}
