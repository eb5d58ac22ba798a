// Who is online, and who is typing.
import { expect, test } from "vitest";
import { ANA, asked, BEN, first, item, ME, message, opened, ready, room, sent } from "./support.ts";
import { SyncClient } from "./sync.ts";

test("presence is a set that a reconnect starts anew", () => {
  const client = opened();
  const online = (...ids: number[]) => ids.map((id) => client.isOnline(id));
  client.receive({ type: "presence", online: [2, 3], offline: [] }, 0);
  client.receive({ type: "presence", online: [], offline: [3] }, 0);
  expect(online(2, 3, ME)).toEqual([true, false, true]);
  client.disconnected();
  expect(online(2, ME)).toEqual([false, false]);
  client.receive(ready([room()], "e1", { online: [3] }), 0);
  expect(online(2, 3)).toEqual([false, true]);
});

test("who types is shown for six seconds, or until the message comes", () => {
  const client = opened();
  const effects = client.receive({ type: "typing", room_id: 12, user_id: 3 }, 0);
  expect(asked(effects, "people")).toEqual([{ ids: [3] }]);
  expect(client.typists(12, 1), "nobody knows the name yet").toEqual([]);
  client.loaded("people", { ids: [3] }, { items: [BEN] });
  expect(client.typists(12, 5_999)).toEqual([BEN]);
  expect(client.typists(12, 6_000)).toEqual([]);
  client.receive({ type: "typing", room_id: 12, user_id: 2 }, 7_000);
  expect(client.typists(12, 7_001)).toEqual([ANA]);
  client.receive(message(6, 11), 7_002);
  expect(client.typists(12, 7_003)).toEqual([]);
});

test("that I type is told every three seconds at most, and anew after a message", () => {
  const client = opened();
  const told = (now: number) => sent(client.typed(12, now), "typing").length;
  expect([told(0), told(2_999), told(3_000)]).toEqual([1, 0, 1]);
  client.enqueue(item("a"), 3_100);
  expect(told(3_200)).toBe(1);
});

test("in a large room the members are asked for who is online", () => {
  const client = opened(room({ member_count: 500 }));
  const request = first(asked(client.open(12, { members: true }), "members"));
  const items = [{ user: ANA, role: "owner", rev: 1 }];
  const online = first(asked(client.loaded("members", request, { items, next: null, rev: 10 }), "online"));
  expect(online).toEqual({ ids: [2] });
  client.loaded("online", online, { items: [ANA] });
  expect(client.isOnline(2)).toBe(true);
});

test("a new name is the only one of somebody, wherever they stand", () => {
  const direct = room({ id: 13, kind: "direct", peer: ANA });
  const client = opened();
  client.joined(direct);
  const effects = client.open(12, { members: true });
  client.loaded("members", first(asked(effects, "members")), {
    items: [{ user: ANA, role: "member", rev: 3 }],
    next: null,
    rev: 10,
  });
  const names = () => [
    ...client.rows(12).map(({ sender }) => sender.full_name),
    ...client.members(12).map(({ user }) => user.full_name),
    client.room(13)?.info.peer?.full_name,
    client.person(ANA.id)?.full_name,
  ];
  const rows = client.rows(12);
  client.receive(message(6, 11, { sender: { ...ANA } }), 0);
  expect(client.rows(12).slice(0, 5), "the same name changes nothing").toEqual(rows);
  expect(client.rows(12)[0]).toBe(rows[0]);
  client.receive(message(7, 12, { sender: { ...ANA, full_name: "Ana New" } }), 0);
  expect(new Set(names())).toEqual(new Set(["Ana New"]));
  expect(names().length).toBe(10);
  expect(client.room(12)?.preview?.sender.full_name).toBe("Ana New");
});

test("on a new socket those who are shown are asked for anew, once, and so are those who were kept", () => {
  const before = opened();
  expect(asked(before.open(12), "people")).toEqual([]);
  const frozen = before.freeze(12);
  if (!frozen) throw new Error();
  const cached = { epoch: "e1", rooms: [structuredClone(frozen)] };
  before.disconnected();
  for (const client of [before, new SyncClient({ userId: ME, cached })]) {
    const effects = [...client.open(12), ...client.receive(ready([room()]), 0), ...client.open(12)];
    expect(asked(effects, "people")).toEqual([{ ids: [ANA.id] }]);
    client.loaded("people", { ids: [ANA.id] }, { items: [{ ...ANA, full_name: "Deleted user" }] });
    expect(new Set(client.rows(12).map(({ sender }) => sender.full_name))).toEqual(new Set(["Deleted user"]));
    expect(asked(client.open(12), "people")).toEqual([]);
  }
});
