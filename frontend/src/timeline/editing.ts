// The messages of mine that are being changed. What is written so far is kept here: its box comes and goes with the row.

import { type RefObject, useEffect, useLayoutEffect, useRef } from "react";
import { createStore, useStore } from "zustand";
import { useText } from "../i18n/text.ts";
import { useEngine } from "../session/hooks.ts";
import { copying } from "../shell/copying.ts";
import { toast } from "../shell/ui.ts";
import type { Entry } from "./items.ts";
import type { ListHandle } from "./source.ts";

export interface Edit {
  readonly roomId: number;
  readonly seq: number;
  /** What stands in the box, which tells it without drawing anything anew; null: what the message says. */
  text: string | null;
  /** The message's text when the box was filled; null before. */
  base: string | null;
  /** The box is to take the focus, once. */
  isAsked: boolean;
}

const edits = createStore<readonly Edit[]>(() => []);

const isOf = (edit: Edit, roomId: number, seq: number): boolean => edit.roomId === roomId && edit.seq === seq;
const findIn = (all: readonly Edit[], roomId: number, seq: number): Edit | undefined =>
  all.find((edit) => isOf(edit, roomId, seq));
const others = (roomId: number, seq: number): Edit[] =>
  edits.getState().filter((edit) => !isOf(edit, roomId, seq));

/** Begins to change a message, or goes on with it. */
export function startEditing(roomId: number, seq: number): void {
  const { text = null, base = null } = findIn(edits.getState(), roomId, seq) ?? {};
  edits.setState([...others(roomId, seq), { roomId, seq, text, base, isAsked: true }], true);
}

/** A change that was refused stands in its box again. */
export function putBack(roomId: number, seq: number, text: string): void {
  const all = edits.getState();
  if (!findIn(all, roomId, seq))
    edits.setState([...all, { roomId, seq, text, base: null, isAsked: false }], true);
}

export const stopEditing = (roomId: number, seq: number): void => edits.setState(others(roomId, seq), true);
/** The session has ended. */
export const forgetEdits = (): void => edits.setState([], true);

/** How this message is being changed. */
export const useEdit = (roomId: number, seq: number): Edit | undefined =>
  useStore(edits, (all) => findIn(all, roomId, seq));

/** Shows what is to be changed, and ends it when the message is deleted. Gives the seqs of those that are being changed. */
export function useEditing(
  roomId: number,
  entries: readonly Entry[],
  handle: RefObject<ListHandle | null>,
): readonly number[] {
  const t = useText();
  const engine = useEngine();
  const all = useStore(edits);
  const shown = useRef<Edit | undefined>(undefined);

  useLayoutEffect(() => {
    const asked = all.findLast((edit) => edit.isAsked && edit.roomId === roomId);
    if (!asked || asked === shown.current) return;
    const entry = entries.find(({ row }) => row?.seq === asked.seq);
    if (!entry) return;
    shown.current = asked;
    handle.current?.showKey(entry.key);
  }, [all, entries, roomId, handle]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the entries change when a message is deleted
  useEffect(() => {
    for (const { roomId: of, seq, text } of all) {
      if (of !== roomId || engine.client.row(roomId, seq)?.deleted_at === undefined) continue;
      stopEditing(roomId, seq);
      toast(t("edit.gone"), text === null ? undefined : copying(t, text));
    }
  }, [engine, roomId, t, all, entries]);

  return all.filter((edit) => edit.roomId === roomId).map(({ seq }) => seq);
}
