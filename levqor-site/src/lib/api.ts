import type { components } from "@/lib/api-types";
import { apiBase, isHostedElsewhere } from "@/lib/config";

export type Schemas = components["schemas"];
export type Overview = Schemas["Overview"];
export type Status = Schemas["Status"];
export type Signal = Schemas["Signal"];
export type Decision = Schemas["DecisionRecord"];
export type Worker = Schemas["Worker"];
export type Chart = Schemas["Chart"];
export type Budget = Schemas["Budget"];
export type Incident = Schemas["Incident"];
export type Thresholds = Schemas["Thresholds"];

const TIMEOUT_MS = 15_000;
/** Some changes answer only once it is known what became of them. */
const CHANGE_TIMEOUT_MS = 45_000;

/** A refusal by the API: its status and the sentence that it gave. */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    readonly status: number,
    readonly detail: string,
  ) {
    super(detail);
  }

  get needsSignIn(): boolean {
    return this.status === 401 || this.status === 403;
  }
}

/** The API did not answer at all. */
export class LostConnection extends Error {
  override readonly name = "LostConnection";
}

type Method = "GET" | "POST" | "PUT" | "DELETE";

async function send(method: Method, path: string, body: unknown, csrf: string | null): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (csrf !== null) headers["X-CSRF-Token"] = csrf;
  try {
    return await fetch(apiBase + path, {
      method,
      headers,
      credentials: isHostedElsewhere ? "include" : "same-origin",
      cache: "no-store",
      signal: AbortSignal.timeout(method === "GET" ? TIMEOUT_MS : CHANGE_TIMEOUT_MS),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new LostConnection("Levqor does not answer");
  }
}

async function detailOf(response: Response): Promise<string> {
  try {
    const problem: unknown = await response.json();
    if (typeof problem === "object" && problem !== null && "detail" in problem) return String(problem.detail);
  } catch {
    // Not JSON: a proxy's own page. Its status says enough.
  }
  return `the server answered ${response.status}`;
}

async function read<T>(response: Response): Promise<T> {
  if (!response.ok) throw new ApiError(response.status, await detailOf(response));
  if (response.status === 204) return undefined as T;
  return (await response.json()) as T;
}

/** Read from the API. Throws ApiError or LostConnection. */
export async function get<T>(path: string): Promise<T> {
  return read<T>(await send("GET", path, undefined, null));
}

/** Change something. `csrf` is the session's; without a session the API refuses. Throws ApiError or LostConnection. */
export async function change<T>(method: Exclude<Method, "GET">, path: string, body: unknown, csrf: string | null): Promise<T> {
  return read<T>(await send(method, path, body, csrf));
}
