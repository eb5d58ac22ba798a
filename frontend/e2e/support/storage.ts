// What the client keeps of a session in the browser's IndexedDB.

import type { Page } from "@playwright/test";

interface Kept {
  /** Ids of messages that are not sent. */
  outbox: string[];
  /** Ids of rooms that are kept with what is said in them. */
  rooms: number[];
  /** Records of the list of all rooms: one, or none. */
  lists: number;
}

export const keptOf = (page: Page, userId: number): Promise<Kept> =>
  page.evaluate(async (prefix) => {
    const done = <T>(request: IDBRequest<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const names = (await indexedDB.databases()).flatMap(({ name }) => name ?? []);
    const name = names.find((one) => one.startsWith(prefix));
    if (name === undefined) return { outbox: [], rooms: [], lists: 0 };
    const db = await done(indexedDB.open(name));
    const keys = (store: string) => done(db.transaction(store).objectStore(store).getAllKeys());
    const [outbox, rooms, lists] = [await keys("outbox"), await keys("rooms"), await keys("list")];
    db.close();
    return { outbox: outbox as string[], rooms: rooms as number[], lists: lists.length };
  }, `hearth.${userId}.`);
