// Measures the list: `node bench/list.bench.mjs`. The figures are for reading; what must hold is in e2e/list.spec.ts.
// On a busy machine the time by the clock says little, so tasks are measured in time of the processor.

import { loadavg } from "node:os";
import { chromium } from "@playwright/test";
import { executablePath } from "../e2e/support/chromium.mjs";
import { serve } from "./serve.mjs";

const ROWS = 50_000;
const SECONDS = 10;
const PER_SECOND = 200;

const site = await serve();
const browser = await chromium.launch({
  executablePath,
  args: [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
const page = await browser.newPage({ viewport: { width: 1000, height: 800 } });
const client = await page.context().newCDPSession(page);
await client.send("Performance.enable", { timeDomain: "threadTicks" });
await page.goto(site.url);
await page.evaluate(() => {
  window.list = () => document.querySelector(".list");
  window.painted = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  window.below = () => window.list().scrollHeight - window.list().clientHeight - window.list().scrollTop;
  window.count = () => window.list().querySelectorAll("[data-key]").length;
  window.isBlank = () => {
    const { top, bottom } = window.list().getBoundingClientRect();
    return [...window.list().querySelectorAll(".list__gap")].some((gap) => {
      const rect = gap.getBoundingClientRect();
      return rect.height > 0 && rect.bottom > top + 1 && rect.top < bottom - 1;
    });
  };
});

const table = [];
const note = (what, value) => table.push({ what, value });

const tracer = await browser.newBrowserCDPSession();

/** The tasks of the page's main thread while `act` runs, in ms of the clock and of the processor. */
async function traced(act) {
  const events = [];
  const collect = ({ value }) => {
    events.push(
      ...value.filter(({ name, ph }) => ph === "M" || name === "RunTask" || name.endsWith("::RunTask")),
    );
  };
  tracer.on("Tracing.dataCollected", collect);
  await tracer.send("Tracing.start", { categories: "-*,disabled-by-default-devtools.timeline,__metadata" });
  const result = await act();
  const done = new Promise((resolve) => {
    tracer.once("Tracing.tracingComplete", resolve);
  });
  await tracer.send("Tracing.end");
  await done;
  tracer.off("Tracing.dataCollected", collect);
  const mains = events.filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain");
  const tasks = events
    .filter(({ ph, pid, tid }) => ph === "X" && mains.some((main) => main.pid === pid && main.tid === tid))
    .map(({ dur = 0, tdur = dur }) => ({ clock: dur / 1000, processor: tdur / 1000 }));
  return { result, tasks };
}

const longest = (tasks) => {
  const long = (by) => tasks.map((task) => Math.round(task[by])).filter((ms) => ms > 50);
  return `${long("processor").length} ${JSON.stringify(long("processor"))} (by the clock ${long("clock").length})`;
};

/** The ms of the processor that the page's main thread takes while `act` runs. Tracing would add to them. */
async function timed(act) {
  const metrics = async () =>
    Object.fromEntries(
      (await client.send("Performance.getMetrics")).metrics.map(({ name, value }) => [name, value]),
    );
  const before = await metrics();
  const result = await act();
  const after = await metrics();
  const of = (name) => 1000 * (after[name] - before[name]);
  return { result, ms: of("TaskDuration"), script: of("ScriptDuration") };
}

async function open(...options) {
  await page.evaluate((options) => window.bench.open(...options), options);
  await page.waitForTimeout(1_500);
}

note("load before", loadavg()[0]);
note(
  `rows; ms to open`,
  `${ROWS}; ${await page.evaluate(async (rows) => {
    const from = performance.now();
    window.bench.open(rows);
    await window.painted();
    return Math.round(performance.now() - from);
  }, ROWS)} (making the items included)`,
);

/** Appends messages for some seconds, one at a time or those of a frame at once. */
const append = (seconds, joined) =>
  page.evaluate(
    async ({ messages, perSecond, joined }) => {
      const from = performance.now();
      let sent = 0;
      let worst = 0;
      let rows = 0;
      let frames = 0;
      const due = () => Math.min(messages, Math.floor(((performance.now() - from) / 1000) * perSecond));
      const timer = setInterval(() => {
        for (; !joined && sent < due(); sent += 1) window.bench.append(1);
      }, 5);
      while (sent < messages) {
        if (joined && due() > sent) {
          window.bench.append(due() - sent);
          sent = due();
        }
        await window.painted();
        worst = Math.max(worst, window.below());
        rows = Math.max(rows, window.count());
        frames += 1;
      }
      clearInterval(timer);
      return { worst, rows, perSecond: (1000 * frames) / (performance.now() - from) };
    },
    { messages: seconds * PER_SECOND, perSecond: PER_SECOND, joined },
  );
for (const joined of [true, false]) {
  const name = joined ? "200/s, joined per frame" : "200/s, one state each";
  await open(ROWS);
  const { result, ms, script } = await timed(() => append(SECONDS, joined));
  const each = (ms) => (ms / SECONDS / PER_SECOND).toFixed(2);
  note(`${name}: ms of main thread per message; of it script`, `${each(ms)}; ${each(script)}`);
  note(`${name}: frames a second`, result.perSecond.toFixed(0));
  const isAtEnd = await page.evaluate(() => window.bench.handle().isAtEnd());
  note(`${name}: at the end; worst px off; rows`, `${isAtEnd}; ${result.worst}; ${result.rows}`);
  const { tasks } = await traced(() => append(SECONDS, joined));
  note(`${name}: tasks over 50 ms`, longest(tasks));
}

// What the browser takes for the same rows in the same frames, without React and without a list.
await open(ROWS);
await page.evaluate(() => {
  const rows = [...window.list().querySelectorAll("[data-key]")].map((row) => row.cloneNode(true));
  const plain = document.createElement("ol");
  plain.className = "list";
  plain.append(...rows);
  window.list().parentElement.append(plain);
  window.list().style.display = "none";
  const { append } = window.bench;
  let next = 0;
  window.bench.append = (count) => {
    for (let i = 0; i < count; i += 1) {
      plain.append(rows[next].cloneNode(true));
      plain.firstElementChild.remove();
      next = (next + 1) % rows.length;
    }
    plain.scrollTop = plain.scrollHeight;
  };
  window.restore = () => {
    window.bench.append = append;
    plain.remove();
  };
});
const floor = await timed(() => append(SECONDS, true));
note(
  "the same rows in plain DOM: ms per message; frames a second",
  `${(floor.ms / SECONDS / PER_SECOND).toFixed(2)}; ${floor.result.perSecond.toFixed(0)}`,
);
await page.evaluate(() => window.restore());

/** The worst distance in px of a row from where it was, over all painted frames. */
async function shift(name, act) {
  await page.evaluate(`window.act = ${act}`);
  const { result, tasks } = await traced(() =>
    page.evaluate(async () => {
      const edge = () => window.list().getBoundingClientRect().top;
      const rows = [...window.list().querySelectorAll("[data-key]")];
      const row = rows.find((row) => row.getBoundingClientRect().bottom > edge());
      const at = row.getBoundingClientRect().top - edge();
      let isDone = false;
      let worst = 0;
      let count = 0;
      const done = window.act().then(() => {
        isDone = true;
      });
      while (!isDone) {
        await window.painted();
        worst = Math.max(worst, Math.abs(row.getBoundingClientRect().top - edge() - at));
        count = Math.max(count, window.count());
      }
      await done;
      return { worst, count };
    }),
  );
  note(
    `${name}: worst shift in px; rows; tasks over 50 ms`,
    `${result.worst}; ${result.count}; ${longest(tasks)}`,
  );
}

await open(ROWS, { key: "m20", align: "top" }, { hasOlder: true });
await shift("20 prepends of 50", async () => {
  for (let i = 0; i < 20; i += 1) {
    window.bench.prepend(50);
    for (let j = 0; j < 6; j += 1) await window.painted();
  }
});

await open(ROWS, { key: "m25000", align: "top" });
await shift("200/s appended while reading", async () => {
  for (let i = 0; i < 200; i += 1) {
    window.bench.append(3);
    await window.painted();
  }
});

for (const [name, start] of [
  ["at the end", "end"],
  ["reading", { key: "m25000", align: "top" }],
]) {
  await open(ROWS, start);
  await page.evaluate(() => {
    window.worst = 0;
    window.isOver = false;
    const row = document.querySelector('[data-key="m25000"]');
    (async () => {
      while (!window.isOver) {
        await window.painted();
        const off = row
          ? row.getBoundingClientRect().top - window.list().getBoundingClientRect().top
          : window.below();
        window.worst = Math.max(window.worst, Math.abs(off));
      }
    })();
  });
  for (const [width, height] of [
    [1000, 450],
    [1000, 800],
    [400, 800],
    [1000, 800],
  ]) {
    await page.setViewportSize({ width, height });
    await page.waitForTimeout(500);
  }
  note(
    `resize ${name}: worst px in any frame`,
    await page.evaluate(() => {
      window.isOver = true;
      return window.worst;
    }),
  );
}

await open(ROWS);
const jumps = [];
for (const key of ["m25000", "m100", "m40000", "m12345", "m33333", "m0", "m49000"]) {
  await page.waitForTimeout(400);
  const { result, tasks } = await traced(() =>
    page.evaluate(async (key) => {
      const from = performance.now();
      window.bench.handle().scrollToKey(key, "center");
      await window.painted();
      return performance.now() - from;
    }, key),
  );
  const processor = tasks.reduce((sum, task) => sum + task.processor, 0);
  jumps.push(`${Math.round(processor)}/${Math.round(result)}`);
}
note("jump to far rows until painted, ms of the processor/clock", jumps.join(" "));

for (const speed of [25_000, 75_000]) {
  await open(ROWS);
  const scroll = () =>
    page.evaluate(async (speed) => {
      let blanks = 0;
      let rows = 0;
      let last = performance.now();
      const from = last;
      for (let i = 0; i < 152; i += 1) {
        const now = await new Promise(requestAnimationFrame);
        window.list().scrollTop -= (speed * Math.max(0, now - last)) / 1000;
        last = now;
        await new Promise((resolve) => setTimeout(resolve));
        if (window.isBlank()) blanks += 1;
        rows = Math.max(rows, window.count());
      }
      return { blanks, rows, took: performance.now() - from };
    }, speed);
  const { result, ms } = await timed(scroll);
  note(
    `${speed} px/s by script: blank of 152 frames; rows; main thread busy`,
    `${result.blanks}; ${result.rows}; ${Math.round((100 * ms) / result.took)} %`,
  );
  // The browser scrolls by itself and shows what is there, before the list is told.
  await open(ROWS);
  await page.evaluate(() => {
    window.blanks = [0, 0];
    document.addEventListener(
      "scroll",
      () => {
        window.blanks[1] += 1;
        if (window.isBlank()) window.blanks[0] += 1;
      },
      true,
    );
  });
  await client.send("Input.synthesizeScrollGesture", {
    x: 500,
    y: 400,
    yDistance: speed * 2.5,
    speed,
    gestureSourceType: "mouse",
    preventFling: true,
  });
  note(
    `${speed} px/s by the wheel: blank of frames`,
    (await page.evaluate(() => window.blanks)).join(" of "),
  );
}

note("load after", loadavg()[0]);
console.table(Object.fromEntries(table.map(({ what, value }) => [what, value])));
await browser.close();
await site.close();
