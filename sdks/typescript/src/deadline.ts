/** Time that is given to something, and the caller's own wish to end it. */

/**
 * A signal that aborts when time is over or when the caller's signal does.
 *
 * (`AbortSignal.any` does as much where it exists, but keeps what it has made for as long as its sources live.)
 */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #abort = (): void => this.#controller.abort(this.#outer?.reason);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #endsAt = Infinity;
  #expired = false;

  /** @param timeoutS - `undefined` for none but the caller's. */
  constructor(timeoutS: number | undefined, outer: AbortSignal | undefined) {
    this.#outer = outer;
    if (outer?.aborted) this.#abort();
    else outer?.addEventListener("abort", this.#abort, { once: true });
    this.restart(timeoutS);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether time is over; not that the caller has ended it. */
  get expired(): boolean {
    return this.#expired;
  }

  /** In seconds; `Infinity` where it has none. */
  get remainingS(): number {
    return Math.max(0, (this.#endsAt - performance.now()) / 1000);
  }

  /** Gives it so much time from now on. */
  restart(timeoutS: number | undefined): void {
    clearTimeout(this.#timer);
    if (timeoutS === undefined || timeoutS === Infinity || this.signal.aborted) return;
    this.#endsAt = performance.now() + timeoutS * 1000;
    const expire = (): void => {
      this.#expired = true;
      this.#controller.abort(new DOMException(`over after ${timeoutS} s`, "TimeoutError"));
    };
    this.#timer = setTimeout(expire, Math.min(timeoutS * 1000, 0x7fff_ffff));
  }

  /** Lets go of the timer and of the caller's signal; to be called always. */
  close(): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener("abort", this.#abort);
  }
}

/**
 * Pauses.
 *
 * @throws The signal's reason, at once, when it aborts.
 */
export async function sleep(seconds: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, seconds * 1000);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
