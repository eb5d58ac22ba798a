// What may be lost without harm (rule 7): who is online and who is typing; and who is who.

export const TYPING_MS = 6_000;
export const TYPING_EVERY_MS = 3_000;

export class Hints {
  constructor() {
    this.people = new Map(); // id → summary, of everyone who was named so far
    this.asked = new Set(); // ids that were asked for once
    this.disconnected();
  }

  disconnected() {
    this.online = new Set();
    this.typing = new Map(); // room id → Map of user id → until when
    this.typedAt = new Map(); // room id → when I said so last
  }

  know(user) {
    if (user) this.people.set(user.id, user);
  }

  /** Those of these ids that nobody has named and that were not asked for yet. */
  unknown(ids) {
    const unknown = [...new Set(ids)].filter((id) => !this.people.has(id) && !this.asked.has(id));
    for (const id of unknown) this.asked.add(id);
    return unknown;
  }

  askAgain(ids) {
    for (const id of ids) this.asked.delete(id);
  }

  presence({ online = [], offline = [] }) {
    for (const id of offline) this.online.delete(id);
    for (const id of online) this.online.add(id);
  }

  types(roomId, userId, now) {
    if (!this.typing.has(roomId)) this.typing.set(roomId, new Map());
    this.typing.get(roomId).set(userId, now + TYPING_MS);
  }

  stopped(roomId, userId) {
    this.typing.get(roomId)?.delete(userId);
  }

  typists(roomId, now) {
    return [...(this.typing.get(roomId) ?? [])].filter(([, until]) => until > now).map(([id]) => id);
  }

  /** Whether it is time to tell the room that I am typing. */
  tells(roomId, now) {
    if (now - (this.typedAt.get(roomId) ?? -Infinity) < TYPING_EVERY_MS) return false;
    this.typedAt.set(roomId, now);
    return true;
  }
}
