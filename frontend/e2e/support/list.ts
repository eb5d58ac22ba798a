// The list alone, on the page of bench/list.tsx, and what is asked of it.

import { test as base, expect, type Page } from "@playwright/test";
import type { Bench } from "../../bench/list.tsx";
import { serve } from "../../bench/serve.mjs";
import { within } from "./patience.ts";

export { expect };

declare global {
  interface Window {
    bench: Bench;
    offsets: number[];
    isWatching: boolean;
  }
}

/** The page is open, and whatever its console says fails the test. */
export const test = base.extend<{ problems: string[] }, { address: string }>({
  viewport: { width: 1000, height: 800 },
  address: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright wants a pattern
    async ({}, use) => {
      const site = await serve();
      await use(site.url);
      await site.close();
    },
    { scope: "worker", timeout: within(60_000) },
  ],
  problems: [
    async ({ page, address }, use) => {
      const problems: string[] = [];
      page.on("console", (message) => {
        if (message.type() !== "log") problems.push(message.text());
      });
      page.on("pageerror", ({ message }) => problems.push(message));
      await page.goto(address);
      await use(problems);
      expect(problems).toEqual([]);
    },
    { auto: true },
  ],
});

export const list = (page: Page) => page.getByRole("list", { name: "Messages" });
export const row = (page: Page, key: string) => page.locator(`[data-key="${key}"]`);

export async function open(page: Page, ...options: Parameters<Bench["open"]>): Promise<void> {
  await page.evaluate((options) => window.bench.open(...options), options);
  await expect.poll(() => rows(page)).toBe(Math.min(options[0], 300));
  await rest(page);
}

/** Waits until the list is at rest, with room to spare. */
export const rest = (page: Page) => page.waitForTimeout(400);

/** How far the list could be scrolled down. */
export const below = (page: Page) =>
  list(page).evaluate(({ scrollHeight, clientHeight, scrollTop }) => scrollHeight - clientHeight - scrollTop);

export const rows = (page: Page) => page.locator("[data-key]").count();

export const atEnd = (page: Page) => page.evaluate(() => window.bench.handle()?.isAtEnd());

/** How far below the top edge of the list a row begins. */
export const offset = (page: Page, key: string) =>
  row(page, key).evaluate((row) => {
    const list = row.parentElement as HTMLElement;
    return row.getBoundingClientRect().top - list.getBoundingClientRect().top;
  });

/** The first row that is in view. */
export const firstInView = (page: Page) =>
  list(page).evaluate((list) => {
    const edge = list.getBoundingClientRect().top;
    const rows = [...list.querySelectorAll<HTMLElement>("[data-key]")];
    return rows.find((row) => row.getBoundingClientRect().bottom > edge)?.dataset.key ?? "";
  });

/** Notes in each painted frame where a row is; gives the greatest distance from where it was at first. */
export async function shift(page: Page, key: string, act: () => Promise<unknown>): Promise<number> {
  await page.evaluate((key) => {
    window.offsets = [];
    window.isWatching = true;
    const { port1, port2 } = new MessageChannel();
    const frame = () => {
      if (!window.isWatching) return;
      port2.postMessage(null); // comes after the frame has been painted
      requestAnimationFrame(frame);
    };
    port1.onmessage = () => {
      const row = document.querySelector(`[data-key="${key}"]`);
      const edge = row?.parentElement?.getBoundingClientRect().top ?? 0;
      window.offsets.push(row ? row.getBoundingClientRect().top - edge : Number.NaN);
    };
    frame();
  }, key);
  await page.waitForTimeout(50);
  await act();
  await rest(page);
  const offsets = await page.evaluate(() => {
    window.isWatching = false;
    return window.offsets;
  });
  expect(offsets.length).toBeGreaterThan(5);
  return Math.max(...offsets.map((offset) => Math.abs(offset - (offsets[0] ?? 0))));
}

/** Scrolls by the wheel, as a reader does. */
export async function wheel(page: Page, by: number): Promise<void> {
  await list(page).hover();
  await page.mouse.wheel(0, by);
  await rest(page);
}
