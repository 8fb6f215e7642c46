/** What an answer of HTTP means: the JSON of the API, one of its errors, or neither. */

import {
  ApiError,
  JobFailed,
  NoAnswer,
  UnexpectedAnswer,
  type Asked,
  type CallFailed,
  type Violation,
} from "./errors.js";
import { API_ERRORS, JOB_FAILURES } from "./reasons.js";
import type { components } from "./schema.js";

/** How much of an answer that is not Penstock's is shown. */
const SHOWN_CHARACTERS = 120;

/** One of AIP-193's details, as much as is read of it. */
interface Detail {
  readonly "@type"?: string;
  readonly reason?: string;
  readonly metadata?: Record<string, string>;
  readonly fieldViolations?: readonly Partial<Violation>[];
  readonly retryDelay?: string;
  readonly links?: readonly { readonly url?: string }[];
}

/**
 * The JSON of an answer that is a success.
 *
 * @throws NoAnswer where it breaks off; UnexpectedAnswer where it is no JSON.
 */
export async function jsonOf<T>(asked: Asked, answer: Response, read: () => Promise<string>): Promise<T> {
  const text = await read();
  if (!isJson(answer)) throw unexpected(asked, answer, text);
  return parsed(asked, text) as T;
}

/** The error that an answer tells. */
export async function errorOf(asked: Asked, answer: Response, read: () => Promise<string>): Promise<CallFailed> {
  const text = await read();
  if (!isJson(answer)) return unexpected(asked, answer, text);
  const { error } = parsed(asked, text) as { error?: { message?: string; details?: Detail[] } };
  if (error === undefined || !Array.isArray(error.details)) return unexpected(asked, answer, text);
  const detail = (kind: string): Detail =>
    error.details?.find((each) => each["@type"]?.endsWith(`google.rpc.${kind}`)) ?? {};
  const { reason = "", metadata = {} } = detail("ErrorInfo");
  const facts = {
    reason,
    message: `${reason}: ${error.message ?? ""}`,
    status: answer.status,
    violations: (detail("BadRequest").fieldViolations ?? []).map(({ field = "", description = "" }) => ({
      field,
      description,
    })),
    metadata,
    helpUrl: detail("Help").links?.[0]?.url ?? "",
    retryAfterS: Math.max(retryAfterS(answer.headers), Number.parseFloat(detail("RetryInfo").retryDelay ?? "0") || 0),
    requestId: answer.headers.get("X-Request-Id") ?? "",
  };
  return new (API_ERRORS[reason] ?? ApiError)(facts);
}

/** The failure of a job that ended otherwise than SUCCEEDED. */
export function failureOf(job: components["schemas"]["Job"]): JobFailed {
  return new (JOB_FAILURES[job.error?.reason ?? ""] ?? JobFailed)(job);
}

/** An answer that is not Penstock's. */
export function unexpected(asked: Asked, answer: Response, text: string): UnexpectedAnswer {
  return new UnexpectedAnswer(asked, {
    status: answer.status,
    contentType: answer.headers.get("Content-Type") ?? "",
    beginning: text.slice(0, SHOWN_CHARACTERS),
    retryAfterS: retryAfterS(answer.headers),
  });
}

/** In seconds; RFC 9110 has it as such, or as a date. 0 where there is none. */
export function retryAfterS(headers: Headers, now = Date.now()): number {
  const value = headers.get("Retry-After")?.trim() ?? "";
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value);
  const date = Date.parse(value);
  return Number.isNaN(date) ? 0 : Math.max(0, (date - now) / 1000);
}

function isJson(answer: Response): boolean {
  return /^application\/json\b/i.test(answer.headers.get("Content-Type") ?? "");
}

function parsed(asked: Asked, text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // told below: what is no JSON is taken for a half answer
  }
  throw new NoAnswer(asked, `the answer broke off after ${text.length} characters`, { maybeDone: true });
}
