/** Makes the calls of the API: each try with its time, its signature and its key; and the tries after it. */

import { errorOf, jsonOf, unexpected } from "./answers.js";
import { Deadline } from "./deadline.js";
import { InvalidUse, NoAnswer, NotConfigured, type ApiError, type Asked, type CallFailed } from "./errors.js";
import { partsOf, type Fields, type Operation, type Repeat } from "./operation.js";
import { Pages } from "./pages.js";
import { retrying, Tries, type Pace } from "./retrying.js";
import type { Signable } from "./signing.js";
import { VERSION } from "./version.js";

/** What any call may be told beside its request. */
export interface CallOptions {
  /** Ends the call: it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** How long one try may take, in seconds; the client's unless given. */
  readonly timeoutS?: number | undefined;
}

/** What a call that is made once under a key may be told. */
export interface KeyedCallOptions extends CallOptions {
  /**
   * The same request under the same key is made once in 24 hours, whatever program makes it; one is drawn unless given.
   */
  readonly idempotencyKey?: string | undefined;
}

/** How a client makes its calls. */
export interface CallSettings {
  readonly url: string;
  /** Adds what says who calls: the key, or a signature made with it. */
  readonly authorize: (request: Signable) => Promise<void>;
  readonly timeoutS: number;
  readonly retryForS: number;
  readonly pace: Pace;
  readonly fetch: typeof fetch;
}

/** What a hand-written call may add to those of the table. */
export interface Extras {
  readonly headers?: Readonly<Record<string, string>>;
  /** Failures that are thrown at the first try, though they pass. */
  readonly unless?: (error: CallFailed) => boolean;
}

/** What `call` sends beside the fields. */
interface Sent {
  readonly signal: AbortSignal | undefined;
  readonly timeoutS: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Where redirects are answers; `manual` shows them, but to browsers. Anywhere else they are unexpected. */
  readonly redirect: "follow" | "manual";
}

/** The request's fields and the call's options, in one object as callers give them. */
export type Request = object;

/** The longest key, and the characters that it may have. */
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;
const KEY_BYTES = 16;
/** Errors of `fetch` under Node that are sure: the request never left. */
const NEVER_SENT: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "UND_ERR_CONNECT_TIMEOUT",
]);

/** The calls of one client. */
export class Calls {
  constructor(readonly settings: CallSettings) {}

  /** The answer's JSON, after as many tries as the operation and the client's patience allow. */
  async call<T>(operation: Operation, request: Request, extras: Extras = {}): Promise<T> {
    const {
      signal,
      timeoutS = this.settings.timeoutS,
      idempotencyKey,
      ...given
    } = request as Fields & KeyedCallOptions;
    const keyed = operation.repeat === "KEYED";
    if (idempotencyKey !== undefined && !keyed) {
      throw new InvalidUse(`${operation.name} takes no idempotencyKey: leave it out`);
    }
    const key = keyed ? checkedKey(idempotencyKey ?? newKey()) : undefined;
    const fields = key === undefined ? given : { ...given, requestId: key };
    const headers = { ...extras.headers, ...(key === undefined ? {} : { "Idempotency-Key": key }) };
    const attempt = async (): Promise<T> => {
      const opened = await this.open(operation, fields, { signal, timeoutS, headers });
      try {
        return await jsonOf<T>(opened.asked, opened.answer, () => opened.text());
      } finally {
        opened.close();
      }
    };
    return await retrying(attempt, this.tries(operation.repeat, signal, extras.unless));
  }

  /** What a list has, page by page, as it is asked for. */
  pages<T>(operation: Operation, items: string, request: Request): Pages<T> {
    return new Pages<T>(items, (pageToken) =>
      this.call(operation, pageToken === "" ? request : { ...request, pageToken }),
    );
  }

  /** The tries of something that may be repeated so. */
  tries(repeat: Repeat, signal: AbortSignal | undefined, unless?: Extras["unless"]): Tries {
    const { retryForS, pace } = this.settings;
    return new Tries({ repeat, retryForS, pace, signal, unless });
  }

  /**
   * One try of a call, up to the headers of its answer; to be closed.
   *
   * @throws ApiError, UnexpectedAnswer where the answer is no success; NoAnswer where there is none.
   */
  async open(operation: Operation, fields: Fields, sent: Partial<Sent>): Promise<Opened> {
    const { url: base, authorize, timeoutS } = this.settings;
    const { target, body } = partsOf(operation, fields);
    const url = new URL(base + target);
    const headers = new Headers(sent.headers);
    if (body !== undefined) headers.set("Content-Type", "application/json");
    await authorize({ verb: operation.verb, url, headers, body });
    const init = { method: operation.verb, headers, body: body ?? null, redirect: sent.redirect ?? "manual" };
    const opened = await this.send(url, init, { timeoutS, ...sent });
    const { answer, asked } = opened;
    const redirects = answer.type === "opaqueredirect" || answer.status === 302;
    if (answer.ok || (redirects && sent.redirect !== undefined)) return opened;
    try {
      throw await errorOf(asked, answer, () => opened.text());
    } finally {
      opened.close();
    }
  }

  /** One try of a request to whomever, with nothing added: no key, no signature; to be closed. */
  async send(
    url: URL,
    init: RequestInit,
    { timeoutS, signal }: Pick<CallOptions, "timeoutS" | "signal">,
  ): Promise<Opened> {
    const asked = { verb: init.method ?? "GET", url: url.href };
    const headers = new Headers(init.headers);
    if (runsUnderNode()) headers.set("User-Agent", `penstock-sdk-typescript/${VERSION}`);
    const deadline = new Deadline(timeoutS, signal);
    try {
      const fixed: RequestInit = { credentials: "omit", cache: "no-store", signal: deadline.signal };
      const answer = await this.settings.fetch(url, { redirect: "manual", ...init, headers, ...fixed });
      return new Opened(asked, answer, deadline, signal, timeoutS);
    } catch (error) {
      deadline.close();
      throw noAnswer(asked, error, deadline, { signal, timeoutS, arrived: false });
    }
  }
}

/** An answer whose body is still to come. */
export class Opened {
  constructor(
    readonly asked: Asked,
    readonly answer: Response,
    readonly deadline: Deadline,
    private readonly signal: AbortSignal | undefined,
    private readonly timeoutS: number | undefined,
  ) {}

  header(name: string): string {
    return this.answer.headers.get(name) ?? "";
  }

  /** All of the body, in what is left of the try's time. */
  async text(): Promise<string> {
    return await this.#reading(() => this.answer.text());
  }

  /** All of the body's bytes, in what is left of the try's time. */
  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(await this.#reading(() => this.answer.arrayBuffer()));
  }

  /** The body as it comes; each part has `quietS` seconds to come. */
  async *chunks(quietS: number): AsyncGenerator<Uint8Array> {
    const reader = this.answer.body?.getReader();
    if (reader === undefined) return;
    try {
      for (;;) {
        this.deadline.restart(quietS);
        const { done, value } = await this.#reading(() => reader.read(), quietS);
        this.deadline.restart(undefined); // how long the caller takes is its own affair
        if (done) return;
        yield value;
      }
    } finally {
      this.close();
    }
  }

  /** The error of an answer that is none of Penstock's. */
  async unexpected(): Promise<CallFailed> {
    return unexpected(this.asked, this.answer, await this.text());
  }

  /** Lets go of the connection; what has not been read of the body is given up. */
  close(): void {
    this.deadline.close();
    if (!this.answer.bodyUsed) this.answer.body?.cancel().catch(() => undefined); // it is being given up anyway
  }

  async #reading<T>(read: () => Promise<T>, timeoutS = this.timeoutS): Promise<T> {
    try {
      return await read();
    } catch (error) {
      throw noAnswer(this.asked, error, this.deadline, { signal: this.signal, timeoutS, arrived: true });
    }
  }
}

/** The error of a try that came to nothing; the caller's own reason, where it was the caller who ended it. */
function noAnswer(
  asked: Asked,
  error: unknown,
  deadline: Deadline,
  { signal, timeoutS, arrived }: { signal: AbortSignal | undefined; timeoutS: number | undefined; arrived: boolean },
): unknown {
  if (signal?.aborted) return signal.reason;
  if (deadline.expired) {
    const why = arrived ? `the answer came to a halt for ${timeoutS} s` : `no answer within ${timeoutS} s`;
    return new NoAnswer(asked, why, { maybeDone: true, late: true, cause: error });
  }
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error; // undici's
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const why = cause instanceof Error ? cause.message || code : String(cause);
  const what = arrived ? "the answer broke off" : NEVER_SENT.has(code) ? "no connection" : "no answer";
  return new NoAnswer(asked, `${what}: ${why}`, { maybeDone: !NEVER_SENT.has(code), cause: error });
}

function checkedKey(key: string): string {
  if (IDEMPOTENCY_KEY.test(key)) return key;
  throw new InvalidUse(`idempotencyKey is ${JSON.stringify(key)}: it must be 1 to 255 visible ASCII characters`);
}

/** A key that nobody else has. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(KEY_BYTES));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function runsUnderNode(): boolean {
  return typeof (globalThis as { process?: { versions?: { node?: string } } }).process?.versions?.node === "string";
}

/**
 * The mesh's URL without a `/` at its end.
 *
 * @throws NotConfigured where it is none.
 */
export function checkedUrl(url: string): string {
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol))
    return url.replace(/[?#].*$/s, "").replace(/\/+$/, "");
  throw new NotConfigured(`url is ${JSON.stringify(url)}: it must be like https://penstock.example`);
}

/** Whether it says that waiting or asking again is the pace, and no fault. */
export function isPace(error: CallFailed): boolean {
  const { reason } = error as Partial<ApiError>;
  return reason === "QUEUE_FULL" || reason === "RATE_LIMITED";
}
