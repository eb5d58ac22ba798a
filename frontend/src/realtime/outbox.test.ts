import { expect, test } from "vitest";
import type { ClientFrame } from "../protocol/types.ts";
import type { Effect } from "./effects.ts";
import { settledBy } from "./outbox.ts";
import { asked, done, first, I, item, ME, message, opened, page, ready, room, sent } from "./support.ts";
import { SyncClient } from "./sync.ts";

type Sent = Extract<ClientFrame, { type: "message" }>;

const write = (client: SyncClient, id: string, now = 0) => done(client.enqueue(item(id), now));
const ack = ({ ref, id }: Sent, seq: number, rev: number) => ({
  type: "ack",
  ref,
  room_id: 12,
  id,
  seq,
  rev,
});
const seqs = (client: SyncClient): number[] => client.rows(12).map((row) => row.seq);
const pending = (client: SyncClient) => client.pending(12).map(({ id, state }) => [id, state]);

test("one message per room is under way; the next follows the ack", () => {
  const client = opened();
  const begun = write(client, "a");
  expect(sent(begun, "message").length).toBe(1);
  expect(begun.filter((effect) => effect.do === "save").length).toBe(1);
  expect(sent(write(client, "b"), "message").length).toBe(0);
  const effects = client.receive(ack(first(sent(begun, "message")), 6, 11), 0);
  expect(effects.filter((effect) => effect.do === "erase")).toEqual([{ do: "erase", id: "a", rev: 11 }]);
  expect(first(sent(effects, "message")).id).toBe("b");
  expect(pending(client), "shown until its row comes").toEqual([
    ["a", "stored"],
    ["b", "sent"],
  ]);
  client.receive(message(6, 11, { id: "a", sender: I }), 0);
  expect(client.pending(12).map(({ id }) => id)).toEqual(["b"]);
  expect(client.unread(12), "one's own message is read").toBe(0);
});

test("one's own event may come before the ack", () => {
  const client = opened();
  const frame = first(sent(write(client, "a"), "message"));
  client.receive(message(6, 11, { id: "a", sender: I }), 0);
  expect(client.pending(12)).toEqual([]);
  client.receive(ack(frame, 6, 11), 0);
  expect(seqs(client)).toEqual([1, 2, 3, 4, 5, 6]);
});

test("another author's message with the same id settles nothing", () => {
  const client = opened();
  write(client, "a");
  client.receive(message(6, 11, { id: "a" }), 0);
  expect(pending(client)).toEqual([["a", "sent"]]);
});

test("a retryable error sends the same id again, and holds the later ones back", () => {
  const client = opened();
  const { ref } = first(sent(write(client, "a"), "message"));
  write(client, "b");
  const error = {
    type: "error",
    ref,
    code: "rate_limited",
    message: "",
    retryable: true,
    retry_after_ms: 2000,
  };
  expect(client.receive(error, 0)).toContainEqual({ do: "wake", in_ms: 2000 });
  expect(sent(client.wake(1999), "message").length).toBe(0);
  expect(sent(client.wake(2000), "message").map(({ id }) => id)).toEqual(["a"]);
});

test("a refusal is kept with its reason, lets the next pass, and can be tried again or discarded", () => {
  const client = opened();
  const { ref } = first(sent(write(client, "a"), "message"));
  write(client, "b");
  const refused = { type: "error", ref, code: "invalid", message: "too long", retryable: false };
  const effects = client.receive(refused, 0);
  expect(sent(effects, "message").map(({ id }) => id)).toEqual(["b"]);
  const saved = effects.flatMap((effect) => (effect.do === "save" ? [effect.item.failure?.message] : []));
  expect(saved).toEqual(["too long"]);
  client.retry("a", 1_000, 5);
  expect(pending(client)).toEqual([
    ["b", "sent"],
    ["a", "queued"],
  ]);
  expect(client.discard("a", 6)).toEqual([{ do: "erase", id: "a" }]);
  expect(client.discard("b", 6), "what is under way waits for its answer").toEqual([]);
});

test("after a reconnect or a reload the same id is sent again, until its ack", () => {
  const client = opened();
  write(client, "a");
  client.disconnected();
  expect(first(sent(client.receive(ready(), 0), "message")).id).toBe("a");
  const failed = item("z", { failure: { code: "invalid", message: "" } });
  const reloaded = new SyncClient({ userId: ME, outbox: [item("a"), failed] });
  const frame = first(sent(reloaded.receive(ready(), 0), "message"));
  expect(frame.id).toBe("a");
  reloaded.receive(ack(frame, 3, 5), 0);
  const effects = reloaded.open(12);
  reloaded.loaded("page", first(asked(effects, "page")), page([4, 5], 10));
  expect(pending(reloaded), "stored long ago, above the page").toEqual([["z", "failed"]]);
});

test("a message waits until the names of its emoji are replaced, and later ones wait behind it", () => {
  const client = opened();
  const rough = item("a", { content: "a :tada:", hasNames: true });
  const effects = done(client.enqueue(rough, 0));
  expect(effects).toContainEqual({ do: "spell", id: "a", content: "a :tada:" });
  expect(sent(effects, "message")).toEqual([]);
  const later = write(client, "b");
  expect(
    later.map((effect) => effect.do),
    "it is asked for once",
  ).toEqual(["save"]);
  const spelled = client.spelled("a", "a 🎉", 0);
  expect(spelled.flatMap((effect) => (effect.do === "save" ? [effect.item] : []))).toEqual([
    { ...item("a"), order: rough.order, content: "a 🎉" },
  ]);
  expect(first(sent(spelled, "message")).content).toBe("a 🎉");
  expect(client.spelled("a", "again", 0)).toEqual([]);
  const reloaded = new SyncClient({ userId: ME, outbox: [rough] });
  expect(reloaded.receive(ready(), 0)).toContainEqual({ do: "spell", id: "a", content: "a :tada:" });
});

test("the last message can be taken back while no tab can have sent it", () => {
  const last = (client: SyncClient) => client.outbox.retractable(12)?.id;
  const client = opened();
  client.disconnected();
  write(client, "a");
  expect(last(client)).toBe("a");
  client.receive(ready(), 0);
  expect(last(client), "it is under way").toBeUndefined();
  client.disconnected();
  expect(last(client), "it may have arrived").toBeUndefined();
  write(client, "b");
  expect(last(client)).toBe("b");
  client.setActive(false, 0);
  client.setActive(true, 0);
  expect(last(client), "another tab has led meanwhile").toBeUndefined();
  const failed = item("z", { failure: { code: "invalid", message: "" } });
  expect(last(new SyncClient({ userId: ME, outbox: [failed] }))).toBe("z");
});

// ---- order, bounds, and other tabs

const texts = (client: SyncClient) => client.outbox.items.map(({ id }) => id);

test("what was kept is sent in its order, and what is tried again goes to the end", () => {
  const outbox = [item("c", { order: 3 }), item("a", { order: 1 }), item("b", { order: 2 })];
  const client = new SyncClient({ userId: ME, outbox });
  expect(texts(client)).toEqual(["a", "b", "c"]);
  const { ref } = first(sent(client.receive(ready(), 0), "message"));
  client.receive({ type: "error", ref, code: "invalid", message: "", retryable: false }, 0);
  const effects = client.retry("a", 4, 0);
  expect(texts(client)).toEqual(["b", "c", "a"]);
  const saved = effects.flatMap((effect) => (effect.do === "save" ? [effect.item] : []));
  expect(saved).toEqual([{ id: "a", roomId: 12, content: "a", createdAt: "", order: 4 }]);
  expect(client.retry("b", 5, 0), "only what has failed").toEqual([]);
});

test("what the server was asked to take stays first, whatever comes late from another tab", () => {
  const client = opened();
  const { ref } = first(sent(done(client.enqueue(item("b", { order: 12 }), 0)), "message"));
  client.written(item("a", { order: 11 }), 0);
  client.receive(
    { type: "error", ref, code: "unavailable", message: "", retryable: true, retry_after_ms: 9 },
    0,
  );
  client.written(item("c", { order: 10 }), 0);
  expect(texts(client)).toEqual(["b", "c", "a"]);
  expect(sent(client.wake(9), "message").map(({ id }) => id)).toEqual(["b"]);
});

test("half a surrogate pair becomes U+FFFD", () => {
  const client = opened();
  const [high, low] = ["\ud83d", "\ude00"];
  const content = `${low}a${high} 😀 ${high}${high}${low}`;
  expect(first(sent(done(client.enqueue(item("a", { content }), 0)), "message")).content).toBe(
    "\ufffda\ufffd 😀 \ufffd😀",
  );
  const edit = { type: "edit" as const, room_id: 12, seq: 5, content: high };
  expect(first(sent(client.change(edit, 0), "edit")).content).toBe("\ufffd");
});

test("at most a thousand messages of eight mebibytes wait", () => {
  const client = opened();
  client.disconnected();
  for (let index = 0; index < 1_000; index++) done(client.enqueue(item(`a${index}`), 0));
  expect(client.enqueue(item("b"), 0)).toBe(false);
  expect(client.outbox.items.length).toBe(1_000);
  const other = opened();
  other.disconnected();
  const content = "x".repeat(2 ** 20);
  for (let index = 0; index < 4; index++) done(other.enqueue(item(`a${index}`, { content }), 0));
  expect(other.enqueue(item("b"), 0)).toBe(false);
  other.discard("a0", 0);
  expect(other.enqueue(item("b"), 0)).not.toBe(false);
});

test("a tab that doesn't lead shows its messages and sends none; then it sends them all", () => {
  const client = opened();
  client.setActive(false, 0);
  expect(sent(write(client, "a"), "message")).toEqual([]);
  expect(pending(client)).toEqual([["a", "queued"]]);
  client.written(item("b"), 0);
  expect(sent(client.setActive(true, 0), "message").map(({ id }) => id)).toEqual(["a"]);
  client.setActive(false, 0);
  expect(pending(client)).toEqual([
    ["a", "queued"],
    ["b", "queued"],
  ]);
});

test("what the tab that leads has learnt settles the others' messages", () => {
  const leader = opened();
  const other = opened();
  other.setActive(false, 0);
  const relay = (effects: Effect[]): void => {
    for (const effect of effects) {
      const told = settledBy(effect);
      if (told) expect(other.settled(told.id, told.settled)).toEqual([]);
    }
  };
  const a = item("a");
  const begun = done(leader.enqueue(a, 0));
  expect(other.written(a, 0), "it is kept already").toEqual([]);
  relay(begun);
  expect(pending(other)).toEqual([["a", "queued"]]);
  relay(leader.receive(ack(first(sent(begun, "message")), 6, 11), 0));
  expect(pending(other)).toEqual([["a", "stored"]]);
  other.receive(message(6, 11, { id: "a", sender: I }), 0);
  expect(other.outbox.items).toEqual([]);

  const b = item("b");
  const { ref } = first(sent(done(leader.enqueue(b, 0)), "message"));
  other.written(b, 0);
  relay(leader.receive({ type: "error", ref, code: "invalid", message: "too long", retryable: false }, 0));
  expect(other.pending(12).map(({ failure }) => failure?.message)).toEqual(["too long"]);
  other.written({ ...b, order: 99_999 }, 0);
  expect(pending(other), "it is tried again").toEqual([["b", "queued"]]);
  relay(leader.discard("b", 0));
  expect(other.outbox.items).toEqual([]);
});

test("what the tab that led before has learnt counts only for what this one hasn't sent", () => {
  const client = opened();
  const { ref } = first(sent(write(client, "a"), "message"));
  write(client, "b");
  client.settled("a", { rev: 7 });
  expect(pending(client), "its answer is on its way").toEqual([
    ["a", "sent"],
    ["b", "queued"],
  ]);
  client.receive(
    { type: "error", ref, code: "unavailable", message: "", retryable: true, retry_after_ms: 9 },
    0,
  );
  client.settled("a", { rev: 7 });
  client.settled("b", { rev: 8 });
  expect(pending(client), "the server waits for it").toEqual([["a", "queued"]]);
  expect(sent(client.wake(9), "message").map(({ id }) => id)).toEqual(["a"]);
});

test("a message to a room that is gone fails, and that is told", () => {
  const client = opened();
  client.disconnected();
  write(client, "a");
  const { ref } = first(sent(client.receive(ready([]), 0), "message"));
  const effects = client.receive(
    { type: "error", ref, code: "not_found", message: "gone", retryable: false },
    0,
  );
  const failure = { code: "not_found", message: "gone" };
  expect(effects).toContainEqual({ do: "unsent", item: expect.objectContaining({ id: "a", failure }) });
  expect(client.outbox.items.map(({ state }) => state)).toEqual(["failed"]);
});

test("what had failed is told when its room is gone, and after a reload without the room", () => {
  const client = opened();
  const { ref } = first(sent(write(client, "a"), "message"));
  client.receive({ type: "error", ref, code: "invalid", message: "no", retryable: false }, 0);
  const told = { do: "unsent", item: expect.objectContaining({ id: "a" }) };
  expect(client.receive({ type: "removed", room_id: 12, rev: 20 }, 0)).toContainEqual(told);
  const failed = item("a", { failure: { code: "invalid", message: "no" } });
  const again = new SyncClient({ userId: ME, outbox: [failed] });
  expect(again.receive(ready([room()]), 0)).not.toContainEqual(told);
  again.disconnected();
  expect(again.receive(ready([]), 0)).toContainEqual(told);
});

test("what is pending is the same list, and each item the same object, until they change", () => {
  const client = opened();
  client.disconnected();
  write(client, "a");
  const before = client.pending(12);
  write(client, "b");
  const after = client.pending(12);
  expect([after === before, after[0] === before[0]]).toEqual([false, true]);
  client.receive({ type: "typing", room_id: 12, user_id: 2 }, 0);
  expect(client.pending(12)).toBe(after);
});

test("what an earlier log has stored isn't pending in another one", () => {
  const client = opened();
  const { ref } = first(sent(write(client, "a"), "message"));
  write(client, "b");
  client.receive({ type: "ack", ref, room_id: 12, id: "a", seq: 6, rev: 500 }, 0);
  expect(pending(client)).toEqual([
    ["a", "stored"],
    ["b", "sent"],
  ]);
  client.disconnected();
  const effects = client.receive(ready([room({ rev: 3, last_seq: 2 })], "e2"), 0);
  expect(sent(effects, "message").map(({ id }) => id)).toEqual(["b"]);
  expect(pending(client)).toEqual([["b", "sent"]]);
});

test("what is stored in a room that is no longer mine isn't pending", () => {
  const client = opened();
  const { ref } = first(sent(write(client, "a"), "message"));
  client.receive({ type: "ack", ref, room_id: 12, id: "a", seq: 6, rev: 12 }, 0);
  client.receive({ type: "removed", room_id: 12, rev: 20 }, 0);
  expect(client.outbox.items).toEqual([]);
});

test("what was written in a room of another log isn't sent to the room that has its id now", () => {
  const outbox = [item("a", { roomMadeAt: "then" }), item("b", { roomMadeAt: "now" }), item("c")];
  const client = new SyncClient({ userId: ME, outbox });
  const effects = client.receive(ready([room({ created_at: "now" })]), 0);
  expect(sent(effects, "message").map(({ id }) => id)).toEqual(["b"]);
  expect(effects).toContainEqual({ do: "stranded", roomId: 12, text: "a" });
  expect(effects).toContainEqual({ do: "erase", id: "a" });
  expect(client.outbox.items.map(({ id }) => id)).toEqual(["b", "c"]);
});
