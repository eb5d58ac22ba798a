// What all parts of the page share: the session, the state machine and its socket, requests, and where we are.
//
// Everything that the state machine asks for passes through `carryOut`, and every change ends in one `render`.

import { confirmed, storage } from "./dom.js";

export const wide = matchMedia("(min-width: 761px)");

export const app = {
  session: null, // {token, user}: the access token lives here only
  refresh: null, // gets a newer token; all who ask at once share one answer
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
export const endSession = (reason) => tell("ended", reason);

// ---- requests

class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || "The server could not do that. Try again in a moment.");
    Object.assign(this, { status, code: body.code, errors: body.errors ?? [] });
  }
}

const END_OF = { token_revoked: "revoked", unauthorized: "unknown", forbidden: "disabled" };

/** A request; one whose token has just expired is asked again with a newer one. */
export async function api(method, path, body) {
  const asked = app.session;
  try {
    return await ask(method, path, body);
  } catch (problem) {
    if (problem.code !== "token_expired" || !asked || asked !== app.session) throw problem;
    await app.refresh();
    return ask(method, path, body);
  }
}

async function ask(method, path, body) {
  const headers = { Accept: "application/json" };
  const asked = app.session;
  if (asked) headers.Authorization = `Bearer ${asked.token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Problem(0, { detail: "The server can't be reached. Check your connection and try again." });
  }
  const answer = response.status === 204 ? null : await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const problem = new Problem(response.status, answer ?? {});
  const over = response.status === 401 && problem.code !== "token_expired";
  if (over && asked && asked === app.session) endSession(END_OF[problem.code] ?? "expired");
  throw problem;
}

/** Does it, or says why not. */
export async function attempt(act) {
  try {
    return await act();
  } catch (error) {
    if (app.session) await confirmed("That did not work", error.message, "All right");
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

let rendering = false;
export function render() {
  if (rendering || !app.session) return;
  rendering = true;
  const later = document.hidden ? (show) => setTimeout(show, 100) : requestAnimationFrame; // hidden tabs get no frames
  later(() => {
    rendering = false;
    if (app.session) tell("render");
  });
}
