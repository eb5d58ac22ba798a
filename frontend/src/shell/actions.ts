// What people do with rooms and each other: a request, and a word where it failed.

import { useMemo } from "react";
import { type Duty, dutiesWith } from "../dialogs/duties.ts";
import { wordsOf } from "../forms/useForm.ts";
import { useText } from "../i18n/text.ts";
import { spelled, spelledNow } from "../markdown/spelling.ts";
import type { Notify, Role, Room, UserSummary } from "../protocol/types.ts";
import { useEngine } from "../session/hooks.ts";
import { bodyOf } from "../session/http.ts";
import { isolated, nameOf, roomName } from "./people.ts";
import { goTo, goToList, openRoom } from "./routes.ts";
import { confirmed, toast, ui } from "./ui.ts";

export function useActions() {
  const engine = useEngine();
  const t = useText();
  return useMemo(() => {
    const { api, client } = engine;

    /** Does it, or says why not; answers whether it was done. */
    async function attempt(act: () => Promise<unknown>): Promise<boolean> {
      try {
        await act();
        return true;
      } catch (problem) {
        toast(wordsOf(problem, t));
        return false;
      }
    }

    /** Asks for a room and goes there. It is offered instead when the reader has gone on meanwhile: been elsewhere, written, or closed a dialog. */
    async function enter(ask: () => Promise<Room>): Promise<void> {
      const { dialogs } = ui.getState();
      const { pathname } = location;
      let hasWritten = false;
      const write = (): void => {
        hasWritten = true;
      };
      addEventListener("input", write);
      try {
        const room = await ask();
        engine.act((client) => client.joined(room));
        const open = (): void => goTo(room.id);
        if (!hasWritten && pathname === location.pathname && dialogs === ui.getState().dialogs) open();
        else toast(t("enter.ready", { room: roomName(room) }), { label: t("enter.open"), act: open });
      } finally {
        removeEventListener("input", write);
      }
    }

    const of = (room: number) => ({ params: { path: { room } } });
    const ofMember = (room: number, user: number) => ({ params: { path: { room, user } } });
    const ofMessage = (room: number, seq: number) => ({ params: { path: { room, seq } } });

    /** Whether I may no longer do this with a member. One who isn't held may still be there. */
    const isPast = (duty: Duty, roomId: number, userId: number) => (): boolean => {
      const room = client.room(roomId);
      const member = room?.members.get(userId);
      return !dutiesWith(room?.info, member ? member.role : "member", false).includes(duty);
    };

    return {
      attempt,
      enter,

      join: (roomId: number) =>
        attempt(() => enter(() => bodyOf(api.POST("/api/chat/rooms/{room}/join", of(roomId))))),

      direct: (user: Pick<UserSummary, "id">) =>
        attempt(() => enter(() => bodyOf(api.POST("/api/chat/direct", { body: { user_id: user.id } })))),

      async leave(roomId: number): Promise<void> {
        const info = client.room(roomId)?.info;
        if (!info) return;
        const yes = await confirmed({
          title: t("leave.title", { room: isolated(roomName(info)) }),
          text: t(info.kind === "private" ? "leave.private" : "leave.public"),
          yes: t("leave.yes"),
          isDanger: true,
          isMoot: () => !client.rooms.has(roomId),
        });
        const isDone = yes && (await attempt(() => api.POST("/api/chat/rooms/{room}/leave", of(roomId))));
        if (isDone && openRoom() === roomId) goToList();
      },

      notify: (roomId: number, notify: Notify) =>
        attempt(async () => {
          const room = await bodyOf(
            api.PATCH("/api/chat/rooms/{room}/me", { ...of(roomId), body: { notify } }),
          );
          engine.act(() => client.joined(room));
        }),

      async archive(roomId: number, archived: boolean): Promise<void> {
        await attempt(() => api.PATCH("/api/chat/rooms/{room}", { ...of(roomId), body: { archived } }));
      },

      async deleteRoom(roomId: number): Promise<void> {
        const info = client.room(roomId)?.info;
        if (!info) return;
        const yes = await confirmed({
          title: t("deleteRoom.title", { room: isolated(roomName(info)) }),
          text: t("deleteRoom.text"),
          yes: t("deleteRoom.yes"),
          isDanger: true,
          isMoot: () => client.room(roomId)?.info.role !== "owner",
        });
        const isDone = yes && (await attempt(() => api.DELETE("/api/chat/rooms/{room}", of(roomId))));
        if (isDone && openRoom() === roomId) goToList();
      },

      setRole: (roomId: number, user: UserSummary, role: Role) =>
        attempt(() =>
          api.PATCH("/api/chat/rooms/{room}/members/{user}", {
            ...ofMember(roomId, user.id),
            body: { role },
          }),
        ),

      async handOver(roomId: number, user: UserSummary): Promise<void> {
        const yes = await confirmed({
          title: t("handOver.title", { name: isolated(nameOf(user)) }),
          text: t("handOver.text", { name: isolated(nameOf(user)) }),
          yes: t("handOver.yes"),
          isMoot: isPast("handOver", roomId, user.id),
        });
        if (yes) await this.setRole(roomId, user, "owner");
      },

      async removeMember(roomId: number, user: UserSummary): Promise<void> {
        const yes = await confirmed({
          title: t("remove.title", { name: isolated(nameOf(user)) }),
          text: t("remove.text", { name: isolated(nameOf(user)) }),
          yes: t("remove.yes"),
          isDanger: true,
          isMoot: isPast("remove", roomId, user.id),
        });
        if (yes)
          await attempt(() => api.DELETE("/api/chat/rooms/{room}/members/{user}", ofMember(roomId, user.id)));
      },

      pin: (roomId: number, seq: number, isOn: boolean) =>
        attempt(() =>
          isOn
            ? api.PUT("/api/chat/rooms/{room}/messages/{seq}/pin", ofMessage(roomId, seq))
            : api.DELETE("/api/chat/rooms/{room}/messages/{seq}/pin", ofMessage(roomId, seq)),
        ),

      react: (roomId: number, seq: number, emoji: string, on: boolean) =>
        engine.act((state, now) => state.change({ type: "react", room_id: roomId, seq, emoji, on }, now)),

      /** If the names of emoji aren't loaded, the edit is saved at once, and again with the emoji. */
      edit: (roomId: number, seq: number, content: string) => {
        const say = (text: string): void =>
          engine.act((state, now) =>
            state.change({ type: "edit", room_id: roomId, seq, content: text }, now),
          );
        const ready = spelledNow(content);
        say(ready ?? content);
        if (ready !== null) return;
        void spelled(content).then((text) => {
          if (text !== content && client.row(roomId, seq)?.content === content) say(text);
        });
      },

      deleteMessage: (roomId: number, seq: number) =>
        engine.act((state, now) => state.change({ type: "delete", room_id: roomId, seq }, now)),
    };
  }, [engine, t]);
}

export type Actions = ReturnType<typeof useActions>;
