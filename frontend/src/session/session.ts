// The session of this browser: how it begins, who is told that it has ended, and why.

import { createStore, useStore } from "zustand";
import { loaded } from "../loading.ts";
import type { Registration, Tokens } from "../protocol/types.ts";
import { reconnectDelay } from "../realtime/backoff.ts";
import { Farewell } from "../realtime/farewell.ts";
import type { Engine } from "./engine.ts";
import { bodyOf, connectApi, Problem, publicApi } from "./http.ts";
import { type Account, accountOf, type EndReason, readMark, watchMark, writeMark } from "./marks.ts";
import { inTurn, refresh } from "./refresh.ts";
import { type Rules, USUAL_LIMITS } from "./rules.ts";

const LOGOUT_MS_MAX = 5_000;

export interface SessionState {
  /** The running client of the session; null: nobody is logged in. */
  engine: Engine | null;
  /** There is a session, whose client is being loaded. */
  isEntering: boolean;
  ended: EndReason | null;
  endedDetail: string;
  /** What became of telling the server about a log-out. */
  farewell: "told" | "waiting" | "gaveUp";
  /** What a link brought after its `#`, which no server sees. */
  invite: string | null;
  /** The account was made by an invite just now. */
  isInvited: boolean;
  reset: string | null;
  registration: Registration;
  rules: Rules;
}

export const session = createStore<SessionState>(() => ({
  engine: null,
  isEntering: false,
  ended: null,
  endedDetail: "",
  farewell: "told",
  invite: null,
  isInvited: false,
  reset: null,
  registration: "open",
  rules: USUAL_LIMITS,
}));

export const useSession = <T>(select: (state: SessionState) => T): T => useStore(session, select);

// ---- links

/** Takes an invite or the right to a new password out of the address, before anything else sees it. */
export function takeLink(): boolean {
  const [, what, code] = location.hash.match(/^#(invite|reset)=([\w-]+)$/) ?? [];
  if (what === undefined || code === undefined) return false;
  history.replaceState(history.state, "", location.pathname + location.search);
  session.setState(what === "invite" ? { invite: code } : { reset: code });
  return true;
}

// ---- beginning

/** Begins with the session that this browser keeps. Call it once. */
export function begin(): void {
  takeLink();
  const mark = readMark();
  if (mark && "user" in mark) void enter(mark.user, null);
  else if (mark?.untold !== undefined) farewell.begin();
  addEventListener("hashchange", takeLink);
  addEventListener("online", () => farewell.wake());
  watchMark((newer) => {
    const { engine, isEntering } = session.getState();
    if (newer && "user" in newer) {
      if (engine && accountOf(engine.me) !== accountOf(newer.user)) beginAnew(engine);
      else if (!engine && !isEntering) void enter(newer.user, null);
    } else if (engine) {
      end(engine, endedBy(newer));
    }
  });
  void askServer();
}

/** Reads who may register and the server's limits, and tries again until it has them. */
async function askServer(attempt = 0): Promise<void> {
  const info = await bodyOf(publicApi.GET("/api/info")).catch(() => null);
  if (!info) return void setTimeout(() => void askServer(attempt + 1), reconnectDelay(attempt));
  const { limits } = info;
  const names = Object.keys(USUAL_LIMITS) as (keyof Rules)[];
  const rules = Object.fromEntries(names.map((name) => [name, limits[name] ?? USUAL_LIMITS[name]])) as Rules;
  session.setState({ registration: info.registration, rules });
}

/** A new session takes the cookie's place: the server is told of the one that was left before, if it can be. */
async function come(ask: () => Promise<Tokens>): Promise<void> {
  await farewell.rest();
  try {
    const tokens = await ask();
    farewell.stop();
    session.setState({ invite: null, farewell: "told" });
    await enter(tokens.user, tokens);
  } catch (problem) {
    farewell.wake();
    throw problem;
  }
}

/** Throws a `Problem`. */
export const logIn = (username: string, password: string): Promise<void> =>
  come(() => bodyOf(publicApi.POST("/api/login", { body: { username, password, cookie: true } })));

export interface NewAccount {
  username: string;
  email: string;
  password: string;
  full_name?: string;
  invite?: string;
}

/** Throws a `Problem`. */
export const register = (account: NewAccount): Promise<void> =>
  come(async () => {
    const tokens = await bodyOf(publicApi.POST("/api/register", { body: { ...account, cookie: true } }));
    session.setState({ isInvited: account.invite !== undefined });
    return tokens;
  });

/** Sets a new password by the code of a link. Throws a `Problem`. */
export async function resetPassword(code: string, new_password: string): Promise<void> {
  const { engine } = session.getState();
  // It ends the session here, where that is of the same account: by whatever tells it first.
  if (engine) engine.leaving = "reset";
  try {
    await publicApi.POST("/api/password/reset", { body: { code, new_password } });
    session.setState({ reset: null });
    if (!engine) session.setState({ ended: "reset" });
    else await engine.api.GET("/api/me").catch(() => {});
  } finally {
    if (engine) engine.leaving = null;
  }
}

/** What runs for a session is loaded by whoever has one. */
async function enter(user: Account, tokens: Tokens | null): Promise<void> {
  session.setState({ isEntering: true });
  try {
    const { Engine } = await loaded(() => import("./engine.ts"));
    const engine: Engine = new Engine(user, {
      ended: (reason, detail) => end(engine, reason, detail),
      changedUser: () => beginAnew(engine),
    });
    await engine.load();
    const mark = readMark();
    const isMine = mark !== null && "user" in mark && accountOf(mark.user) === accountOf(user);
    if (tokens === null && !isMine) {
      // Meanwhile another tab has ended the session, or somebody else has logged in.
      await engine.stop({ forget: false });
      if (mark && "user" in mark) await enter(mark.user, null);
      else session.setState({ ended: endedBy(mark) });
      return;
    }
    session.setState({ engine, ended: null, isEntering: false });
    const { id, username, full_name, created_at } = user;
    writeMark({ user: { id, username, created_at, ...(full_name && { full_name }) } });
    await engine.start(tokens);
  } finally {
    session.setState({ isEntering: false });
  }
}

/** Why another tab's mark says that the session has ended. */
function endedBy(mark: { ended: string } | null): EndReason {
  const reason = mark?.ended ?? "logout";
  return reason === "logout" ? "elsewhere" : (reason as EndReason);
}

/** Somebody else has logged in, in another tab: nothing of this session is shown or kept any more. */
function beginAnew(engine: Engine): void {
  void engine.stop({ forget: false }).then(() => location.reload());
}

// ---- the end

function end(engine: Engine, reason: EndReason, endedDetail = ""): void {
  if (session.getState().engine !== engine) return;
  // First: another tab may have to send what this one still wants.
  void engine.stop({ forget: !["over", "revoked", "unknown", "refused", "reset"].includes(reason) });
  const mark = readMark();
  if (mark && "user" in mark && accountOf(mark.user) === accountOf(engine.me)) {
    writeMark({ ended: reason, ...(reason === "logout" && { untold: engine.me.id }) });
  }
  session.setState({ engine: null, ended: reason, endedDetail });
}

/** Ends the session here at once, whatever the network does, and tells the server as soon as that is possible. */
export function logOut(): void {
  const { engine } = session.getState();
  if (!engine) return;
  const token = engine.heldToken;
  end(engine, "logout");
  farewell.begin(token);
}

/** Ends it by something that the server does. Throws a `Problem`; then nothing has ended. */
export async function leaveBy(
  reason: "everywhere" | "deleted",
  act: (engine: Engine) => Promise<unknown>,
): Promise<void> {
  const { engine } = session.getState();
  if (!engine) return;
  engine.leaving = reason; // whoever else tells of the end first
  try {
    await act(engine);
    end(engine, reason);
  } finally {
    engine.leaving = null;
  }
}

/** Ends the session that was left by its token, else by what the cookie gets, as long as that is of the same user. */
async function tellOfLogOut(token: string | null): Promise<void> {
  const mark = readMark();
  const untold = mark && "ended" in mark ? mark.untold : undefined;
  if (mark && untold === undefined) return; // another tab has done it, or somebody has logged in
  const endBy = async (newest: string): Promise<void> => {
    const api = connectApi({
      token: async () => newest,
      newerThan: () => Promise.reject(new Problem(401, {})),
      ended: () => {},
    });
    await api.POST("/api/logout", { signal: AbortSignal.timeout(LOGOUT_MS_MAX) });
  };
  try {
    if (token !== null) return await endBy(token);
  } catch (problem) {
    if (!(problem instanceof Problem) || problem.status !== 401) throw problem;
  }
  const newest = await refresh();
  if (untold === undefined || newest.user.id === untold) await endBy(newest.access_token);
}

const farewell = new Farewell({
  tell: (token) => inTurn(() => tellOfLogOut(token)),
  on: {
    waiting: () => session.setState({ farewell: "waiting" }),
    gaveUp: () => session.setState({ farewell: "gaveUp" }),
    told: () => {
      const mark = readMark();
      if (mark && "ended" in mark && mark.untold !== undefined) writeMark({ ended: "logout" });
      session.setState({ farewell: "told" });
    },
  },
});
