import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Highlighter, type Job, type WorkerLike } from "./highlight.ts";
import { languageOf } from "./languages.ts";
import { tokenize } from "./tokenize.ts";

test("languages by the names that people write", () => {
  for (const [lang, language] of [
    ["js", "javascript"],
    ["TS", "typescript"],
    ["c++", "cpp"],
    ["c#", "csharp"],
    ["html", "xml"],
    ["rust,no_run", "rust"],
    ["brainfuck", null],
    ["", null],
    ["constructor", null],
  ]) {
    expect(languageOf(lang ?? ""), lang ?? "").toBe(language);
  }
});

test("code in coloured pieces, which put together are the code", () => {
  for (const [lang, code, piece] of [
    ["javascript", "const a = `x$" + "{1}`; // why", ["const", "keyword"]],
    ["typescript", "interface A { b: string }", ["interface", "keyword"]],
    ["python", "def f():\n  return 'x'", ["'x'", "string"]],
    ["rust", 'fn main() { println!("x"); }', ["fn", "keyword"]],
    ["go", "func main() {}", ["func", "keyword"]],
    ["java", "class A { int b = 1; }", ["1", "number"]],
    ["c", "#include <a.h>\nint main(void) { return 0; }", ["return", "keyword"]],
    ["cpp", "auto x = 1;", ["auto", "keyword"]],
    ["csharp", "public class A {}", ["public", "keyword"]],
    ["bash", 'echo "$HOME" # why', ["# why", "comment"]],
    ["json", '{"a": true}', ["true", "keyword"]],
    ["yaml", "a: b # c", ["# c", "comment"]],
    ["sql", "SELECT 1 FROM a", ["SELECT", "keyword"]],
    [
      "xml",
      "<a href='b'>c</a><script>let d = 1;</script><style>a { color: red }</style>",
      ["let", "keyword"],
    ],
    ["css", "a { color: red }", ["a", "keyword"]],
    ["diff", "-a\n+b", ["+b", "added"]],
  ] as const) {
    const tokens = tokenize(code, lang);
    expect(tokens.map(([text]) => text).join(""), lang).toBe(code);
    expect(tokens, lang).toContainEqual(piece);
  }
});

test("few pieces, whatever the code", () => {
  const code = "1 a ".repeat(5_000);
  const tokens = tokenize(code, "javascript");
  expect(tokens.length).toBeLessThanOrEqual(4_000);
  expect(tokens.map(([text]) => text).join("") === code).toBe(true);
  expect(tokens.at(-1)?.[1]).toBe("");
});

class FakeWorker implements WorkerLike {
  onmessage: WorkerLike["onmessage"] = null;
  onerror: WorkerLike["onerror"] = null;
  readonly jobs: Job[] = [];
  isEnded = false;

  postMessage(job: Job): void {
    this.jobs.push(job);
  }
  terminate(): void {
    this.isEnded = true;
  }
  say(data: unknown): void {
    if (!this.isEnded) this.onmessage?.(new MessageEvent("message", { data }));
  }
  answer(): void {
    this.say([[this.jobs.at(-1)?.text ?? "", "keyword"]]);
  }
}

let workers: FakeWorker[] = [];
const make = () => {
  workers.push(new FakeWorker());
  return worker();
};
const worker = () => workers.at(-1) ?? new FakeWorker();

beforeEach(() => {
  vi.useFakeTimers();
  workers = [];
});
afterEach(() => vi.useRealTimers());

test("one piece after the other, each once, and kept", async () => {
  const highlighter = new Highlighter(make);
  const outcomes = [highlighter.tokens("a", "c"), highlighter.tokens("b", "c"), highlighter.tokens("a", "c")];
  expect(workers).toHaveLength(1);
  expect(worker().jobs).toEqual([]);
  worker().say("ready");
  expect(worker().jobs).toEqual([{ text: "a", language: "c" }]);
  worker().answer();
  worker().answer();
  expect(worker().jobs.map(({ text }) => text)).toEqual(["a", "b"]);
  expect(await Promise.all(outcomes)).toEqual([[["a", "keyword"]], [["b", "keyword"]], [["a", "keyword"]]]);
  expect(highlighter.known("a", "c")).toEqual([["a", "keyword"]]);
  expect(highlighter.known("a", "cpp")).toBe(undefined);
  expect(await highlighter.tokens("b", "c")).toEqual([["b", "keyword"]]);
  expect(worker().jobs).toHaveLength(2);
});

test("a worker that takes too long is ended and made anew; its code stays plain", async () => {
  const highlighter = new Highlighter(make);
  const [slow, next] = [highlighter.tokens("slow", "c"), highlighter.tokens("next", "c")];
  const first = worker();
  first.say("ready");
  vi.advanceTimersByTime(999);
  expect(first.isEnded).toBe(false);
  vi.advanceTimersByTime(1);
  expect(first.isEnded).toBe(true);
  expect(await slow).toBe(null);
  expect(workers).toHaveLength(2);
  worker().say("ready");
  worker().answer();
  expect(await next).toEqual([["next", "keyword"]]);
  expect(await highlighter.tokens("slow", "c")).toBe(null); // isn't tried again
  expect(workers).toHaveLength(2);
  vi.advanceTimersByTime(60_000);
  expect(worker().isEnded).toBe(false); // nothing is waited for
});

test("a worker that breaks is made anew, one that can't be loaded isn't", async () => {
  const highlighter = new Highlighter(make);
  const broken = highlighter.tokens("a", "c");
  worker().say("ready");
  worker().onerror?.(new Event("error") as ErrorEvent);
  expect(await broken).toBe(null);
  const again = highlighter.tokens("b", "c");
  expect(workers).toHaveLength(2);
  vi.advanceTimersByTime(10_000);
  expect(await again).toBe(null);
  expect(await highlighter.tokens("c", "c")).toBe(null);
  expect(workers).toHaveLength(2);
  const impossible = new Highlighter(() => {
    throw new Error("refused");
  });
  expect(await impossible.tokens("a", "c")).toBe(null);
});

test("what waits and what is kept are bounded", async () => {
  const highlighter = new Highlighter(make);
  expect(await highlighter.tokens("x".repeat(20_001), "c")).toBe(null);
  expect(workers).toHaveLength(0);
  const outcomes = Array.from({ length: 64 }, (_, index) =>
    highlighter.tokens(`${index} ${"x".repeat(19_900)}`, "c"),
  );
  expect(await highlighter.tokens("one too many", "c")).toBe(null);
  worker().say("ready");
  for (let count = 0; count < 64; count += 1) worker().answer();
  await Promise.all(outcomes);
  expect(highlighter.known(`63 ${"x".repeat(19_900)}`, "c")).toBeTruthy();
  expect(highlighter.known(`0 ${"x".repeat(19_900)}`, "c")).toBe(undefined);
});
