// The members of a room, and up to where they have read.
import { expect, test } from "vitest";
import type { Effect } from "./effects.ts";
import { ANA, asked, BEN, first, held, I, ME, message, opened, ready, room, sent } from "./support.ts";
import type { SyncClient } from "./sync.ts";

const small = room({ member_count: 3 });
const member = (user: object, rev: number, last_read_seq?: number) => ({
  ...{ user, role: "member", rev, joined_at: "then" },
  ...(last_read_seq !== undefined && { last_read_seq }),
});
const people = (from: number, count: number) =>
  Array.from({ length: count }, (_, index) =>
    member({ id: from + index, username: `user${from + index}` }, 1),
  );

/** A small room whose members have come: Ana has read up to 2, Ben up to 4. */
function read(): SyncClient {
  const client = opened(small);
  expect(held(client).membersLoading, "its members are read though nobody looks at them").not.toBe(null);
  const items = [member(ANA, 2, 2), member(I, 1, 5), member(BEN, 3, 4)];
  client.loaded("members", held(client).membersLoading ?? fail(), { items, next: null, rev: 10 });
  return client;
}

function fail(): never {
  throw new Error("nothing was asked");
}

test("others' markers come with the members, and by what they read, say and join", () => {
  const client = read();
  const ids = (seq: number) => client.readersOf(12, seq);
  expect([1, 2, 3, 4, 5].map(ids), "Ana wrote all of them").toEqual([[3], [3], [3], [3], []]);
  client.receive({ type: "read", room_id: 12, user_id: 3, seq: 5 }, 0);
  client.receive({ type: "read", room_id: 12, user_id: 3, seq: 2 }, 0);
  expect(ids(5), "markers only rise").toEqual([3]);
  client.receive(message(6, 11, { sender: I }), 0);
  expect(ids(6)).toEqual([]);
  client.receive(message(7, 12, { sender: BEN }), 0);
  expect(ids(6), "saying something is reading").toEqual([3]);
  client.receive({ type: "read", room_id: 12, user_id: 2, seq: 7 }, 0);
  expect([ids(6), ids(7)], "without the author").toEqual([[2, 3], [2]]);
  const eve = { id: 9, username: "eve" };
  client.receive(
    { type: "member", room_id: 12, rev: 13, user: eve, role: "member", member_count: 4, at: "now" },
    0,
  );
  expect(ids(6), "whoever joins has read what was there").toEqual([2, 3, 9]);
  client.receive({ type: "member", room_id: 12, rev: 14, user: BEN, role: null, member_count: 3 }, 0);
  expect(ids(6)).toEqual([2, 9]);
  expect(ids(6)).toBe(ids(6));
  expect(client.readersOf(12, 99), "a message that isn't held").toEqual([]);
});

test("whose last read message it is", () => {
  const client = read();
  expect(client.readersAt(12, 4)).toEqual([BEN]);
  expect(client.readersAt(12, 3)).toEqual([]);
  expect(client.readersAt(12, 2), "its author doesn't count").toEqual([]);
});

test("a change of role is no joining, and catch-up doesn't tell when somebody joined", () => {
  const client = read();
  client.receive(
    { type: "member", room_id: 12, rev: 11, user: BEN, role: "admin", member_count: 3, at: "now" },
    0,
  );
  client.receive(message(6, 12, { sender: I }), 0);
  const eve = { id: 9, username: "eve" };
  client.receive(
    { type: "member", room_id: 12, rev: 13, prev: 12, user: eve, role: "member", member_count: 4 },
    0,
  );
  expect(client.readersOf(12, 6)).toEqual([]);
});

test("markers of a room above a hundred members are nobody's", () => {
  const client = opened(room({ member_count: 101 }));
  expect(held(client).membersLoading).toBe(null);
  client.receive({ type: "read", room_id: 12, user_id: 3, seq: 5 }, 0);
  expect(client.readersOf(12, 5)).toEqual([]);
});

test("a room that has grown above a hundred members has no readers any more", () => {
  const client = read();
  const eve = { id: 9, username: "eve" };
  client.receive({ type: "member", room_id: 12, rev: 11, user: eve, role: "member", member_count: 101 }, 0);
  expect([client.readersOf(12, 4), client.readersAt(12, 4)]).toEqual([[], []]);
});

test("after a reconnect the members of the open small room are read again, for ephemeral frames may have been lost", () => {
  const client = read();
  client.disconnected();
  const again = first(asked(client.receive(ready([small]), 0), "members"));
  expect(client.members(12).length, "and shown meanwhile").toBe(3);
  client.loaded("members", again, { items: [member(ANA, 2, 5), member(BEN, 3, 1)], next: null, rev: 10 });
  expect(client.readersOf(12, 4)).toEqual([3]);
  client.disconnected();
  client.loaded("members", first(asked(client.receive(ready([small]), 0), "members")), null);
  expect(client.members(12).length, "what is held stays").toBe(3);
  const reset = client.receive({ type: "reset", room_id: 12, rev: 3, reason: "epoch" }, 0);
  expect(asked(reset, "members").length).toBe(1);
});

test("of a large room one page is read, and more as it is asked for", () => {
  const client = opened(room({ member_count: 1_000 }));
  const request = first(asked(client.open(12, { members: true }), "members"));
  expect(request.limit).toBe(200);
  const rest = client.loaded("members", request, { items: people(10, 200), next: "209", rev: 10 });
  expect(asked(rest, "members")).toEqual([]);
  expect([held(client).membersLoaded, held(client).hasMoreMembers]).toEqual([true, true]);
  const more = first(asked(client.moreMembers(12), "members"));
  expect(more.cursor).toBe("209");
  expect(client.moreMembers(12), "one at a time").toEqual([]);
  client.loaded("members", more, null);
  expect(held(client).hasMoreMembers, "it can be tried again").toBe(true);
  client.loaded("members", first(asked(client.moreMembers(12), "members")), {
    items: people(210, 9),
    next: null,
    rev: 10,
  });
  expect([client.members(12).length, held(client).hasMoreMembers]).toEqual([209, false]);
  client.open(13);
  expect(client.members(12), "nobody looks at them").toEqual([]);
});

test("of a large room, who is online is asked for in batches, for all who are shown", () => {
  const client = opened(room({ member_count: 1_000 }));
  const request = first(asked(client.open(12, { members: true }), "members"));
  const counts = (effects: Effect[]) => asked(effects, "online").map(({ ids }) => ids.length);
  expect(counts(client.loaded("members", request, { items: people(10, 200), next: "209", rev: 10 }))).toEqual(
    [100, 100],
  );
  expect(counts(client.open(12, { members: true })), "as the list is shown again").toEqual([100, 100]);
  expect(asked(client.showsMembers(12, [900, 901]), "online")).toEqual([{ ids: [900, 901] }]);
  expect(asked(opened(small).showsMembers(12, [3]), "online"), "of small ones it is told").toEqual([]);
});

test("members that could not be read can be asked for again", () => {
  const client = opened(room({ member_count: 1_000 }));
  const request = first(asked(client.open(12, { members: true }), "members"));
  expect(held(client).membersFailed).toBe(false);
  client.loaded("members", request, null);
  expect([held(client).membersLoaded, held(client).membersFailed]).toEqual([false, true]);
  const again = first(asked(client.moreMembers(12), "members"));
  expect([again.cursor, held(client).membersFailed]).toEqual([null, false]);
  client.loaded("members", again, { items: people(10, 200), next: "209", rev: 10 });
  client.loaded("members", first(asked(client.moreMembers(12), "members")), null);
  expect([held(client).membersLoaded, held(client).membersFailed]).toEqual([true, true]);
  expect(first(asked(client.moreMembers(12), "members")).cursor).toBe("209");
});

test("a list that never ends is read no further than a large one", () => {
  const client = opened(small);
  let request = held(client).membersLoading;
  let pages = 0;
  for (; request; request = held(client).membersLoading) {
    pages += 1;
    client.loaded("members", request, { items: [member(ANA, 2)], next: "again", rev: 10 });
    if (pages > 500) break;
  }
  expect(pages).toBeLessThan(500);
});

test("my own marker is not among the readers", () => {
  const client = read();
  client.receive(message(6, 11), 0);
  expect(sent(client.markRead(12, 6), "read").length).toBe(1);
  client.receive({ type: "read", room_id: 12, user_id: ME, seq: 6 }, 0);
  expect(client.readersOf(12, 6)).toEqual([]);
});
