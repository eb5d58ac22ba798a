// What the tests of the state machine share: a room, its frames, and what is asked of the caller.
import { SyncClient } from "./sync.js";

export const ME = 1;
export const ANA = { id: 2, username: "ana" };

export const room = (more = {}) => {
  const info = {
    id: 12, kind: "public", name: "harbour", topic: "", created_by: 2, created_at: "", rev: 10, last_seq: 5,
    member_count: 2, role: "member", notify: "all", last_read_seq: 5, unread_mentions: 0, mentioned: [], deleted: [], ...more,
  };
  return { unread: info.last_seq - info.last_read_seq - info.deleted.length, ...info };
};
export const message = (seq, rev, more = {}) => ({
  type: "message", room_id: 12, seq, rev, id: `id-${seq}`, kind: "text", sender: ANA, content: `text ${seq}`,
  created_at: "then", ...more,
});
export const ready = (rooms = [room()], epoch = "e1", more = {}) =>
  ({ type: "ready", epoch, rooms, user: { id: ME, username: "me" }, online: [], ...more });
export const sent = (effects, type) =>
  effects.filter((e) => e.do === "send" && e.frame.type === type).map((e) => e.frame);
export const asked = (effects, what) => effects.filter((e) => e.do === what).map((e) => e.request);
export const page = (seqs, rev) => ({ items: seqs.map((seq) => message(seq, seq + 2)), next: null, rev });

/** A client with room 12 synced at rev 10 and its messages 1 to 5 read; all answers have come. */
export function opened() {
  const client = new SyncClient({ userId: ME });
  const effects = [...client.open(12), ...client.receive(ready(), 0)];
  const [sync] = sent(effects, "sync");
  client.receive({ type: "synced", ref: sync.ref, room_id: 12, prev: 10, rev: 10, last_seq: 5, last_read_seq: 5 }, 0);
  client.loaded("page", asked(effects, "page")[0], page([1, 2, 3, 4, 5], 10));
  client.loaded("pins", asked(effects, "pins")[0], { items: [], next: null, rev: 10 });
  return client;
}
