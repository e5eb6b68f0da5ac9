import type { Envelope } from "./schema";

/** What the server said went wrong. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly requestId = "",
  ) {
    super(message);
  }
}

/** One request of this page, for the request log. */
export interface Exchange {
  at: number;
  method: string;
  path: string;
  status: number;
  ms: number;
  requestId: string;
  problem: string;
}

const KEPT = 200;
export const exchanges: Exchange[] = [];
const listeners = new Set<() => void>();

/** Hear of requests, and of a sign-in that is over. */
export const heard = {
  exchange: listeners,
  signedOut: new Set<() => void>(),
};

export async function api<T>(method: string, path: string, body?: unknown, more: RequestInit = {}): Promise<T> {
  const response = await request(method, path, {
    ...more,
    method,
    headers: { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...more.headers },
    body: body === undefined ? more.body : JSON.stringify(body),
  });
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export const get = <T>(path: string): Promise<T> => api<T>("GET", path);
export const post = <T>(path: string, body: unknown = {}): Promise<T> => api<T>("POST", path, body);

/** A request that is logged; raises `ApiError` for whatever is not 2xx. */
export async function request(method: string, path: string, init: RequestInit): Promise<Response> {
  const begun = performance.now();
  let response: Response;
  try {
    response = await fetch(path, { ...init, method, credentials: "same-origin" });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    log(method, path, 0, begun, "", "no answer");
    throw new ApiError(0, "NO_ANSWER", "The server does not answer. Is `rlm serve` running?");
  }
  const requestId = response.headers.get("X-Request-ID") ?? "";
  if (response.ok) {
    log(method, path, response.status, begun, requestId, "");
    return response;
  }
  const error = await errorOf(response, requestId);
  log(method, path, response.status, begun, requestId, error.message);
  if (response.status === 401 && path.startsWith("/v1/")) for (const listener of heard.signedOut) listener();
  throw error;
}

async function errorOf(response: Response, requestId: string): Promise<ApiError> {
  try {
    const { error } = (await response.json()) as Envelope;
    return new ApiError(response.status, error.code, error.message, error.request_id);
  } catch {
    return new ApiError(response.status, "UNKNOWN", `The server answered ${response.status}.`, requestId);
  }
}

function log(method: string, path: string, status: number, begun: number, requestId: string, problem: string): void {
  exchanges.unshift({ at: Date.now(), method, path, status, ms: performance.now() - begun, requestId, problem });
  exchanges.length = Math.min(exchanges.length, KEPT);
  for (const listener of listeners) listener();
}

/** A sentence for whatever was thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
