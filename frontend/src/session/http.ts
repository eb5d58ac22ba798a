import createClient, { type Middleware } from "openapi-fetch";
import type { paths } from "../protocol/api.ts";
import type { FieldError } from "../protocol/types.ts";

const REQUEST_MS_MAX = 30_000;

/** A request that wasn't done. `status` 0: no answer of the server's came. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly errors: readonly FieldError[];
  /** Seconds, as the server told them with 429 and 503; 0: it told none. */
  readonly retryAfter: number;

  constructor(
    status: number,
    body: { code?: string; detail?: string; errors?: FieldError[] },
    retryAfter = 0,
  ) {
    super(body.detail ?? "");
    this.name = "Problem";
    this.status = status;
    this.code = body.code ?? (status === 0 ? "unreachable" : "");
    this.errors = body.errors ?? [];
    this.retryAfter = retryAfter;
  }
}

/** Gives the access token for a request; asks for one other than `spent` when that has been refused. */
export interface TokenSource {
  token(): Promise<string>;
  newerThan(spent: string): Promise<string>;
  /** The server says that the session is over. */
  ended(reason: "revoked" | "unknown"): void;
}

async function fetchWithDeadline(request: Request, deadline_ms = REQUEST_MS_MAX): Promise<Response> {
  const deadline = AbortSignal.timeout(deadline_ms);
  const abort = new AbortController();
  const end = (): void => abort.abort();
  deadline.addEventListener("abort", end);
  request.signal.addEventListener("abort", end);
  try {
    const response = await fetch(request, { signal: abort.signal });
    // The body is read within the deadline, too.
    const body = response.status === 204 ? null : await response.text();
    return new Response(body, { status: response.status, headers: response.headers });
  } finally {
    deadline.removeEventListener("abort", end);
    request.signal.removeEventListener("abort", end);
  }
}

/** A request whose token has expired, or is of an older key of the server's, is made once more with a newer one. */
function withToken(source: TokenSource): (request: Request) => Promise<Response> {
  return async (request) => {
    const again = request.clone();
    const token = await source.token();
    request.headers.set("Authorization", `Bearer ${token}`);
    const response = await fetchWithDeadline(request);
    if (response.status !== 401) return response;
    const code = await codeOf(response);
    if (code === "token_expired" || code === "unauthorized") {
      again.headers.set("Authorization", `Bearer ${await source.newerThan(token)}`);
      const second = await fetchWithDeadline(again);
      if (second.status === 401)
        source.ended((await codeOf(second)) === "token_revoked" ? "revoked" : "unknown");
      return second;
    }
    if (code === "token_revoked") source.ended("revoked");
    return response;
  };
}

async function codeOf(response: Response): Promise<string> {
  const body: unknown = await response
    .clone()
    .json()
    .catch(() => null);
  return typeof body === "object" && body !== null && "code" in body ? String(body.code) : "";
}

const asProblem: Middleware = {
  async onResponse({ response }) {
    if (response.ok) return undefined;
    const body = (await response.json().catch(() => ({}))) as object;
    throw new Problem(response.status, body, Number(response.headers.get("Retry-After") ?? 0) || 0);
  },
  onError({ error }) {
    return error instanceof Problem ? error : new Problem(0, {});
  },
};

export type Api = ReturnType<typeof createClient<paths>>;

/**
 * The server's REST API, typed by its own document. Each call answers `{ data }` or throws a `Problem`; `data` of an
 * answer with a body is there.
 */
export function connectApi(source?: TokenSource): Api {
  const api = createClient<paths>({
    baseUrl: location.origin,
    headers: { Accept: "application/json" },
    querySerializer: { array: { style: "form", explode: false } },
    fetch: source ? withToken(source) : (request) => fetchWithDeadline(request),
  });
  api.use(asProblem);
  return api;
}

/** For requests without a session. */
export const publicApi = connectApi();

/** The body of an answer; an answer without one isn't our server's. */
export async function bodyOf<A extends { data?: unknown }>(
  answer: Promise<A>,
): Promise<NonNullable<A["data"]>> {
  const { data } = await answer;
  if (data === undefined || data === null) throw new Problem(0, {});
  return data;
}
