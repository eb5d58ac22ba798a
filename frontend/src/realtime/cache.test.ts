import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";
import { openDB } from "idb";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Cache } from "./cache.ts";
import { held, ME, message, opened, room } from "./support.ts";
import { SyncClient } from "./sync.ts";

beforeEach(() => {
  globalThis.indexedDB = new IDBFactory();
});
afterEach(() => void vi.restoreAllMocks());

const failures: unknown[] = [];

function cache(): Cache {
  failures.length = 0;
  return new Cache({ account: String(ME), failed: (error) => void failures.push(error) });
}

const written = (id: string, order = 1) => ({
  ...{ id, roomId: 12, content: `text ${id}`, createdAt: "then" },
  order,
});

/** What a page finds when it is opened again. */
async function reopened() {
  const store = cache();
  return { outbox: await store.outbox(), cached: await store.rooms() };
}

/** Room `id` as a client has it. */
function frozen(id: number) {
  const client = opened();
  client.receive({ type: "added", room_id: id, room: room({ id, name: `room ${id}` }) }, 0);
  const kept = client.freeze(id);
  if (!kept) throw new Error();
  return kept;
}

test("messages are kept in their order", async () => {
  const store = cache();
  await Promise.all([
    store.saveItem(written("b", 2)),
    store.saveItem(written("a", 1)),
    store.saveItem(written("c", 3)),
  ]);
  const failure = { code: "invalid", message: "too long" };
  await store.saveItem({ ...written("b", 2), failure });
  await store.eraseItem("c");
  await store.eraseItem("nobody");
  expect((await reopened()).outbox).toEqual([written("a", 1), { ...written("b", 2), failure }]);
  // What is tried again moves to its new place; two tabs may give the same one.
  const other = cache();
  await other.saveItem(written("a", 4));
  await other.saveItem(written("d", 4));
  expect((await reopened()).outbox.map(({ id }) => id)).toEqual(["b", "a", "d"]);
  expect(failures).toEqual([]);
});

test("rooms are kept as they are, with the list of all", async () => {
  const client = opened();
  client.receive(message(6, 11), 0);
  client.receive({ type: "added", room_id: 13, room: room({ id: 13 }) }, 0);
  const store = cache();
  const [kept, list] = [client.freeze(12), client.freezeList()];
  if (!kept || !list) throw new Error();
  await store.saveList(list);
  await store.saveRoom("e1", kept, 1);
  const { cached } = await reopened();
  const again = new SyncClient({ userId: ME, cached });
  expect([...again.rooms.keys()].sort()).toEqual([12, 13]);
  expect(again.rows(12)).toEqual(client.rows(12));
  expect(held(again).position).toBe(11);
  await store.eraseRoom(12);
  const without = new SyncClient({ userId: ME, cached: (await reopened()).cached });
  expect(without.rows(12), "the list alone knows it").toEqual([]);
  expect(without.unread(12)).toBe(1);
});

test("of many rooms those that were used last are kept, and none of another epoch", async () => {
  const store = cache();
  for (let id = 100; id < 140; id++) await store.saveRoom("e1", frozen(id), id);
  await store.saveRoom("e1", frozen(105), 140);
  const ids = async () => (await reopened()).cached?.rooms.map(({ info }) => info.id).sort();
  expect(await ids()).toEqual([105, ...Array.from({ length: 29 }, (_, index) => 111 + index)]);
  await store.saveRoom("e2", frozen(200), 141);
  expect(await ids()).toEqual([200]);
  expect((await reopened()).cached?.epoch).toBe("e2");
});

test("what is broken is left out", async () => {
  const store = cache();
  await store.saveItem(written("a"));
  await store.saveRoom("e1", frozen(12), 1);
  const db = await openDB("hearth.1");
  for (const broken of [7, null, {}, { id: 3, content: "x" }, { ...written("x"), order: "1" }])
    await db.put("outbox", broken, JSON.stringify(broken));
  const { room: whole, ...rest } = await db.get("rooms", 12);
  const spoilt = [
    null,
    7,
    {},
    { ...whole, revs: [1] },
    { ...whole, tail: { from: 1, rows: [{ seq: 1 }] } },
    { ...whole, mentions: 3 },
  ];
  for (const [index, room] of spoilt.entries()) await db.put("rooms", { ...rest, room }, 20 + index);
  await db.put("list", { epoch: "e1", rooms: [null, ...spoilt] }, "list");
  db.close();
  const { outbox, cached } = await reopened();
  expect(outbox.map(({ id }) => id)).toEqual(["a"]);
  expect(cached?.rooms.map(({ info }) => info.id)).toEqual([12]);
  expect(new SyncClient({ userId: ME, outbox, cached }).rooms.size).toBe(1);
  expect(failures).toEqual([]);
});

test("the end of a session leaves no rooms, and leaving it nothing", async () => {
  const store = cache();
  await store.saveItem(written("a"));
  await store.saveRoom("e1", frozen(12), 1);
  await store.saveList({ epoch: "e1", rooms: [frozen(13)] });
  await store.clearRooms();
  expect(await reopened()).toEqual({ outbox: [written("a")], cached: null });
  await store.clear();
  expect(await reopened()).toEqual({ outbox: [], cached: null });
});

// ---- storage that doesn't work

/** Everything that is asked of a store works from memory, and one failure is told. */
async function works(store: Cache): Promise<void> {
  expect([await store.outbox(), await store.rooms()]).toEqual([[], null]);
  await store.saveItem(written("a"));
  await store.eraseItem("a");
  await store.saveRoom("e1", frozen(12), 1);
  await store.eraseRoom(12);
  await store.saveList({ epoch: "e1", rooms: [] });
  await store.clearRooms();
  await store.clear();
  store.close();
  expect(failures.length).toBe(1);
}

test("storage that is forbidden is done without", async () => {
  vi.spyOn(indexedDB, "open").mockImplementation(() => {
    throw new DOMException("", "SecurityError");
  });
  await works(cache());
});

test("storage that never answers is done without, after a while", async () => {
  vi.spyOn(indexedDB, "open").mockImplementation(
    () => ({ addEventListener: () => {} }) as unknown as IDBOpenDBRequest,
  );
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const working = works(cache());
  await vi.advanceTimersByTimeAsync(3_000);
  vi.useRealTimers();
  await working;
});

test("storage of a newer version is done without", async () => {
  (await openDB("hearth.1", 99)).close();
  await works(cache());
});

test("storage that is full is done without from then on", async () => {
  const store = cache();
  await store.saveItem(written("a"));
  vi.spyOn(IDBObjectStore.prototype, "put").mockImplementation(function (this: IDBObjectStore) {
    this.transaction.abort();
    throw new DOMException("", "QuotaExceededError");
  });
  await store.saveRoom("e1", frozen(12), 1);
  expect(failures.length).toBe(1);
  vi.restoreAllMocks();
  await store.saveItem(written("b"));
  expect(failures.length).toBe(1);
  expect((await reopened()).outbox.map(({ id }) => id)).toEqual(["a"]);
});

test("a tab of a newer version is not kept waiting", async () => {
  const store = cache();
  await store.saveItem(written("a"));
  (await openDB("hearth.1", 3)).close();
  await store.saveItem(written("b", 2));
  expect(failures.length).toBe(1);
});

test("a connection that the browser ends is opened again", async () => {
  const store = cache();
  await store.saveItem(written("a"));
  store.close();
  await store.saveItem(written("b", 2));
  expect((await reopened()).outbox.map(({ id }) => id)).toEqual(["a", "b"]);
});

test("a log-out empties storage that has broken meanwhile", async () => {
  const store = cache();
  await store.saveItem(written("a"));
  vi.spyOn(IDBObjectStore.prototype, "put").mockImplementation(() => {
    throw new DOMException("", "QuotaExceededError");
  });
  await store.saveRoom("e1", frozen(12), 1);
  vi.restoreAllMocks();
  await store.clear();
  expect((await reopened()).outbox).toEqual([]);
});
