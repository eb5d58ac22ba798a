// Which message of mine is being edited: one at a time.

import { createStore, useStore } from "zustand";

const edited = createStore<{ roomId: number; seq: number } | { roomId: null; seq: null }>(() => ({
  roomId: null,
  seq: null,
}));

export const startEditing = (roomId: number, seq: number): void => edited.setState({ roomId, seq }, true);
export const stopEditing = (): void => edited.setState({ roomId: null, seq: null }, true);
/** The seq of the message that is being edited there. */
export const useEditedSeq = (roomId: number): number | null =>
  useStore(edited, (state) => (state.roomId === roomId ? state.seq : null));
export const useEdited = (roomId: number, seq: number): boolean =>
  useStore(edited, (state) => state.roomId === roomId && state.seq === seq);
