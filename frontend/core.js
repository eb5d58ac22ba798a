// What all parts of the page share: the session, the state machine and its socket, requests, and where we are.
//
// Everything that the state machine asks for passes through `carryOut`, and every change ends in one `render`.

import { informed, storage } from "./dom.js";
import { tooManyWords } from "./text.js";

export const wide = matchMedia("(min-width: 1101px)"); // the list of members has a place of its own beside the room

export const app = {
  session: null, // {user, keeper, leaving?, wondered?}: the access token lives in its keeper only
  client: null,
  connection: null,
  connectionState: "stopped",
  stoppedBecause: null, // the close code after which we don't try again
  route: { roomId: null, members: false, seq: null },
};

const listeners = { render: [], effect: [], ended: [] };

/** "render": show the present state. "effect": what the state machine tells of. "ended": the session has, and why. */
export const on = (what, act) => listeners[what].push(act);
const tell = (what, detail) => listeners[what].forEach((act) => act(detail));
/** What is being done here that ends it (`session.leaving`) is the reason, whoever tells of the end first. */
export const endSession = (reason, detail) => app.session && tell("ended", { reason: app.session.leaving ?? reason, detail });

/** The tab, the page or the network is back: find out now what became of the log-in and of the line. */
export function wake() {
  app.session?.keeper.wake();
  app.connection?.check();
}

// ---- requests

const REQUEST_MS_MAX = 30_000;

class Problem extends Error {
  constructor(status, body, retryAfter = null) {
    super(status === 429 ? tooManyWords(Number(retryAfter)) : body.detail || body.title || "The server could not do that. Try again in a moment.");
    Object.assign(this, { status, code: body.code, errors: body.errors ?? [] });
  }
}

/** One request, with this token if there is one; `status` 0 is a problem without an answer. */
export async function ask(method, path, { body, token, deadline_ms = REQUEST_MS_MAX } = {}) {
  const headers = { Accept: "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const signal = AbortSignal.timeout(deadline_ms);
  let response, said;
  try {
    response = await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
    said = response.status === 204 ? null : await response.json();
  } catch {
    if (response === undefined || response.ok) { // an `ok` that can't be read is not our server's
      throw new Problem(0, { detail: "The server can't be reached. Check your connection and try again." });
    }
  }
  if (response.ok) return said;
  throw new Problem(response.status, said ?? {}, response.headers.get("Retry-After"));
}

/** A request of the session; one whose token has expired, or is of an older key of the server's, is made again with a newer one. */
export async function api(method, path, body) {
  const { session } = app;
  if (!session) return ask(method, path, { body });
  const { keeper } = session;
  const token = keeper.token ?? (await keeper.newerThan(null));
  try {
    return await ask(method, path, { body, token }).catch(async (problem) => {
      if (!["token_expired", "unauthorized"].includes(problem.code) || session !== app.session) throw problem;
      return ask(method, path, { body, token: await keeper.newerThan(token) });
    });
  } catch (problem) {
    const over = { token_revoked: "revoked", unauthorized: "unknown" }[problem.code];
    if (over && session === app.session) endSession(over);
    throw problem;
  }
}

/** Does it, or says why not. */
export async function attempt(act) {
  try {
    return await act();
  } catch (error) {
    if (app.session) await informed("That did not work", error.message);
    return null;
  }
}

export const roomPath = (roomId, rest = "") => `/api/chat/rooms/${roomId}${rest}`;

// ---- what the state machine asks for

export const draftKey = (roomId) => `hearth.draft.${app.session.user.id}.${roomId}`;
export const outboxPrefix = () => `hearth.outbox.${app.session.user.id}.`;

export function carryOut(effects) {
  for (const effect of effects) {
    if (effect.do === "send") app.connection?.send(effect.frame);
    else if (effect.do === "wake") setTimeout(() => app.client && carryOut(app.client.wake(Date.now())), effect.in_ms);
    else if (effect.do === "save") storage.set(outboxPrefix() + effect.item.id, effect.item);
    else if (effect.do === "erase") storage.remove(outboxPrefix() + effect.id);
    else if (effect.do === "reconnect") app.connection?.restart();
    else if (effect.request) setTimeout(() => answer(effect.do, effect.request), effect.request.in_ms ?? 0);
    else tell("effect", effect);
  }
  render();
}

/** Does something with the state machine, now: `act(client => client.markRead(…))`. */
export function act(how) {
  if (app.client) carryOut(how(app.client, Date.now()));
}

function pathOf(what, { roomId, ids, before, limit, cursor }) {
  if (what === "people") return `/api/users?ids=${ids}`;
  if (what === "online") return `/api/users/online?ids=${ids}`;
  const query = new URLSearchParams(limit && { limit });
  if (before) query.set("before", before);
  if (cursor) query.set("cursor", cursor);
  const rest = { page: "/messages", members: "/members", pins: "/pins", room: "" }[what];
  return roomPath(roomId, rest + (query.size ? `?${query}` : ""));
}

async function answer(what, request) {
  const asker = app.client;
  if (!asker) return;
  const body = await api("GET", pathOf(what, request)).catch(() => null); // the state machine is told
  if (asker === app.client) carryOut(asker.loaded(what, request, body)); // else the session ended meanwhile
}

// ---- where we are: the hash holds the room, so that reload, back and links work

export const hashOf = (roomId, members = false) => `#/room/${roomId}${members ? "/members" : ""}`;
export const hashOfMessage = (roomId, seq) => `#/room/${roomId}/${seq}`;

export function goTo(roomId) {
  location.hash = hashOf(roomId, app.route.members && wide.matches);
}

// ---- rendering

const HIDDEN_RENDER_MS = 100; // a hidden tab gets no frame, nor one that was asked for before

let rendering = false;
export function render() {
  if (rendering || !app.session) return;
  rendering = true;
  const frame = requestAnimationFrame(show);
  const timer = setTimeout(show, HIDDEN_RENDER_MS);
  function show() {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    rendering = false;
    if (app.session) tell("render");
  }
}
