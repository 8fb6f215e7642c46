/** When a call is made again, and after which pause. */

import { sleep } from "./deadline.js";
import { ApiError, CallFailed, NoAnswer, UnexpectedAnswer } from "./errors.js";
import type { Repeat } from "./operation.js";

/** How patient a client is, in seconds. */
export interface Pace {
  /** The first pause at most; it doubles with each try. */
  readonly firstPauseS: number;
  /** Any pause at most, unless the answer asks for a longer one. */
  readonly longestPauseS: number;
  /** After how long without a byte, where one should come every 15 s, a stream is taken for dead. */
  readonly quietS: number;
}

export const PACE: Pace = { firstPauseS: 0.25, longestPauseS: 20, quietS: 20 };

/** Reasons that refuse a call before anything of it was done. */
const REFUSED_REASONS: ReadonlySet<string> = new Set(["IDEMPOTENCY_KEY_IN_FLIGHT", "QUEUE_FULL", "RATE_LIMITED"]);
/** Statuses that pass, of whoever has answered; what was asked may have been done. */
const PASSING_STATUSES: ReadonlySet<number> = new Set([408, 500, 502, 503, 504]);

/** Whether another try may help, and cannot do what was asked for twice. */
export function mayRepeat(error: CallFailed, repeat: Repeat): boolean {
  if (error instanceof ApiError || error instanceof UnexpectedAnswer) {
    if (error.status === 429 || (error instanceof ApiError && REFUSED_REASONS.has(error.reason))) return true;
    return PASSING_STATUSES.has(error.status) && repeat !== "REFUSED_ONLY";
  }
  return error instanceof NoAnswer && (repeat !== "REFUSED_ONLY" || !error.maybeDone);
}

/**
 * The pause after a try: exponential backoff with full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS,
 * 2015), and no shorter than the answer asks for.
 *
 * @param tries - How many were made, from 1.
 * @param retryAfterS - What the answer asks for.
 */
export function pauseS(tries: number, pace: Pace, retryAfterS = 0): number {
  const ceiling = Math.min(pace.firstPauseS * 2 ** (tries - 1), pace.longestPauseS);
  return Math.max(retryAfterS, Math.random() * ceiling);
}

/** Which failures are repeated, for how long, and how fast. */
export interface Patience {
  readonly repeat: Repeat;
  /** No try is begun later than so many seconds after the first. */
  readonly retryForS: number;
  readonly pace: Pace;
  readonly signal: AbortSignal | undefined;
  /** Failures that the caller wants to see at once, though they pass. */
  readonly unless: ((error: CallFailed) => boolean) | undefined;
}

/** The tries of one thing, from the first to the one that succeeds or is the last. */
export class Tries {
  readonly #patience: Patience;
  #begun = performance.now();
  #made = 0;

  constructor(patience: Patience) {
    this.#patience = patience;
  }

  /**
   * Pauses before the next try.
   *
   * @throws The error itself, which then tells how many tries were made in how long, where another one does not help;
   *     the signal's reason where the caller has ended it.
   */
  async pauseAfter(error: unknown): Promise<void> {
    if (!(error instanceof CallFailed)) throw error;
    const { repeat, retryForS, pace, signal, unless } = this.#patience;
    this.#made += 1;
    const tookS = (performance.now() - this.#begun) / 1000;
    const pause = pauseS(this.#made, pace, error.retryAfterS);
    const over = tookS + pause > retryForS;
    if (over || !mayRepeat(error, repeat) || unless?.(error)) throw error.gaveUp(this.#made, tookS);
    await sleep(pause, signal);
  }

  /** Begins anew: something has come of it since. */
  restart(): void {
    this.#begun = performance.now();
    this.#made = 0;
  }
}

/** What `attempt` comes to, tried again for as long as that may help. */
export async function retrying<T>(attempt: () => Promise<T>, tries: Tries): Promise<T> {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      await tries.pauseAfter(error);
    }
  }
}
