/**
 * `map`: many jobs, submitted in batches, with so many unfinished at most; each is told of when it has ended.
 *
 * One loop. It fills a window with batches, waits for the job that is likely to end next, and looks at the batches that
 * may have changed. What was accepted is known by keys that follow from `name`: the same requests under the same name,
 * mapped again after a crash, are the same jobs.
 *
 * A batch with faulty jobs is refused whole, and is sent again without them *under the same key*, which a refusal
 * leaves free. So that key stands for one batch at most, whatever is found faulty another time: where that differs, the
 * service refuses the other batch (IDEMPOTENCY_KEY_REUSED), and nothing is made twice.
 */

import { isPace, newKey, type Calls } from "./calls.js";
import { sleep } from "./deadline.js";
import { ApiError, InvalidUse } from "./errors.js";
import type { JobRequest } from "./jobs.js";
import type { Batch, Job } from "./models.js";
import { GET_BATCH, GET_JOB, SUBMIT_BATCH, WAIT_JOB } from "./operations.js";
import {
  checkedName,
  ended,
  faultsOf,
  keyOf,
  MAX_JOBS,
  refused,
  Source,
  type Asked,
  type Journal,
  type Outcome,
} from "./outcomes.js";
import type { OnProgress } from "./progress.js";
import {
  BatchNotFound,
  ConnectionNeedsReauth,
  IdempotencyKeyReused,
  InvalidArgument,
  JobNotFound,
  QueueFull,
  TooLarge,
} from "./reasons.js";
import { duration } from "./waiting.js";
import { hasEnded } from "./watching.js";

/** For the job that is waited for, in seconds; short, as others may end before it. */
const WAIT_S = 1;
/** And while none ends. */
const LONGEST_WAIT_S = 5;
/**
 * After which a batch is looked at again though none of its jobs was waited for; and so much more for every open batch.
 */
const LOOK_AFTER_S = 2;
const LOOK_AFTER_EACH_S = 0.2;
/** Where a full queue does not say when it is worth another try. */
const PACE_S = 1;
/** Those that are likely to end next come first. */
const LIKELY: Readonly<Record<string, number>> = { RUNNING: 0, QUEUED: 1, RETRYING: 2 };
/** What refuses a batch for its jobs' sake; anything else would refuse the next one too, and ends the map. */
const FAULTS = [ConnectionNeedsReauth, IdempotencyKeyReused, InvalidArgument, TooLarge] as const;

/** How jobs are mapped. */
export interface MapOptions {
  /** Names these requests, so that they may be mapped again. Without one, they are made anew each time. */
  readonly name?: string | undefined;
  /**
   * Of the jobs, so many unfinished at most; 500 unless given. Below 100 it is the size of batches, and belongs to the
   * name.
   */
  readonly concurrency?: number | undefined;
  /** Whether the jobs come with their results, as they do unless told; without them it costs a call less for each. */
  readonly results?: boolean | undefined;
  readonly onProgress?: OnProgress | undefined;
  /** Remembers batches for longer than keys hold. */
  readonly journal?: Journal | undefined;
  /** Indexes whose outcomes are not wanted any more. */
  readonly done?: ReadonlySet<number> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The outcome of each request, in the order in which the jobs end.
 *
 * Requests are read as there is room for them, a batch at a time. Who stops reading leaves what was submitted to go on;
 * the same name takes it up again.
 *
 * @throws InvalidUse where an argument is wrong, or a request is none; NoAnswer where the service cannot be reached for
 *     longer than calls are repeated; ApiError where it refuses what it would refuse of any job, such as the key.
 */
export function mapJobs<R extends JobRequest>(
  calls: Calls,
  requests: Iterable<R> | AsyncIterable<R>,
  options: MapOptions,
): AsyncGenerator<Outcome<R>, void, undefined> {
  const { concurrency = 500, name } = options;
  if (!Number.isSafeInteger(concurrency) || concurrency < 1) {
    throw new InvalidUse(`concurrency is ${concurrency}: it must be a whole number, 1 or more`);
  }
  const mapping = new Mapping(calls, requests, name === undefined ? newKey() : checkedName(name), concurrency, options);
  return mapping.outcomes(Array.isArray(requests) ? requests.length : undefined);
}

/** A batch to submit: the key of all its requests, those that are left, and the positions of those that are faulty. */
interface Planned<R> {
  readonly key: string;
  readonly asked: ReadonlyMap<number, Asked<R>>;
  readonly leftOut: readonly number[];
}

/** The rest of a batch, under the same key. */
function without<R>({ key, asked, leftOut }: Planned<R>, positions: readonly number[]): Planned<R> {
  const rest = new Map([...asked].filter(([position]) => !positions.includes(position)));
  return { key, asked: rest, leftOut: [...leftOut, ...positions] };
}

/**
 * A batch of which jobs are unfinished: these as they were last seen, and what they were asked for by, by their ids.
 */
interface Open<R> {
  readonly id: string;
  readonly unfinished: Map<string, { readonly asked: Asked<R>; readonly job: Job }>;
  lookedAt: number;
}

class Mapping<R extends JobRequest> {
  readonly #calls: Calls;
  readonly #source: Source<R>;
  readonly #name: string;
  readonly #concurrency: number;
  readonly #options: MapOptions;
  readonly #done: ReadonlySet<number>;
  #open: Open<R>[] = [];
  #planned: Planned<R> | undefined;
  #exhausted = false;
  #fullUntil = 0;
  #waitS = WAIT_S;

  constructor(
    calls: Calls,
    requests: Iterable<R> | AsyncIterable<R>,
    name: string,
    concurrency: number,
    options: MapOptions,
  ) {
    this.#calls = calls;
    this.#done = options.done ?? new Set();
    this.#source = new Source(requests, Math.min(MAX_JOBS, concurrency), this.#done);
    this.#name = name;
    this.#concurrency = concurrency;
    this.#options = options;
  }

  async *outcomes(total: number | undefined): AsyncGenerator<Outcome<R>, void, undefined> {
    let [done, failed] = [0, 0];
    try {
      while (await this.#goesOn()) {
        for await (const outcome of this.#step()) {
          if (this.#done.has(outcome.index)) continue;
          done += 1;
          if (outcome.error !== undefined) failed += 1;
          this.#options.onProgress?.({ unit: "jobs", done, total: total && total - this.#done.size, failed });
          yield outcome;
        }
      }
    } finally {
      await this.#source.close();
    }
  }

  /** Whether there is anything left to submit or to wait for. */
  async #goesOn(): Promise<boolean> {
    this.#options.signal?.throwIfAborted();
    this.#open = this.#open.filter(({ unfinished }) => unfinished.size > 0);
    return this.#open.length > 0 || (await this.#plan()) !== undefined;
  }

  /** Submits a batch where there is room for it, else waits a moment; what has come out meanwhile. */
  async *#step(): AsyncGenerator<Outcome<R>> {
    const planned = this.#hasRoom(1) ? await this.#plan() : undefined;
    if (planned !== undefined && this.#hasRoom(planned.asked.size)) {
      this.#planned = undefined;
      yield* this.#submit(planned);
    } else if (this.#open.length > 0) {
      yield* this.#look();
    } else {
      await sleep(Math.max(0, this.#fullUntil - now()), this.#options.signal);
    }
  }

  /** The next batch, read where none is held; `undefined` at the end. */
  async #plan(): Promise<Planned<R> | undefined> {
    if (this.#planned === undefined && !this.#exhausted) {
      const asked = await this.#source.batch();
      const [first] = asked;
      this.#exhausted = first === undefined;
      this.#planned = first && { key: keyOf(this.#name, first), asked: new Map(asked.entries()), leftOut: [] };
    }
    return this.#planned;
  }

  #hasRoom(jobs: number): boolean {
    const unfinished = this.#open.reduce((sum, each) => sum + each.unfinished.size, 0);
    return unfinished + jobs <= this.#concurrency && now() >= this.#fullUntil;
  }

  /** Submits a batch, without those that it is refused for. */
  async *#submit(first: Planned<R>): AsyncGenerator<Outcome<R>> {
    for (let planned = first; planned.asked.size > 0;) {
      let accepted: { batch: Batch; members: ReadonlyMap<number, Asked<R>> };
      try {
        accepted = await this.#accepted(planned);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (isPace(error)) return this.#waitForRoom(error, planned);
        const positions = [...planned.asked.keys()];
        const faults =
          error instanceof BatchNotFound // what the journal remembers is kept no more
            ? new Map(positions.map((_, at) => [at, error as ApiError]))
            : FAULTS.some((each) => error instanceof each)
              ? faultsOf(error, positions.length)
              : undefined;
        if (faults === undefined) throw error;
        const faulty = new Map([...faults].map(([at, fault]) => [positions[at] ?? 0, fault]));
        for (const [position, fault] of faulty) {
          const asked = planned.asked.get(position);
          if (asked !== undefined) yield refused(asked, fault);
        }
        planned = without(planned, [...faulty.keys()]);
        continue;
      }
      const { batch, members } = accepted;
      yield* this.#opened(batch, [...members.values()]);
      // Of a batch that is remembered: those that were faulty then. None of them was ever made.
      planned = { ...without(planned, [...members.keys()]), key: `${planned.key}-again`, leftOut: [] };
    }
  }

  /** The batch that the requests make or have made, and which of them are in it. */
  async #accepted(planned: Planned<R>): Promise<{ batch: Batch; members: ReadonlyMap<number, Asked<R>> }> {
    const { journal, signal } = this.#options;
    const remembered = await journal?.batchOf(planned.key);
    if (remembered !== undefined) {
      const [batchId = "", ...leftOut] = remembered.split(" ");
      const batch = await this.#calls.call<Batch>(GET_BATCH, { batchId, signal });
      return { batch, members: without(planned, leftOut.map(Number)).asked };
    }
    const jobs = [...planned.asked.values()].map(({ request }) => request);
    const submitted = { jobs, idempotencyKey: planned.key, signal };
    const batch = await this.#calls.call<Batch>(SUBMIT_BATCH, submitted, { unless: isPace });
    await journal?.accepted(planned.key, [batch.id, ...planned.leftOut].join(" "));
    return { batch, members: planned.asked };
  }

  /** Holds a batch back until the queue may have room for it: that is the pace, and no error. */
  #waitForRoom(error: ApiError, planned: Planned<R>): void {
    const limit = error.metadata["limit"] ?? "";
    if (error instanceof QueueFull && /^\d+$/.test(limit) && Number(limit) < planned.asked.size) {
      throw new InvalidUse(
        `a batch of ${planned.asked.size} jobs never fits: this tenant may have ${limit} unfinished jobs; ` +
          `map with concurrency ${limit}, under another name`,
        { cause: error },
      );
    }
    this.#planned = planned;
    this.#fullUntil = now() + (error.retryAfterS || PACE_S);
  }

  /** Takes up a batch that was accepted, now or before. */
  async *#opened(batch: Batch, members: readonly Asked<R>[]): AsyncGenerator<Outcome<R>> {
    const { id = "", jobs = [] } = batch;
    if (jobs.length !== members.length) {
      throw new InvalidUse(
        `the journal has ${id} for job ${members[0]?.index} and those after it, which has ${jobs.length} jobs where ` +
          `${members.length} are asked for: it is of other jobs; map these under another name`,
      );
    }
    const opened: Open<R> = { id, unfinished: new Map(), lookedAt: 0 };
    members.forEach((asked, at) => {
      const job = jobs[at] ?? {};
      if (!this.#done.has(asked.index)) opened.unfinished.set(job.id ?? "", { asked, job });
    });
    this.#open.push(opened);
    yield* this.#seen(opened, jobs);
  }

  /** Waits a moment for the job that is likely to end next, and looks at the batches that may have changed. */
  async *#look(): AsyncGenerator<Outcome<R>> {
    const all = this.#open.flatMap((opened) => [...opened.unfinished.values()].map(({ job }) => ({ opened, job })));
    const likely = ({ job }: { job: Job }): number => LIKELY[job.state ?? ""] ?? Infinity;
    const awaited = all.reduce((best, each) => (likely(each) < likely(best) ? each : best));
    const job = await this.#waited(awaited.job);
    const dueAt = now() - LOOK_AFTER_S - LOOK_AFTER_EACH_S * this.#open.length;
    const changed = job === undefined || hasEnded(job);
    const due = this.#open.filter((each) => each.lookedAt <= dueAt || (each === awaited.opened && changed));
    let some = false;
    const told = this.#toldOf(awaited.opened, job, due);
    for await (const outcome of told) {
      some = true;
      yield outcome;
    }
    this.#waitS = some ? WAIT_S : Math.min(this.#waitS * 1.5, LONGEST_WAIT_S);
  }

  async *#toldOf(opened: Open<R>, job: Job | undefined, due: readonly Open<R>[]): AsyncGenerator<Outcome<R>> {
    if (job !== undefined) yield* this.#seen(opened, [job]);
    for (const each of due) yield* this.#looked(each);
  }

  /** A job after a moment, or as soon as it has ended; `undefined` where it is not known any more. */
  async #waited(awaited: Job): Promise<Job | undefined> {
    const roomInS = this.#fullUntil - now();
    const waitS = roomInS <= 0 || this.#planned === undefined ? this.#waitS : Math.min(this.#waitS, roomInS);
    const { signal } = this.#options;
    const timeoutS = waitS + this.#calls.settings.timeoutS;
    try {
      return await this.#calls.call<Job>(WAIT_JOB, { jobId: awaited.id, timeout: duration(waitS), timeoutS, signal });
    } catch (error) {
      if (error instanceof JobNotFound) return undefined; // its batch tells
      throw error;
    }
  }

  async *#looked(opened: Open<R>): AsyncGenerator<Outcome<R>> {
    let batch: Batch;
    try {
      batch = await this.#calls.call<Batch>(GET_BATCH, { batchId: opened.id, signal: this.#options.signal });
    } catch (error) {
      if (!(error instanceof BatchNotFound)) throw error;
      // Its records were erased.
      for (const { asked, job } of opened.unfinished.values()) yield refused(asked, error, job);
      opened.unfinished.clear();
      return;
    }
    yield* this.#seen(opened, batch.jobs ?? []);
  }

  /** Takes note of how jobs of a batch stand. */
  async *#seen(opened: Open<R>, jobs: readonly Job[]): AsyncGenerator<Outcome<R>> {
    opened.lookedAt = now();
    for (const job of jobs) {
      const known = opened.unfinished.get(job.id ?? "");
      if (known === undefined) continue;
      if (hasEnded(job)) {
        opened.unfinished.delete(job.id ?? "");
        yield await this.#outcome(known.asked, job);
      } else {
        opened.unfinished.set(job.id ?? "", { asked: known.asked, job });
      }
    }
  }

  /** The outcome of a job that has ended; batches show jobs without the content of their results. */
  async #outcome(asked: Asked<R>, job: Job): Promise<Outcome<R>> {
    const { result } = job;
    const wanted = this.#options.results !== false && !this.#done.has(asked.index);
    if (!wanted || result === undefined || result.inline !== undefined || result.url) return ended(asked, job);
    try {
      return ended(asked, await this.#calls.call<Job>(GET_JOB, { jobId: job.id, signal: this.#options.signal }));
    } catch (error) {
      if (error instanceof JobNotFound) return refused(asked, error, job);
      throw error;
    }
  }
}

/** In seconds since some moment. */
function now(): number {
  return performance.now() / 1000;
}
