// What is being written at the cursor that can be completed: a name, a room, an emoji.

import { begunName } from "../markdown/names.ts";

export interface Begun {
  sign: "@" | "#" | ":";
  word: string;
  /** Where the sign stands. */
  start: number;
}

const ROOM = /(?:^|[\s([{])#([\p{L}\p{M}\p{N}_.-]{0,40})$/u;
const EMOJI = /(?:^|[\s([{])(:)([a-z0-9_+-]{2,32})$/i;

/** Looks at the text before the cursor. */
export function begunAt(text: string): Begun | null {
  const tail = text.slice(-80);
  const offset = text.length - tail.length;
  const name = begunName(tail);
  if (name !== null) return { sign: "@", word: name, start: text.length - name.length - 1 };
  const room = tail.match(ROOM);
  if (room) return { sign: "#", word: room[1] ?? "", start: text.length - (room[1]?.length ?? 0) - 1 };
  const emoji = tail.match(EMOJI);
  if (emoji?.index !== undefined)
    return { sign: ":", word: emoji[2] ?? "", start: offset + tail.length - (emoji[2]?.length ?? 0) - 1 };
  return null;
}
