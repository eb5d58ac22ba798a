import type { Role, Room } from "../protocol/types.ts";

export type Duty = "makeAdmin" | "makeMember" | "handOver" | "remove";

/** What I may do with a member of a room (the server decides; this is what is offered). */
export function dutiesWith(info: Partial<Room> | undefined, role: Role | null, isMe: boolean): Duty[] {
  if (!info || role === null || isMe || info.kind === "direct" || info.archived_at) return [];
  const isOwner = info.role === "owner";
  const duties: Duty[] = [];
  if (isOwner) duties.push(role === "admin" ? "makeMember" : "makeAdmin", "handOver");
  if (isOwner || (info.role === "admin" && role === "member")) duties.push("remove");
  return duties;
}

/** Whether I may change a room's settings, pin, and delete others' messages. */
export const mayManage = (info: Partial<Room> | undefined): boolean =>
  info !== undefined && info.kind !== "direct" && (info.role === "owner" || info.role === "admin");

/** In a direct room both may pin. */
export const mayPin = (info: Partial<Room> | undefined): boolean =>
  info !== undefined && (info.kind === "direct" || mayManage(info));
