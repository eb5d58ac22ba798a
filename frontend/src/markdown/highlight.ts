// Code is coloured by a worker that is made on first use. One that takes too long is ended and made anew, and what it
// was at stays plain. What was coloured is kept, within bounds.

import { useEffect, useReducer } from "react";
import { type Language, languageOf } from "./languages.ts";
import type { Token } from "./tokenize.ts";

/** What the worker is asked for. */
export interface Job {
  text: string;
  language: Language;
}

/** The parts of a Worker that are used here. */
export interface WorkerLike {
  onmessage: ((event: MessageEvent) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
  postMessage(job: Job): void;
  terminate(): void;
}

interface Waiting extends Job {
  key: string;
  settle(tokens: Tokens): void;
  outcome: Promise<Tokens>;
}

/** null: it stays plain. */
export type Tokens = readonly Token[] | null;

const TEXT_LENGTH_MAX = 20_000;
const LOAD_MS_MAX = 10_000;
const JOB_MS_MAX = 1_000;
const WAITING_MAX = 64;
const HELD_LENGTH_MAX = 500_000;

/** Colours code, one piece after the other. */
export class Highlighter {
  private readonly makeWorker: () => WorkerLike;
  private worker: WorkerLike | null = null;
  private isReady = false;
  private isBroken = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly waiting: Waiting[] = []; // the first one is at work once the worker is ready
  private readonly held = new Map<string, Tokens>(); // the longest unused first
  private heldLength = 0;

  constructor(makeWorker: () => WorkerLike) {
    this.makeWorker = makeWorker;
  }

  /** What is known of a text; undefined: nothing yet. */
  known(text: string, language: Language): Tokens | undefined {
    return this.held.get(keyOf(text, language));
  }

  /** The tokens of a text. It never fails, and always answers within the deadlines. */
  async tokens(text: string, language: Language): Promise<Tokens> {
    const key = keyOf(text, language);
    const known = this.held.get(key);
    if (known !== undefined) {
      this.held.delete(key);
      this.held.set(key, known);
      return known;
    }
    const before = this.waiting.find((waiting) => waiting.key === key);
    if (before) return before.outcome;
    if (this.isBroken || text.length > TEXT_LENGTH_MAX || this.waiting.length >= WAITING_MAX) return null;
    let settle: (tokens: Tokens) => void = () => {};
    const outcome = new Promise<Tokens>((resolve) => {
      settle = resolve;
    });
    this.waiting.push({ text, language, key, settle, outcome });
    if (!this.worker) this.start();
    else if (this.isReady && this.waiting.length === 1) this.work();
    return outcome;
  }

  private start(): void {
    this.isReady = false;
    try {
      const worker = this.makeWorker();
      this.worker = worker;
      worker.onmessage = ({ data }) => this.heard(data);
      worker.onerror = () => this.fail();
      this.timer = setTimeout(() => this.fail(), LOAD_MS_MAX);
    } catch {
      this.fail();
    }
  }

  private heard(data: "ready" | readonly Token[]): void {
    clearTimeout(this.timer);
    if (data === "ready") this.isReady = true;
    else this.finish(data);
    this.work();
  }

  private work(): void {
    const [next] = this.waiting;
    if (!next || !this.worker) return;
    this.timer = setTimeout(() => this.fail(), JOB_MS_MAX);
    this.worker.postMessage({ text: next.text, language: next.language });
  }

  private finish(tokens: Tokens): void {
    const done = this.waiting.shift();
    if (!done) return;
    this.hold(done.key, tokens);
    done.settle(tokens);
  }

  /** The worker took too long, or broke. One that can't even be loaded isn't tried again. */
  private fail(): void {
    clearTimeout(this.timer);
    this.worker?.terminate();
    this.worker = null;
    this.isBroken = !this.isReady;
    if (this.isBroken) for (const { settle } of this.waiting.splice(0)) settle(null);
    else this.finish(null);
    if (this.waiting.length > 0) this.start();
  }

  private hold(key: string, tokens: Tokens): void {
    this.held.set(key, tokens);
    this.heldLength += key.length;
    for (const [oldest] of this.held) {
      if (this.heldLength <= HELD_LENGTH_MAX) break;
      this.held.delete(oldest);
      this.heldLength -= oldest.length;
    }
  }
}

const keyOf = (text: string, language: Language): string => `${language}\n${text}`;

const highlighter = new Highlighter(
  () => new Worker(new URL("./highlight.worker.ts", import.meta.url), { type: "module" }),
);

/** The tokens of a piece of code once they are known; null: it is plain, so far or for good. */
export function useTokens(text: string, lang: string): Tokens {
  const language = languageOf(lang);
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const known = language ? highlighter.known(text, language) : null;
  useEffect(() => {
    if (!language || highlighter.known(text, language) !== undefined) return;
    let isShown = true;
    highlighter.tokens(text, language).then((tokens) => {
      if (isShown && tokens) redraw();
    });
    return () => {
      isShown = false;
    };
  }, [text, language]);
  return known ?? null;
}
