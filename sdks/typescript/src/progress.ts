/** How far something is. */

/** How far something is, told again and again as it goes on. */
export interface Progress {
  /** What is counted: jobs or bytes. */
  readonly unit: "jobs" | "bytes";
  readonly done: number;
  /** `undefined` where it is not known how many there will be. */
  readonly total: number | undefined;
  /** Of those that are done, how many ended without success. */
  readonly failed: number;
}

/** Gets told how far something is; it must not take long, for everything waits for it. */
export type OnProgress = (progress: Progress) => void;
