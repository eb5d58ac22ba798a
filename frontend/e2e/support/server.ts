// A real server for the browser suite: the debug binary on a port of its own, with a database of its own. That is SQLite,
// or MariaDB beside `scripts/with-mariadb`.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect } from "@playwright/test";

export const BINARY =
  process.env.HEARTH_BINARY ?? resolve(import.meta.dirname, "../../../target/debug/hearth");
const START_MS_MAX = 60_000;
const MARIADB = process.env.HEARTH_TEST_MYSQL;

export interface Account {
  id: number;
  username: string;
  password: string;
  token: string;
}

export interface Room {
  id: number;
  name: string;
}

interface Answer {
  status: number;
  body: unknown;
}

export class Server {
  readonly dir = mkdtempSync(join(tmpdir(), "hearth-e2e-"));
  readonly #settings: Record<string, string>;
  #host: string;
  #port = 0;
  #process: ChildProcess | null = null;
  #log = "";
  /** On MariaDB; it is made by the first start. */
  #database: string | null = null;

  constructor(settings: Record<string, string> = {}, host = "127.0.0.1") {
    this.#settings = settings;
    this.#host = host;
  }

  get url(): string {
    return `http://${this.#host === "127.0.0.1" ? "localhost" : this.#host}:${this.#port}`;
  }

  get log(): string {
    return this.#log;
  }

  /** Starts it, after a kill again on the same port and database. Resolves once it is ready. */
  async start(): Promise<void> {
    if (this.#port === 0) {
      this.#port = await freePort(this.#host);
      if (MARIADB) {
        this.#database = `e2e_${this.#port}_${Date.now()}`;
        statement(`CREATE DATABASE ${this.#database}`);
      }
    }
    const child = spawn(BINARY, ["serve"], {
      cwd: this.dir,
      env: this.#environment,
      stdio: ["ignore", "ignore", "pipe"],
    });
    child.stderr?.on("data", (text) => {
      this.#log = (this.#log + text).slice(-20_000);
    });
    this.#process = child;
    const deadline = Date.now() + START_MS_MAX;
    for (;;) {
      const isReady = await fetch(`http://${this.#host}:${this.#port}/readyz`).then(
        (answer) => answer.ok,
        () => false,
      );
      if (isReady) return;
      if (child.exitCode !== null || Date.now() > deadline)
        throw new Error(`the server did not start:\n${this.#log}`);
      await new Promise((act) => setTimeout(act, 50));
    }
  }

  get #environment(): Record<string, string> {
    return {
      PATH: process.env.PATH ?? "",
      HEARTH_LISTEN: `${this.#host}:${this.#port}`,
      HEARTH_DATA_DIR: join(this.dir, "data"),
      HEARTH_RATE_LIMITS: "off",
      HEARTH_ARGON2: "m=64,t=1,p=1",
      ...(this.#database && { HEARTH_DATABASE_URL: `${MARIADB}/${this.#database}` }),
      ...this.#settings,
    };
  }

  /** Runs another command of `hearth` with the same settings. Returns what it prints. */
  command(...args: string[]): string {
    return execFileSync(BINARY, args, {
      cwd: this.dir,
      env: this.#environment,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
  }

  /** The `#…` of a link for a new password. */
  resetLink({ username }: Account): string {
    const [hash] = this.command("user", "reset", username).match(/#reset=[\w-]+/) ?? [];
    if (hash === undefined) throw new Error(`no link for ${username}`);
    return hash;
  }

  /** Ends it at once, as a crash does. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((act) => child.once("exit", act));
    child.kill(signal);
    await ended;
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.dir, { recursive: true, force: true });
    if (this.#database) statement(`DROP DATABASE ${this.#database}`);
  }

  async ask(method: string, path: string, body?: unknown, token?: string): Promise<Answer> {
    const answer = await fetch(this.url + path, {
      method,
      headers: {
        ...(token && { Authorization: `Bearer ${token}` }),
        ...(body !== undefined && { "Content-Type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, body: text === "" ? null : JSON.parse(text) };
  }

  /** Does it, or fails the test. */
  async must<T>(method: string, path: string, body?: unknown, token?: string): Promise<T> {
    const answer = await this.ask(method, path, body, token);
    if (answer.status >= 300)
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body as T;
  }

  async register(username: string, full_name?: string): Promise<Account> {
    const password = `${username} opens the door 7`;
    const tokens = await this.must<{ user: { id: number }; access_token: string }>("POST", "/api/register", {
      username,
      email: `${username.replace(/[^a-z0-9]/gi, "x")}.${Math.random().toString(36).slice(2)}@example.org`,
      password,
      ...(full_name && { full_name }),
    });
    return { id: tokens.user.id, username, password, token: tokens.access_token };
  }

  room(owner: Account, name: string, members: readonly Account[] = [], kind = "public"): Promise<Room> {
    return this.must(
      "POST",
      "/api/chat/rooms",
      { name, kind, members: members.map(({ id }) => id) },
      owner.token,
    );
  }

  direct(from: Account, to: Account): Promise<Room> {
    return this.must("POST", "/api/chat/direct", { user_id: to.id }, from.token);
  }

  say(author: Account, room: Room, content: string, more: object = {}): Promise<{ seq: number; id: string }> {
    return this.must("POST", `/api/chat/rooms/${room.id}/messages`, { content, ...more }, author.token);
  }

  /** What is said in a room, by the server's own word. */
  async texts(reader: Account, room: Room): Promise<string[]> {
    const path = `/api/chat/rooms/${room.id}/messages`;
    const { items } = await this.must<{ items: { content: string }[] }>("GET", path, undefined, reader.token);
    return items.map(({ content }) => content);
  }

  /** Waits until a search finds so many: the index follows within two seconds. */
  async indexed(reader: Account, query: string, count: number): Promise<void> {
    const path = `/api/chat/search?q=${encodeURIComponent(query)}&limit=200`;
    const found = async (): Promise<number> =>
      (await this.must<{ items: unknown[] }>("GET", path, undefined, reader.token)).items.length;
    await expect.poll(found).toBe(count);
  }

  read(user: Account, room: Room, seq: number): Promise<unknown> {
    return this.must("POST", `/api/chat/rooms/${room.id}/read`, { seq }, user.token);
  }
}

/** Does it on MariaDB. */
function statement(sql: string): void {
  const { hostname, port, username, password } = new URL(MARIADB ?? "");
  const login = ["-h", hostname, "-P", port, "-u", username, `-p${password}`];
  execFileSync("mariadb", [...login, "-e", sql]);
}

function freePort(host: string): Promise<number> {
  return new Promise((act, fail) => {
    const listener = createServer();
    listener.once("error", fail);
    listener.listen(0, host, () => {
      const address = listener.address();
      listener.close(() => act(typeof address === "object" && address ? address.port : 0));
    });
  });
}
