// Which room is open, and what of it is to be shown.

import type { RoomId } from "../protocol/types.ts";
import type { Reader } from "./reader.ts";
import type { RoomState } from "./room.ts";

export interface OpenOptions {
  /** Its members are shown. */
  members?: boolean;
  /** The message to open it at. */
  around?: number;
}

export class Opening {
  readonly #rooms: ReadonlyMap<RoomId, RoomState>;
  readonly #reader: Reader;
  #roomId: RoomId | null = null;
  #showsMembers = false;
  /** What the room is to show as soon as it is known: a message, or the first unread one. */
  #goal: number | "unread" | null = null;

  constructor(rooms: ReadonlyMap<RoomId, RoomState>, reader: Reader) {
    this.#rooms = rooms;
    this.#reader = reader;
  }

  get room(): RoomState | undefined {
    return this.#roomId === null ? undefined : this.#rooms.get(this.#roomId);
  }

  /** Opens a room, and gives the one that was open. The address may name one before `ready` has told of it. */
  open(roomId: RoomId, { members = false, around }: OpenOptions): RoomState | undefined {
    const isOther = roomId !== this.#roomId;
    const left = isOther ? this.close() : undefined;
    if (around !== undefined) this.#goal = around;
    else if (isOther) this.#goal = "unread";
    this.#roomId = roomId;
    this.#showsMembers = members;
    this.load();
    return left;
  }

  /** Gives the room that was open, which is held no more than others from now on. */
  close(): RoomState | undefined {
    const { room } = this;
    this.#roomId = null;
    if (!room) return undefined;
    room.isOpen = room.showsMembers = false;
    room.shrink();
    return room;
  }

  /** Asks for what is to be shown and isn't there yet. */
  load(): void {
    const { room } = this;
    if (!room) return;
    room.isOpen = true;
    room.showsMembers = this.#showsMembers;
    if (this.#goal === "unread") this.#reader.showUnread(room);
    else if (this.#goal !== null) this.#reader.show(room, this.#goal);
    this.#goal = null;
    this.#reader.open(room);
  }

  /** The same on a new socket. Others' markers are ephemeral, and some may have been lost. */
  loadAnew(): void {
    const { room } = this;
    if (room?.isSmall && room.members.loaded) this.#reader.members(room, null);
    this.load();
  }

  /** What is held of the room is void: it will be read again where it stands now. */
  voided(room: RoomState): void {
    if (room.id === this.#roomId && room.view === "away") this.#goal = room.around;
  }
}
