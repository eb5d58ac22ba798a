// What the list promises, on the page of bench/list.tsx.

import { AxeBuilder } from "@axe-core/playwright";
import { expect, type Page, test } from "@playwright/test";
import type { Bench } from "../bench/list.tsx";
import { serve } from "../bench/serve.mjs";

declare global {
  interface Window {
    bench: Bench;
    offsets: number[];
    isWatching: boolean;
  }
}

test.use({ viewport: { width: 1000, height: 800 } });

let site: Awaited<ReturnType<typeof serve>>;
let problems: string[];

test.beforeAll(async () => {
  site = await serve();
});

test.afterAll(() => site.close());

test.beforeEach(async ({ page }) => {
  problems = [];
  page.on("console", (message) => {
    if (message.type() !== "log") problems.push(message.text());
  });
  page.on("pageerror", ({ message }) => problems.push(message));
  await page.goto(site.url);
});

test.afterEach(() => {
  expect(problems).toEqual([]);
});

const list = (page: Page) => page.getByRole("list", { name: "Messages" });
const row = (page: Page, key: string) => page.locator(`[data-key="${key}"]`);

async function open(page: Page, ...options: Parameters<Bench["open"]>): Promise<void> {
  await page.evaluate((options) => window.bench.open(...options), options);
  await expect.poll(() => rows(page)).toBe(Math.min(options[0], 300));
  await rest(page);
}

/** Waits until the list is at rest, with room to spare. */
const rest = (page: Page) => page.waitForTimeout(400);

/** How far the list could be scrolled down. */
const below = (page: Page) =>
  list(page).evaluate(({ scrollHeight, clientHeight, scrollTop }) => scrollHeight - clientHeight - scrollTop);

const rows = (page: Page) => page.locator("[data-key]").count();

const atEnd = (page: Page) => page.evaluate(() => window.bench.handle()?.isAtEnd());

/** How far below the top edge of the list a row begins. */
const offset = (page: Page, key: string) =>
  row(page, key).evaluate((row) => {
    const list = row.parentElement as HTMLElement;
    return row.getBoundingClientRect().top - list.getBoundingClientRect().top;
  });

/** The first row that is in view. */
const firstInView = (page: Page) =>
  list(page).evaluate((list) => {
    const edge = list.getBoundingClientRect().top;
    const rows = [...list.querySelectorAll<HTMLElement>("[data-key]")];
    return rows.find((row) => row.getBoundingClientRect().bottom > edge)?.dataset.key ?? "";
  });

/** Notes in each painted frame where a row is; gives the greatest distance from where it was at first. */
async function shift(page: Page, key: string, act: () => Promise<unknown>): Promise<number> {
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
async function wheel(page: Page, by: number): Promise<void> {
  await list(page).hover();
  await page.mouse.wheel(0, by);
  await rest(page);
}

test.describe("at the end", () => {
  test("new items keep it there in every painted frame", async ({ page }) => {
    await open(page, 2_000);
    expect(await below(page)).toBeLessThanOrEqual(1);
    const worst = await page.evaluate(async () => {
      const list = document.querySelector(".list") as HTMLElement;
      let worst = 0;
      for (let i = 0; i < 60; i += 1) {
        for (let j = 0; j < 4; j += 1) window.bench.append(1);
        await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
        worst = Math.max(worst, list.scrollHeight - list.clientHeight - list.scrollTop);
      }
      return worst;
    });
    expect(worst).toBeLessThanOrEqual(1);
    await expect(row(page, "m2239")).toBeInViewport();
    expect(await page.evaluate(() => window.bench.log.atEnd)).toEqual([true]);
  });

  test("rows that change their height later keep it there", async ({ page }) => {
    await open(page, 500);
    await row(page, "m499").getByRole("button").click();
    await page.evaluate(() => window.bench.note("m498", "a line more"));
    await rest(page);
    expect(await below(page)).toBeLessThanOrEqual(1);
    // As an image that is loaded: without React.
    await row(page, "m499").evaluate((row) => {
      row.append(Object.assign(document.createElement("div"), { id: "image" }));
      document.getElementById("image")?.style.setProperty("block-size", "300px");
    });
    await rest(page);
    expect(await below(page)).toBeLessThanOrEqual(1);
    // It goes, which makes scrollTop fall, and something smaller comes before the list is told of either.
    await row(page, "m499").evaluate((row) => {
      document.getElementById("image")?.style.setProperty("block-size", "0");
      row.getBoundingClientRect();
      document.getElementById("image")?.style.setProperty("block-size", "100px");
    });
    await rest(page);
    expect(await below(page)).toBeLessThanOrEqual(1);
    await row(page, "m499").getByRole("button").click();
    await rest(page);
    expect(await below(page)).toBeLessThanOrEqual(1);
    expect(await atEnd(page)).toBe(true);
  });

  test("a smaller, a larger and a narrower view keep it there", async ({ page }) => {
    await open(page, 500);
    for (const size of [
      { width: 1000, height: 420 },
      { width: 360, height: 420 },
      { width: 360, height: 760 },
      { width: 1200, height: 760 },
    ]) {
      await page.setViewportSize(size);
      await rest(page);
      expect(await below(page)).toBeLessThanOrEqual(1);
      expect(await atEnd(page)).toBe(true);
    }
  });

  test("it is left by scrolling up and found again by scrolling down", async ({ page }) => {
    await open(page, 500);
    await wheel(page, -200);
    expect(await atEnd(page)).toBe(false);
    await page.evaluate(() => window.bench.append(1));
    await rest(page);
    expect(await below(page)).toBeGreaterThan(150);
    await wheel(page, 2_000);
    expect(await atEnd(page)).toBe(true);
    await page.evaluate(() => window.bench.append(5));
    await rest(page);
    expect(await below(page)).toBeLessThanOrEqual(1);
    expect(await page.evaluate(() => window.bench.log.atEnd)).toEqual([true, false, true]);
  });

  test("it is left while messages keep coming", async ({ page }) => {
    await open(page, 500);
    await page.evaluate(() => {
      const timer = setInterval(() => window.bench.append(1), 5);
      setTimeout(() => clearInterval(timer), 1_500);
    });
    await wheel(page, -300);
    const key = await firstInView(page);
    expect(await shift(page, key, () => page.waitForTimeout(600))).toBeLessThanOrEqual(1);
    expect(await atEnd(page)).toBe(false);
  });

  test("a finger that holds it isn't worked against", async ({ browser }) => {
    const context = await browser.newContext({ hasTouch: true, viewport: { width: 390, height: 700 } });
    const page = await context.newPage();
    await page.goto(site.url);
    await open(page, 500);
    const client = await context.newCDPSession(page);
    const touch = (type: "touchStart" | "touchMove" | "touchEnd", y?: number) =>
      client.send("Input.dispatchTouchEvent", { type, touchPoints: y === undefined ? [] : [{ x: 150, y }] });
    const top = () => list(page).evaluate(({ scrollTop }) => scrollTop);
    await touch("touchStart", 300);
    const before = await top();
    await page.evaluate(() => window.bench.append(3));
    await rest(page);
    expect(await top()).toBe(before);
    await touch("touchEnd");
    await rest(page);
    expect(await below(page)).toBeLessThanOrEqual(1);
    await touch("touchStart", 300);
    for (let y = 310; y <= 500; y += 10) await touch("touchMove", y);
    await page.evaluate(() => window.bench.append(3));
    for (let y = 510; y <= 600; y += 10) await touch("touchMove", y);
    await touch("touchEnd");
    await rest(page);
    expect(await atEnd(page)).toBe(false);
    // What is touched goes before the finger does.
    await page.evaluate(() => window.bench.handle()?.scrollToEnd());
    await rest(page);
    await touch("touchStart", 300);
    await page.evaluate(() => {
      for (const key of window.bench.keys().slice(-12)) window.bench.remove(key);
    });
    await rest(page);
    await touch("touchEnd");
    await page.evaluate(() => window.bench.append(3));
    await rest(page);
    expect(await below(page)).toBeLessThanOrEqual(1);
    await context.close();
  });
});

test.describe("above the end", () => {
  test("appended items move nothing", async ({ page }) => {
    await open(page, 2_000, { key: "m1000", align: "center" });
    await wheel(page, 333);
    const key = await firstInView(page);
    const act = () =>
      page.evaluate(async () => {
        for (let i = 0; i < 40; i += 1) {
          window.bench.append(5);
          await new Promise(requestAnimationFrame);
        }
      });
    expect(await shift(page, key, act)).toBeLessThanOrEqual(1);
  });

  for (const direction of ["ltr", "rtl"]) {
    test(`prepended items move nothing, ${direction}`, async ({ page }) => {
      await page.evaluate((direction) => {
        document.documentElement.dir = direction;
      }, direction);
      await open(page, 300, { key: "m4", align: "top" }, { hasOlder: true });
      await wheel(page, 37);
      const key = await firstInView(page);
      const act = async () => {
        for (let i = 0; i < 20; i += 1) {
          await page.evaluate(() => window.bench.prepend(50));
          await page.waitForTimeout(60);
        }
        await page.evaluate(() => window.bench.more(false, false));
      };
      expect(await shift(page, key, act)).toBeLessThanOrEqual(1);
      expect(await page.evaluate(() => window.bench.keys().length)).toBe(1_300);
      expect(await rows(page)).toBeLessThanOrEqual(400);
    });
  }

  test("rows above that change their height move nothing", async ({ page }) => {
    await open(page, 2_000, { key: "m1000", align: "top" });
    await wheel(page, 500);
    const key = await firstInView(page);
    const above = `m${Number(key.slice(1)) - 3}`;
    const act = async () => {
      await row(page, above).evaluate((row) => row.style.setProperty("padding-block-end", "173px"));
      await page.waitForTimeout(100);
      await row(page, above).evaluate((row) => row.style.removeProperty("padding-block-end"));
      await page.evaluate((above) => window.bench.note(above, "some words"), above);
    };
    expect(await shift(page, key, act)).toBeLessThanOrEqual(1);
  });

  test("a row above that grows in the same frame in which the reader scrolls moves nothing", async ({
    page,
  }) => {
    await open(page, 2_000, { key: "m1000", align: "top" });
    await wheel(page, 500);
    const key = await firstInView(page);
    const before = await offset(page, key);
    await row(page, `m${Number(key.slice(1)) - 3}`).evaluate((row) => {
      row.style.setProperty("padding-block-end", "173px");
      if (row.parentElement) row.parentElement.scrollTop -= 40;
    });
    await rest(page);
    expect(Math.abs((await offset(page, key)) - before - 40)).toBeLessThanOrEqual(1);
  });

  test("a removed row at the top leaves the next one where it was", async ({ page }) => {
    await open(page, 2_000, { key: "m1000", align: "top" });
    await wheel(page, 50);
    const key = await firstInView(page);
    const next = `m${Number(key.slice(1)) + 1}`;
    expect(
      await shift(page, next, () => page.evaluate((key) => window.bench.remove(key), key)),
    ).toBeLessThanOrEqual(1);
  });

  test("a list that isn't displayed for a while comes back where it was", async ({ page }) => {
    const display = (value: string) =>
      page.evaluate((value) => {
        document.querySelector<HTMLElement>(".bench > div")?.style.setProperty("display", value);
      }, value);
    await open(page, 2_000, { key: "m1000", align: "top" });
    await wheel(page, 500);
    const key = await firstInView(page);
    const before = await offset(page, key);
    await display("none");
    await page.evaluate(() => window.bench.append(3));
    await rest(page);
    await display("block");
    await rest(page);
    expect(Math.abs((await offset(page, key)) - before)).toBeLessThanOrEqual(1);
    expect(await atEnd(page)).toBe(false);
    await page.evaluate(() => window.bench.handle()?.scrollToEnd());
    await rest(page);
    await display("none");
    await page.evaluate(() => window.bench.append(3));
    await rest(page);
    await display("block");
    await rest(page);
    expect(await below(page)).toBeLessThanOrEqual(1);
    expect(await atEnd(page)).toBe(true);
  });

  test("another size of the view keeps the first row", async ({ page }) => {
    await open(page, 2_000, { key: "m1000", align: "top" });
    expect(Math.abs(await offset(page, "m1000"))).toBeLessThanOrEqual(1);
    for (const size of [
      { width: 1000, height: 400 },
      { width: 360, height: 400 },
      { width: 1100, height: 800 },
    ]) {
      await page.setViewportSize(size);
      await rest(page);
      expect(Math.abs(await offset(page, "m1000"))).toBeLessThanOrEqual(1);
    }
  });

  test("scrolling up over rows that were never measured doesn't jump", async ({ page }) => {
    await open(page, 2_000, { key: "m1000", align: "top" });
    // By one pixel a frame: whatever else a row moves is a jump.
    const worst = await page.evaluate(async () => {
      const list = document.querySelector(".list") as HTMLElement;
      const tops = () => {
        const edge = list.getBoundingClientRect().top;
        const rows = [...list.querySelectorAll<HTMLElement>("[data-key]")];
        return new Map(rows.map((row) => [row.dataset.key, row.getBoundingClientRect().top - edge]));
      };
      let worst = 0;
      for (let i = 0; i < 60; i += 1) {
        const before = tops();
        const seen = [...before].find(([, top]) => top >= 0)?.[0];
        list.scrollTop -= 40;
        await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
        worst = Math.max(worst, Math.abs((tops().get(seen) ?? 0) - (before.get(seen) ?? 0) - 40));
      }
      return worst;
    });
    expect(worst).toBeLessThanOrEqual(1);
  });
});

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

  test("it works in React's strict mode", async ({ page }) => {
    await page.goto(`${site.url}?strict`);
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
