/** What `map` knows without asking: how jobs are cut into batches, and which of them a refusal is about. */

import { failureOf } from "./answers.js";
import { ApiError, InvalidUse, type PenstockError, type Violation } from "./errors.js";
import type { JobRequest } from "./jobs.js";
import type { Job } from "./models.js";
import { toJson } from "./operation.js";

/** Jobs of a batch at most, as docs/api.md has it. */
export const MAX_JOBS = 100;
/** A batch's JSON at most: bodies may have 10 MiB, and what is around the jobs is little. */
const MAX_BYTES = 8 << 20;
/** Keys have 255 characters at most, and the number of a job takes its part. */
const NAME = /^[\x21-\x7e]{1,200}$/;

/** Remembers which batch was made under which key: for restarts after more than the 24 hours that keys hold. */
export interface Journal {
  /** What was told of the batch that was accepted under a key; `undefined` where none is known. */
  batchOf(key: string): string | undefined | Promise<string | undefined>;
  /** Notes a batch as soon as it is accepted: its id, and what else `batchOf` has to give back as it is. */
  accepted(key: string, batch: string): void | Promise<void>;
}

/** What became of one request; exactly those that SUCCEEDED have no `error`. */
export interface Outcome<R = JobRequest> {
  /** Its place among the requests, from 0. */
  readonly index: number;
  /** As it was given. */
  readonly request: R;
  /** As it ended; `undefined` where it was refused, or is not known any more. */
  readonly job: Job | undefined;
  /** Why it has not succeeded: JobFailed, or the ApiError that refused it. */
  readonly error: PenstockError | undefined;
}

/** One request, its place, and how large it is. */
export interface Asked<R> {
  readonly index: number;
  readonly request: R;
  readonly bytes: number;
}

/** The outcome of a job that has ended. */
export function ended<R>({ index, request }: Asked<R>, job: Job): Outcome<R> {
  return { index, request, job, error: job.state === "SUCCEEDED" ? undefined : failureOf(job) };
}

/** The outcome of a request of which no job was made, or none is known any more. */
export function refused<R>({ index, request }: Asked<R>, error: PenstockError, job?: Job): Outcome<R> {
  return { index, request, job, error };
}

/** @throws InvalidUse where keys cannot begin with it. */
export function checkedName(name: string): string {
  if (NAME.test(name)) return name;
  const shown = JSON.stringify(name.slice(0, 60));
  throw new InvalidUse(
    `name is ${shown}: it must be 1 to 200 visible ASCII characters without spaces, such as import-7`,
  );
}

/** The idempotency key of the batch that begins with a request: the same whenever the same requests are mapped. */
export function keyOf(name: string, first: Asked<unknown>): string {
  return `${name}-${String(first.index).padStart(6, "0")}`;
}

/** Requests, cut into batches: always the same ones, whatever is free in the window and whatever is done. */
export class Source<R extends object> {
  readonly #items: AsyncIterator<R> | Iterator<R>;
  readonly #size: number;
  readonly #done: ReadonlySet<number>;
  #read = 0;
  #ahead: Asked<R> | undefined;

  /**
   * @param size - Of a batch, in jobs.
   * @param done - Indexes of which nothing is wanted: a batch of such alone is passed over.
   */
  constructor(requests: Iterable<R> | AsyncIterable<R>, size: number, done: ReadonlySet<number>) {
    this.#items = Symbol.asyncIterator in requests ? requests[Symbol.asyncIterator]() : requests[Symbol.iterator]();
    this.#size = size;
    this.#done = done;
  }

  /** The next batch; empty at the end. */
  async batch(): Promise<Asked<R>[]> {
    for (;;) {
      const cut = await this.#cut();
      if (cut.length === 0 || cut.some(({ index }) => !this.#done.has(index))) return cut;
    }
  }

  /** Lets go of where the requests come from. */
  async close(): Promise<void> {
    await this.#items.return?.();
  }

  async #cut(): Promise<Asked<R>[]> {
    const cut: Asked<R>[] = [];
    let bytes = 0;
    while (cut.length < this.#size) {
      const asked = this.#ahead ?? (await this.#next());
      this.#ahead = undefined;
      if (asked === undefined) break;
      if (cut.length > 0 && bytes + asked.bytes > MAX_BYTES) {
        this.#ahead = asked;
        break;
      }
      cut.push(asked);
      bytes += asked.bytes;
    }
    return cut;
  }

  async #next(): Promise<Asked<R> | undefined> {
    const { done, value: request } = await this.#items.next();
    if (done) return undefined;
    const index = this.#read++;
    if (typeof request !== "object" || request === null) {
      throw new InvalidUse(
        `job ${index} is ${JSON.stringify(request)}: it must be an object with upstream, method and params`,
      );
    }
    return { index, request, bytes: new TextEncoder().encode(toJson(request)).length };
  }
}

/**
 * Which requests a refused batch was refused for, by their positions in it, and each one's own error.
 *
 * An answer tells 32 faults in full; the requests that have others are found when the rest is sent again. A refusal
 * that names none is about all of them.
 */
export function faultsOf(error: ApiError, jobs: number): Map<number, ApiError> {
  const told = new Map<number, Violation[]>();
  for (const { field, description } of error.violations) {
    const path = /^jobs\[(\d+)\]\.?(.*)$/s.exec(field);
    const position = Number(path?.[1] ?? jobs);
    if (position >= jobs) continue;
    told.set(position, [...(told.get(position) ?? []), { field: path?.[2] ?? "", description }]);
  }
  if (told.size > 0) return new Map([...told].map(([position, violations]) => [position, ownOf(error, violations)]));
  const named = (error.metadata["faulty_jobs"] ?? "").split(",").filter((each) => /^\d+$/.test(each));
  const positions = named.map(Number).filter((position) => position < jobs);
  return new Map((positions.length > 0 ? positions : [...Array(jobs).keys()]).map((position) => [position, error]));
}

/** The part of a batch's error that is about one of its jobs. */
function ownOf(error: ApiError, violations: readonly Violation[]): ApiError {
  const { reason, status, helpUrl, retryAfterS, requestId } = error;
  const { faulty_jobs: _, ...metadata } = error.metadata;
  const message = violations.map(({ field, description }) => `${field}: ${description}`).join("; ");
  const facts = {
    reason,
    message: `${reason}: ${message}`,
    status,
    violations,
    metadata,
    helpUrl,
    retryAfterS,
    requestId,
  };
  return new (error.constructor as typeof ApiError)(facts);
}
