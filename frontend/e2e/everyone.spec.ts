// For everyone (FRONTEND.md, 35 to 40): what must hold in every view, whatever the screen, the colours and the language.

import { AxeBuilder } from "@axe-core/playwright";
import { type Account, expect, messageWith, type Page, test } from "./support/test.ts";
import { type Scene, scene, VIEWS, type View } from "./support/views.ts";

/** Walks through every view: for `E2E_LONG=1`, for it takes minutes. */
const LONG = { tag: "@long" };

const DESKTOP = { viewport: { width: 1280, height: 800 } };
const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
const NARROW = { viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true };
/** What 200 % zoom makes of a small laptop's window. */
const ZOOMED = { viewport: { width: 640, height: 400 }, deviceScaleFactor: 2 };

interface Tools {
  server: { url: string };
  browser: { newContext(options: object): Promise<{ newPage(): Promise<Page>; close(): Promise<void> }> };
  open(account: Account, path?: string, options?: object): Promise<{ page: Page }>;
}

/** Shows each view in turn, and tells where `look` finds something. */
async function inEachView(
  { server, browser, open }: Tools,
  shown: Scene,
  options: { viewport?: object; colorScheme?: "light" | "dark" },
  look: (page: Page, view: View) => Promise<string[]>,
  query = "",
): Promise<string[]> {
  const found: string[] = [];
  const settled = { reducedMotion: "reduce", ...options };
  const nobody = await browser.newContext(settled);
  const pages = {
    nobody: await nobody.newPage(),
    ana: (await open(shown.ana, "/login", settled)).page,
    newcomer: (await open(shown.newcomer, "/login", settled)).page,
  };
  const only = process.env.E2E_VIEW;
  for (const view of VIEWS) {
    if (only !== undefined && view.name !== only) continue;
    const page = pages[view.who];
    await test.step(view.name, async () => {
      const [path = "", hash] = view.path(shown).split("#");
      const asked = query === "" ? path : `${path}${path.includes("?") ? "&" : "?"}${query}`;
      await page.goto("about:blank");
      await page.goto(`${server.url}${asked}${hash === undefined ? "" : `#${hash}`}`);
      await view.show(page);
      if (options.colorScheme)
        await expect(page.locator("html")).toHaveAttribute("data-scheme", options.colorScheme);
      for (const fault of await look(page, view)) found.push(`${view.name}: ${fault}`);
    });
  }
  await nobody.close();
  return found;
}

test.beforeEach(({ faults }) => {
  test.setTimeout(900_000);
  faults.allow(/WebSocket|404|401/);
});

for (const [device, options] of Object.entries({ desktop: DESKTOP, phone: PHONE })) {
  for (const colorScheme of ["light", "dark"] as const) {
    test(
      `36: axe finds nothing in any view, ${colorScheme}, ${device}`,
      LONG,
      async ({ server, browser, account, open }) => {
        const shown = await scene(server, account);
        const look = async (page: Page): Promise<string[]> => {
          // Base UI's guards pass the focus on at once: it never rests on what is hidden.
          const axe = new AxeBuilder({ page }).exclude("[data-base-ui-focus-guard]");
          const { violations } = await axe.analyze();
          return violations.flatMap(({ id, nodes }) =>
            nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary}`),
          );
        };
        expect(await inEachView({ server, browser, open }, shown, { ...options, colorScheme }, look)).toEqual(
          [],
        );
      },
    );
  }
}

/** What makes the page scroll sideways, or lies outside of it. */
async function tooWide(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const wide = document.documentElement.clientWidth;
    const isClipped = (element: Element): boolean => {
      for (let up = element.parentElement; up; up = up.parentElement) {
        const { overflowX } = getComputedStyle(up);
        const { left, right } = up.getBoundingClientRect();
        if (overflowX !== "visible" && left >= -1 && right <= wide + 1 && up !== document.body) return true;
      }
      return false;
    };
    const scrolled = [...document.querySelectorAll("*")].filter((element) => {
      const { overflowX } = getComputedStyle(element);
      const isScroller = overflowX === "auto" || overflowX === "scroll";
      return (
        isScroller &&
        element.scrollWidth > element.clientWidth + 1 &&
        !element.matches(".md *, [role=tablist]")
      );
    });
    const outside = [...document.querySelectorAll("body *")].filter((element) => {
      const { left, right, width } = element.getBoundingClientRect();
      return width > 1 && (right > wide + 1 || left < -1) && !isClipped(element);
    });
    return [...scrolled, ...outside].map((element) => element.outerHTML.slice(0, 140));
  });
}

for (const [name, options] of Object.entries({ "320 px wide": NARROW, "zoomed to 200 %": ZOOMED })) {
  test(`36: ${name}, no view scrolls sideways`, LONG, async ({ server, browser, account, open }) => {
    const shown = await scene(server, account);
    expect(await inEachView({ server, browser, open }, shown, options, tooWide)).toEqual([]);
  });
}

/** What can be pressed and is smaller than that; links within a text are left out, as WCAG does. */
async function tooSmall(page: Page, min: number): Promise<string[]> {
  return page.evaluate((min) => {
    const found: string[] = [];
    const controls = "button, a[href], input, select, textarea, [role=menuitem], [role=option], [role=tab]";
    for (const element of document.querySelectorAll(controls)) {
      if (
        !element.checkVisibility({ visibilityProperty: true }) ||
        element.closest(".visually-hidden, [aria-hidden=true]")
      )
        continue;
      if (element.closest("p, .md") && getComputedStyle(element).display.startsWith("inline")) continue;
      const target = element.closest("label") ?? element;
      const box = target.getBoundingClientRect();
      // What is laid around it takes presses, too.
      const around = getComputedStyle(element, "::after");
      const reach = around.position === "absolute" ? around : { width: "0", height: "0" };
      const width = Math.max(box.width, Number.parseFloat(reach.width) || 0);
      const height = Math.max(box.height, Number.parseFloat(reach.height) || 0);
      if (width > 0 && (width < min - 0.5 || height < min - 0.5))
        found.push(`${Math.round(width)} x ${Math.round(height)} ${element.outerHTML.slice(0, 120)}`);
    }
    return found;
  }, min);
}

for (const [device, options, min] of [
  ["desktop", DESKTOP, 24],
  ["phone", PHONE, 44],
] as const) {
  test(`36: targets are at least ${min} px, ${device}`, LONG, async ({ server, browser, account, open }) => {
    const shown = await scene(server, account);
    const look = (page: Page): Promise<string[]> => tooSmall(page, min);
    expect(await inEachView({ server, browser, open }, shown, options, look)).toEqual([]);
  });
}

test("38: no field makes a phone zoom in", LONG, async ({ server, browser, account, open }) => {
  const shown = await scene(server, account);
  const look = (page: Page): Promise<string[]> =>
    page.evaluate(() =>
      [
        ...document.querySelectorAll(
          "input:not([type=checkbox], [type=radio], .visually-hidden), textarea, select",
        ),
      ]
        .filter(
          (field) => field.checkVisibility() && Number.parseFloat(getComputedStyle(field).fontSize) < 16,
        )
        .map((field) => field.outerHTML.slice(0, 120)),
    );
  expect(await inEachView({ server, browser, open }, shown, PHONE, look)).toEqual([]);
});

/** Texts that are seen and don't come from the catalogue. Those of people, and numbers, are left out. */
async function untranslated(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    // The names of emoji come in the reader's language from their own data.
    const PEOPLES =
      ".md, bdi, [dir=auto], [translate=no], kbd, time, .avatar, [frimousse-row], [frimousse-category-header]";
    const isForeign = (text: string): boolean =>
      /\p{L}/u.test(text) && !text.trimStart().startsWith("\u2045") && !text.trimStart().startsWith("@");
    const found: string[] = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const parent = node.parentElement;
      if (!parent?.checkVisibility() || parent.closest("script, style")) continue;
      const text = node.nodeValue ?? "";
      if (isForeign(text) && !parent.closest(PEOPLES) && !parent.textContent?.startsWith("@"))
        found.push(text);
    }
    for (const name of ["aria-label", "title", "placeholder", "alt"])
      for (const element of document.querySelectorAll(`body [${name}]`)) {
        const text = element.getAttribute(name) ?? "";
        if (
          isForeign(text) &&
          !element.closest(".md, main.chat-room[aria-label], [translate=no], [frimousse-row]")
        )
          found.push(`${name}: ${text}`);
      }
    if (isForeign(document.title)) found.push(`title: ${document.title}`);
    return found;
  });
}

test("37: every text comes from the catalogue", LONG, async ({ server, browser, account, open }) => {
  const shown = await scene(server, account);
  expect(await inEachView({ server, browser, open }, shown, DESKTOP, untranslated, "pseudo")).toEqual([]);
});

const brokenFrames = (room_id: number): string[] => [
  "this is not JSON",
  "[]",
  "null",
  ...[
    { type: 42 },
    { type: "a type of next year", room_id },
    { type: "message" },
    { type: "message", room_id },
    { type: "message", room_id: "one", message: null },
    { type: "message", room_id, seq: 1, sender: null, content: 7 },
    { type: "message_updated", room_id, seq: 1, reactions: "many" },
    { type: "member", room_id, user: null },
    { type: "room", room_id, room: null },
    { type: "added", room_id, room: null },
    { type: "removed", room_id, rev: "now" },
    { type: "read", room_id, user_id: null, seq: "all" },
    { type: "typing", room_id, user_id: {} },
    { type: "synced", room_id },
    { type: "presence", user: null },
    { type: "ready", rooms: null },
  ].map((frame) => JSON.stringify(frame)),
];

test("40: broken and unknown frames never blank the page", async ({ server, account, open }) => {
  const shown = await scene(server, account);
  const { page } = await open(shown.ana, "/login");
  const tell: ((frame: string) => void)[] = [];
  let isOdd = false;
  await page.routeWebSocket(/\/ws$/, (socket) => {
    const real = socket.connectToServer();
    tell.push((frame) => socket.send(frame));
    real.onMessage((frame) => {
      const text = String(frame);
      socket.send(isOdd && text.startsWith("{") ? `{"of_next_year":{"deep":[1]},${text.slice(1)}` : text);
    });
  });
  await page.goto(`${server.url}/room/${shown.room.id}`);
  await expect(messageWith(page, "the last words")).toBeVisible();
  for (const frame of brokenFrames(shown.room.id)) for (const send of tell) send(frame);
  isOdd = true;
  await server.say(shown.bo, shown.room, "after the broken ones");
  await expect(messageWith(page, "after the broken ones")).toHaveCount(1);
  await page.locator("#composer").fill("an answer");
  await page.locator("#composer").press("Enter");
  await expect(messageWith(page, "an answer")).toHaveCount(1);
  await expect(page.locator("[data-state=pending]")).toHaveCount(0);
});
