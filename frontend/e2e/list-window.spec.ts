// What the list promises of the rows that are mounted, of focus and of selection.

import type { Page } from "@playwright/test";
import {
  atEnd,
  below,
  expect,
  firstInView,
  list,
  open,
  rest,
  row,
  rows,
  shift,
  test,
  wheel,
} from "./support/list.ts";

test.describe("the window", () => {
  test("it covers the view wherever the reader scrolls, with at most 400 rows", async ({ page }) => {
    await open(page, 20_000);
    for (const by of [-3_000, -60_000, -500_000, 90_000, 2_000_000, -5_000_000]) {
      await wheel(page, by);
      expect(await rows(page)).toBeLessThanOrEqual(400);
      const bare = await list(page).evaluate((list) => {
        const { top, bottom } = list.getBoundingClientRect();
        return [...list.querySelectorAll(".list__gap")].filter((gap) => {
          const rect = gap.getBoundingClientRect();
          return rect.height > 0 && rect.bottom > top && rect.top < bottom;
        }).length;
      });
      expect(bare).toBe(0);
    }
  });

  test("many changes within a frame are drawn once", async ({ page }) => {
    await open(page, 500);
    const drawn = await page.evaluate(async () => {
      let drawn = 0;
      const list = document.querySelector(".list") as HTMLElement;
      new MutationObserver(() => {
        drawn += 1;
      }).observe(list, { childList: true });
      await new Promise(requestAnimationFrame);
      await new Promise((resolve) => setTimeout(resolve));
      for (let i = 0; i < 8; i += 1) {
        window.bench.append(1);
        await Promise.resolve();
      }
      await new Promise(requestAnimationFrame);
      await new Promise(requestAnimationFrame);
      return [drawn, list.querySelectorAll('[data-key="m507"]').length];
    });
    expect(drawn).toEqual([1, 1]);
  });

  test("rows that stay are neither drawn again nor moved", async ({ page }) => {
    await open(page, 1_000);
    const [renders, ...same] = await page.evaluate(async () => {
      const find = () => document.querySelector('[data-key="m995"]');
      const row = find();
      const before = window.bench.log.renders;
      window.bench.append(3);
      await new Promise(requestAnimationFrame);
      await new Promise(requestAnimationFrame);
      const renders = window.bench.log.renders - before;
      const isSame = row === find();
      window.bench.prepend(3);
      await new Promise(requestAnimationFrame);
      await new Promise(requestAnimationFrame);
      return [renders, isSame, row === find()];
    });
    expect(renders).toBe(3);
    expect(same).toEqual([true, true]);
  });

  test("it works in React's strict mode", async ({ page, address }) => {
    await page.goto(`${address}?strict`);
    await open(page, 2_000);
    await page.evaluate(() => window.bench.append(20));
    await rest(page);
    expect(await below(page)).toBeLessThanOrEqual(1);
    await wheel(page, -3_000);
    const key = await firstInView(page);
    expect(await shift(page, key, () => page.evaluate(() => window.bench.prepend(50)))).toBeLessThanOrEqual(
      1,
    );
  });
});

test.describe("focus and selection", () => {
  const focused = (page: Page) =>
    page.evaluate(() => (document.activeElement as HTMLElement | null)?.dataset.key ?? null);

  test("arrows move the focus from row to row and bring it into view", async ({ page }) => {
    await open(page, 2_000);
    await page.getByLabel("Before").focus();
    await page.keyboard.press("Tab");
    await expect(list(page)).toBeFocused();
    await page.keyboard.press("ArrowUp");
    expect(await focused(page)).toBe("m1999");
    for (let i = 0; i < 200; i += 1) await page.keyboard.press("ArrowUp");
    expect(await focused(page)).toBe("m1799");
    await rest(page);
    await expect(row(page, "m1799")).toBeInViewport({ ratio: 1 });
    expect(await atEnd(page)).toBe(false);
    expect(await rows(page)).toBeLessThanOrEqual(400);
    await page.keyboard.press("ArrowDown");
    expect(await focused(page)).toBe("m1800");
  });

  test("Home and End reach rows that aren't mounted", async ({ page }) => {
    await open(page, 20_000);
    await list(page).focus();
    await page.keyboard.press("Home");
    await rest(page);
    expect(await focused(page)).toBe("m0");
    await expect(row(page, "m0")).toBeInViewport({ ratio: 1 });
    await page.keyboard.press("End");
    await rest(page);
    expect(await focused(page)).toBe("m19999");
    await expect(row(page, "m19999")).toBeInViewport();
    expect(await atEnd(page)).toBe(true);
    await page.evaluate(() => window.bench.handle()?.focusKey("m10000"));
    await rest(page);
    expect(await focused(page)).toBe("m10000");
    await expect(row(page, "m10000")).toBeInViewport({ ratio: 1 });
  });

  test("pages are scrolled by keys, and keys inside a row are its own", async ({ page }) => {
    await open(page, 2_000);
    await list(page).focus();
    await page.keyboard.press("PageUp");
    await rest(page);
    expect(await below(page)).toBeGreaterThan(500);
    await page.keyboard.press("PageDown");
    await rest(page);
    expect(await atEnd(page)).toBe(true);
    const button = row(page, "m1999").getByRole("button");
    await button.focus();
    await page.keyboard.press("Home");
    await rest(page);
    await expect(button).toBeFocused();
  });

  test("a row keeps the focus when the reader scrolls far away", async ({ page }) => {
    await open(page, 20_000);
    await page.evaluate(() => window.bench.handle()?.focusKey("m19990"));
    await wheel(page, -200_000);
    await wheel(page, -200_000);
    expect(await focused(page)).toBe("m19990");
    expect(await rows(page)).toBeLessThanOrEqual(400);
    await page.keyboard.press("ArrowUp");
    await rest(page);
    expect(await focused(page)).toBe("m19989");
    await expect(row(page, "m19989")).toBeInViewport({ ratio: 1 });
  });

  test("a selection across rows survives appended rows and a moving window", async ({ page }) => {
    await open(page, 2_000);
    const selected = () => page.evaluate(() => document.getSelection()?.toString() ?? "");
    await page.evaluate(() => {
      const [first, last] = ["m1990", "m1996"].map((key) => document.querySelector(`[data-key="${key}"] p`));
      if (first && last) document.getSelection()?.setBaseAndExtent(first, 0, last, last.childNodes.length);
    });
    const text = await selected();
    expect(text.length).toBeGreaterThan(100);
    for (let i = 0; i < 20; i += 1) {
      await page.evaluate(() => window.bench.append(20));
      await page.waitForTimeout(30);
    }
    await rest(page);
    expect(await selected()).toBe(text);
    await wheel(page, -40_000);
    await wheel(page, -40_000);
    expect(await selected()).toBe(text);
    expect(await rows(page)).toBeLessThanOrEqual(400);
    await wheel(page, 500_000);
    expect(await selected()).toBe(text);
  });
});
