// What stands in for what a headless browser hasn't: a window that loses the focus, and notifications.

import type { BrowserContext } from "@playwright/test";
import type { Page } from "./test.ts";

/** Playwright's pages have the focus all the time: this one has it as the test says. */
export async function canLoseFocus(context: BrowserContext): Promise<void> {
  await context.addInitScript(() => {
    document.hasFocus = () => sessionStorage.getItem("e2e.blurred") === null;
  });
}

export function giveFocus(page: Page, has: boolean): Promise<void> {
  return page.evaluate((has) => {
    if (has) sessionStorage.removeItem("e2e.blurred");
    else sessionStorage.setItem("e2e.blurred", "1");
    dispatchEvent(new Event(has ? "focus" : "blur"));
  }, has);
}

interface Told {
  tab: string;
  title: string;
  body: string;
  tag: string;
}

/** Stands in for the browser's notifications, and lists those of all tabs. */
export async function listNotifications(context: BrowserContext): Promise<Told[]> {
  const told: Told[] = [];
  await context.exposeFunction("e2eTell", (note: Told) => told.push(note));
  await context.addInitScript(() => {
    const page = window as unknown as { e2eTell(note: unknown): void; e2eNote: unknown };
    class Notification {
      static readonly permission = "granted";
      static readonly requestPermission = async () => "granted";
      onclick: (() => void) | null = null;
      constructor(title: string, { body, tag }: { body: string; tag: string }) {
        page.e2eNote = this;
        page.e2eTell({ tab: location.pathname, title, body, tag });
      }
      close(): void {}
    }
    Object.assign(window, { Notification });
  });
  return told;
}

export const clickNotification = (page: Page): Promise<void> =>
  page.evaluate(() => (window as unknown as { e2eNote: { onclick(): void } }).e2eNote.onclick());
