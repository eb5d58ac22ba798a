// What the list promises at its end, and above it.

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

  test("a finger that holds it isn't worked against", async ({ browser, address }) => {
    const context = await browser.newContext({ hasTouch: true, viewport: { width: 390, height: 700 } });
    const page = await context.newPage();
    await page.goto(address);
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
      // In a frame: what is changed between a frame and its look at the page would be seen before it is painted.
      const grow = (by: string): Promise<void> =>
        row(page, above).evaluate((row, by) => {
          return new Promise((done) => {
            requestAnimationFrame(() => {
              row.style.paddingBlockEnd = by;
              done();
            });
          });
        }, by);
      await grow("173px");
      await page.waitForTimeout(100);
      await grow("");
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
