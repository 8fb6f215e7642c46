/** Waits for a job's end: by its stream, else by long polls, else by polls. */

import type { Calls } from "./calls.js";
import { Deadline, sleep } from "./deadline.js";
import { CallFailed, NoAnswer, UnexpectedAnswer, WaitTimeout } from "./errors.js";
import { GET_JOB, WAIT_JOB } from "./operations.js";
import type { Job } from "./models.js";
import { mayRepeat, pauseS } from "./retrying.js";
import { hasEnded, stream } from "./watching.js";

/** How long one long poll is asked to wait, in seconds; the API takes 60 at most. */
const LONG_POLL_S = 30;
/** Failures in a row after which the next way is taken. */
const FAILURES = 2;
/** Any pause between polls at most, in seconds. */
const POLL_PAUSE_S = 5;

/** How something is waited for. */
export interface WaitOptions {
  /** How long, in seconds; until its end unless given. */
  readonly timeoutS?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs `wait` for so long.
 *
 * @throws WaitTimeout when time is over.
 */
export async function within<T>(
  id: string,
  { timeoutS, signal }: WaitOptions,
  wait: (until: Deadline, saw: (state: string | undefined) => void) => Promise<T>,
): Promise<T> {
  const until = new Deadline(timeoutS, signal);
  let state: string | undefined;
  try {
    return await wait(until, (seen) => (state = seen));
  } catch (error) {
    throw until.expired ? new WaitTimeout(id, timeoutS ?? Infinity, state) : error;
  } finally {
    until.close();
  }
}

/** The job when it has ended. */
export async function waitForJob(calls: Calls, jobId: string, options: WaitOptions): Promise<Job> {
  return await within(jobId, options, async (until, saw) => {
    const waiting = new Waiting(calls, jobId, until, saw);
    return (await waiting.byStream()) ?? (await waiting.byLongPolls()) ?? (await waiting.byPolls());
  });
}

/** The ways to wait for one job; `undefined` where a way leads nowhere. */
class Waiting {
  constructor(
    private readonly calls: Calls,
    private readonly jobId: string,
    private readonly until: Deadline,
    private readonly saw: (state: string | undefined) => void,
  ) {}

  async byStream(): Promise<Job | undefined> {
    const { signal } = this.until;
    let after = "";
    for (let failures = 0; failures < FAILURES;) {
      try {
        for await (const job of stream(this.calls, this.jobId, after, signal)) {
          failures = 0;
          after = job.revision ?? "";
          if (this.#ended(job)) return job;
        }
      } catch (error) {
        this.#mayPass(error);
        const broke = error instanceof NoAnswer && !(error instanceof UnexpectedAnswer) && !error.late;
        if (!broke) return undefined; // no stream is to be had here
        failures += 1;
        await sleep(pauseS(failures, this.calls.settings.pace), signal);
      }
    }
    return undefined;
  }

  async byLongPolls(): Promise<Job | undefined> {
    const { signal } = this.until;
    for (let failures = 0; failures < FAILURES;) {
      try {
        const job = await longPoll(this.calls, this.jobId, Math.min(LONG_POLL_S, this.until.remainingS), signal);
        failures = 0;
        if (this.#ended(job)) return job;
      } catch (error) {
        const { retryAfterS } = this.#mayPass(error);
        failures += 1;
        await sleep(pauseS(failures, this.calls.settings.pace, retryAfterS), signal);
      }
    }
    return undefined;
  }

  async byPolls(): Promise<Job> {
    const { jobId, until } = this;
    for (let polls = 1; ; polls += 1) {
      const job = await this.calls.call<Job>(GET_JOB, { jobId, signal: until.signal });
      if (this.#ended(job)) return job;
      await sleep(Math.min(pauseS(polls, this.calls.settings.pace), POLL_PAUSE_S), until.signal);
    }
  }

  #ended(job: Job): boolean {
    this.saw(job.state);
    return hasEnded(job);
  }

  /** The failure, if another way may do better. */
  #mayPass(error: unknown): CallFailed {
    if (!(error instanceof CallFailed)) throw error;
    if (mayRepeat(error, "ALWAYS") || error instanceof UnexpectedAnswer) return error;
    throw error;
  }
}

/** The job when it has ended, or as it stands after so long; one try. */
export async function longPoll(calls: Calls, jobId: string, forS: number, signal: AbortSignal): Promise<Job> {
  const timeoutS = forS + calls.settings.timeoutS;
  const request = { jobId, timeout: duration(forS), timeoutS, signal };
  return await calls.call<Job>(WAIT_JOB, request, { unless: () => true });
}

/** Seconds as the API has durations; more than none. */
export function duration(seconds: number): string {
  return `${Math.max(0.01, seconds).toFixed(3)}s`;
}
