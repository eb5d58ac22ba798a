// What fits what is being written: members, rooms, emoji.

import { plain } from "../markdown/names.ts";
import type { UserSummary } from "../protocol/types.ts";
import type { Engine } from "../session/engine.ts";
import { bodyOf } from "../session/http.ts";
import { nameOf, roomName } from "../shell/people.ts";
import type { Begun } from "./begun.ts";

const CHOICES_MAX = 8;

export interface Choice {
  key: string;
  label: string;
  note?: string;
  user?: UserSummary;
  /** What takes the place of what was begun. */
  text: string;
}

const ofUser = (user: UserSummary): Choice => ({
  key: `@${user.id}`,
  label: nameOf(user),
  note: `@${user.username}`,
  user,
  text: `@${user.username} `,
});

/** Where the words of a name begin, as the server has it: between them is white space or punctuation of ASCII. */
const WORD = /(?<![^\s!-/:-@[-`{-~])[^\s!-/:-@[-`{-~]/gu;

/** Whether the full name, from any of its words on, begins so. Both are `plain`. */
const isNamed = (fullName: string, begun: string): boolean =>
  [...fullName.matchAll(WORD)].some(({ index }) => fullName.startsWith(begun, index));

/** Characters that have a meaning in the text of a link. */
const SIGNS = /[\\[\]*~`]|(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])/gu;

/** What is known here, at once. */
export function knownChoices(engine: Engine, roomId: number, { sign, word }: Begun): Choice[] {
  const begun = plain(word);
  const { client, me } = engine;
  if (sign === "@") {
    const fits = (user: UserSummary): boolean =>
      plain(user.username).startsWith(begun) || isNamed(plain(nameOf(user)), begun);
    const people = client
      .members(roomId)
      .map(({ user }) => user)
      .filter((user) => user.id !== me.id && fits(user));
    const all: Choice[] =
      "all".startsWith(begun) && begun !== "" && client.members(roomId).length > 2
        ? [{ key: "@all", label: "@all", text: "@all " }]
        : [];
    return [...people.slice(0, CHOICES_MAX).map(ofUser), ...all];
  }
  if (sign === "#") {
    return [...client.rooms.values()]
      .filter(({ info }) => info.kind !== "direct" && plain(info.name).includes(begun))
      .slice(0, CHOICES_MAX)
      .map(({ id, info }) => ({
        key: `#${id}`,
        label: `#${roomName(info)}`,
        ...(info.topic && { note: info.topic }),
        text: `[#${info.name.replace(SIGNS, "\\$&")}](${location.origin}/room/${id}) `,
      }));
  }
  return [];
}

/** What the server knows beside that, and emoji, whose names are loaded on first use. */
export async function moreChoices(engine: Engine, roomId: number, { sign, word }: Begun): Promise<Choice[]> {
  if (sign === ":") {
    const { searchEmoji } = await import("../markdown/emoji.ts");
    const found = await searchEmoji(word, CHOICES_MAX);
    return found.map(({ emoji, name }) => ({ key: emoji, label: `${emoji}  ${name}`, text: `${emoji} ` }));
  }
  const room = engine.client.room(roomId);
  if (sign !== "@" || word === "" || !room || (room.membersLoaded && !room.hasMoreMembers)) return [];
  const { items } = await bodyOf(
    engine.api.GET("/api/chat/rooms/{room}/members", {
      params: { path: { room: roomId }, query: { q: word, limit: CHOICES_MAX } },
    }),
  );
  return items
    .map(({ user }) => user)
    .filter((user) => user.id !== engine.me.id)
    .map(ofUser);
}

/** Each once, the known ones first. */
export function joined(known: readonly Choice[], more: readonly Choice[]): Choice[] {
  return [...new Map([...known, ...more].map((choice) => [choice.key, choice])).values()].slice(
    0,
    CHOICES_MAX,
  );
}
