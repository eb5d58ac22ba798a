// What the list promises of places, and of the ends of what is loaded.

import { AxeBuilder } from "@axe-core/playwright";
import {
  atEnd,
  below,
  expect,
  firstInView,
  list,
  offset,
  open,
  rest,
  row,
  rows,
  shift,
  test,
  wheel,
} from "./support/list.ts";

test.describe("places", () => {
  test("a list begins where it should", async ({ page }) => {
    await open(page, 5_000, { key: "m2500", align: "center" });
    const box = await row(page, "m2500").boundingBox();
    const view = await list(page).boundingBox();
    const middle = (at: typeof box) => (at ? at.y + at.height / 2 : 0);
    expect(Math.abs(middle(box) - middle(view))).toBeLessThanOrEqual(1);
    await open(page, 5_000, { key: "m7", align: "top" });
    expect(Math.abs(await offset(page, "m7"))).toBeLessThanOrEqual(1);
    await open(page, 5_000, { key: "gone", align: "top" });
    expect(await atEnd(page)).toBe(true);
    await open(page, 0);
    expect(await atEnd(page)).toBe(true);
    await page.evaluate(() => window.bench.append(100));
    await rest(page);
    expect(await below(page)).toBeLessThanOrEqual(1);
  });

  test("a saved place is found again", async ({ page }) => {
    await open(page, 5_000, { key: "m2500", align: "center" });
    await wheel(page, 444);
    const place = await page.evaluate(() => window.bench.handle()?.savePlace());
    if (!place || place === "end") throw new Error("it isn't at the end");
    await open(page, 5_000);
    await open(page, 5_000, place);
    expect(Math.abs((await offset(page, place.key)) - place.offset)).toBeLessThanOrEqual(1);
  });

  test("far rows are gone to, and the end", async ({ page }) => {
    await open(page, 50_000);
    const go = (key: string) =>
      page.evaluate((key) => window.bench.handle()?.scrollToKey(key, "center"), key);
    expect(await go("m25000")).toBe(true);
    await rest(page);
    await expect(row(page, "m25000")).toBeInViewport({ ratio: 1 });
    expect(await go("gone")).toBe(false);
    expect(await go("m0")).toBe(true);
    await rest(page);
    expect(Math.abs(await offset(page, "m0"))).toBeLessThanOrEqual(1);
    expect(await rows(page)).toBeLessThanOrEqual(400);
    await page.evaluate(() => window.bench.handle()?.scrollToEnd(true));
    await rest(page);
    expect(await below(page)).toBeLessThanOrEqual(1);
    await expect(row(page, "m49999")).toBeInViewport();
  });

  test("a row is found among items that were just given", async ({ page }) => {
    await open(page, 500);
    const found = await page.evaluate(() => {
      window.bench.replace(20_000, 20_200);
      return window.bench.handle()?.scrollToKey("m20100", "top");
    });
    expect(found).toBe(true);
    await rest(page);
    expect(Math.abs(await offset(page, "m20100"))).toBeLessThanOrEqual(1);
  });

  test("a short way to the end is scrolled smoothly, and still ends there", async ({ page }) => {
    await open(page, 500);
    await wheel(page, -600);
    const seen = await page.evaluate(async () => {
      const list = document.querySelector(".list") as HTMLElement;
      window.bench.handle()?.scrollToEnd(true);
      const seen: number[] = [];
      for (let i = 0; i < 30; i += 1) {
        await new Promise(requestAnimationFrame);
        if (i === 3) window.bench.append(2);
        seen.push(list.scrollHeight - list.clientHeight - list.scrollTop);
      }
      return seen;
    });
    expect(seen.filter((rest) => rest > 5 && rest < 590).length).toBeGreaterThan(2);
    await page.waitForTimeout(1_200);
    expect(await below(page)).toBeLessThanOrEqual(1);
    await wheel(page, -600);
    await page.emulateMedia({ reducedMotion: "reduce" });
    const rest = await list(page).evaluate((list) => {
      window.bench.handle()?.scrollToEnd(true);
      return list.scrollHeight - list.clientHeight - list.scrollTop;
    });
    expect(rest).toBeLessThanOrEqual(1);
  });

  test("what is in view is told at rest", async ({ page }) => {
    await open(page, 500, { key: "m100", align: "top" });
    const told = await page.evaluate(() => window.bench.log.visible);
    expect(told.length).toBe(1);
    expect(told[0]).toMatch(/^m100 m1\d\d$/);
    // While it scrolls nothing is told, unless the machine is so slow that a frame takes as long as a rest.
    const early = await list(page).evaluate(async (list) => {
      let pauses = 0;
      let last = performance.now();
      for (let i = 0; i < 40; i += 1) {
        list.scrollTop += 60;
        const now: number = await new Promise(requestAnimationFrame);
        if (now - last > 100) pauses += 1;
        last = now;
      }
      return window.bench.log.visible.length - 1 - pauses;
    });
    expect(early).toBeLessThanOrEqual(0);
    await rest(page);
    const [first = "", last = ""] = await page.evaluate(
      () => window.bench.log.visible.at(-1)?.split(" ") ?? [],
    );
    await expect(row(page, first)).toBeInViewport({ ratio: 0.5 });
    await expect(row(page, last)).toBeInViewport({ ratio: 0.5 });
  });
});

test.describe("the ends of what is loaded", () => {
  test("more is asked for once, and again when it has come", async ({ page }) => {
    await open(page, 400, { key: "m200", align: "top" }, { hasOlder: true, hasNewer: true });
    const asked = () => page.evaluate(() => [window.bench.log.older, window.bench.log.newer]);
    expect(await asked()).toEqual([0, 0]);
    expect(await atEnd(page)).toBe(false);
    await page.evaluate(() => window.bench.handle()?.scrollToKey("m3", "top"));
    await rest(page);
    await wheel(page, 30);
    expect(await asked()).toEqual([1, 0]);
    await page.evaluate(() => window.bench.prepend(3));
    await rest(page);
    expect(await asked()).toEqual([2, 0]);
    await page.evaluate(() => window.bench.prepend(100));
    await rest(page);
    expect(await asked()).toEqual([2, 0]);
    await page.evaluate(() => window.bench.handle()?.scrollToKey("m398", "center"));
    await rest(page);
    expect(await asked()).toEqual([2, 1]);
  });

  test("what is loaded after the end doesn't carry the reader along", async ({ page }) => {
    await open(page, 400, { key: "m390", align: "top" }, { hasNewer: true });
    await wheel(page, 20_000);
    expect(await atEnd(page)).toBe(false);
    const place = () => page.evaluate(() => window.bench.handle()?.savePlace());
    const before = await place();
    if (!before || before === "end") throw new Error("it isn't at the end");
    const act = () => page.evaluate(() => window.bench.append(50));
    expect(await shift(page, before.key, act)).toBeLessThanOrEqual(1);
    await page.evaluate(() => window.bench.more(false, false));
    await wheel(page, 20_000);
    expect(await atEnd(page)).toBe(true);
  });

  test("what is found to be missing after the end doesn't carry the reader along", async ({ page }) => {
    await open(page, 400);
    await page.evaluate(() => window.bench.more(false, true));
    await rest(page);
    expect(await atEnd(page)).toBe(false);
    const act = () => page.evaluate(() => window.bench.append(50));
    expect(await shift(page, await firstInView(page), act)).toBeLessThanOrEqual(1);
  });

  test("whoever asks for the end is brought there while more is loaded", async ({ page }) => {
    await open(page, 400, { key: "m200", align: "top" }, { hasNewer: true });
    await page.evaluate(() => window.bench.handle()?.scrollToEnd());
    await rest(page);
    expect(await atEnd(page)).toBe(false);
    await page.evaluate(() => {
      window.bench.append(50);
      window.bench.more(false, false);
    });
    await rest(page);
    expect(await atEnd(page)).toBe(true);
    await expect(row(page, "m449")).toBeInViewport();
  });

  test("axe finds nothing", async ({ page }) => {
    await open(page, 50, "end", { hasOlder: true });
    const { violations } = await new AxeBuilder({ page })
      .include(".list")

      .analyze();
    expect(violations.map(({ id }) => id)).toEqual([]);
  });

  test("placeholders are hidden from assistive technology", async ({ page }) => {
    await open(page, 50, "end", { hasOlder: true });
    expect(await list(page).getByRole("listitem").count()).toBe(50);
  });
});
