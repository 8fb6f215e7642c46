/** Batches: 1 to 100 jobs that are accepted all or none. */

import type { KeyedCallOptions } from "./calls.js";
import { sleep } from "./deadline.js";
import { CallFailed } from "./errors.js";
import type { JobRequest } from "./jobs.js";
import type { Batch } from "./models.js";
import { SUBMIT_BATCH } from "./operations.js";
import { BatchCalls } from "./resources.js";
import { mayRepeat, pauseS } from "./retrying.js";
import { longPoll, within, type WaitOptions } from "./waiting.js";
import { hasEnded } from "./watching.js";

/** How long a batch's job is waited for before the batch is looked at again, in seconds. */
const LOOK_AFTER_S = 10;

/** What a batch may be told beside its jobs. */
export interface BatchOptions extends KeyedCallOptions {
  /** The upstream of every job that names none. */
  readonly upstream?: string | undefined;
  /** Gets a signed POST when the last of the jobs has ended. */
  readonly callbackUrl?: string | undefined;
  /** Signs that POST; the tenant's own secret does unless given. */
  readonly callbackSecret?: string | undefined;
}

/** Batches: 1 to 100 jobs that are accepted all or none. `map` is for more. */
export class Batches extends BatchCalls {
  /**
   * Submits a batch, once however often the call has to be tried.
   *
   * @param jobs - 1 to 100; of any upstreams.
   * @throws InvalidArgument where jobs are wrong; `violations` names each fault as `jobs[3].params.url`.
   */
  async submit(
    jobs: readonly (Omit<JobRequest, "upstream"> & { upstream?: string })[],
    options: BatchOptions = {},
  ): Promise<Batch> {
    return await this.calls.call<Batch>(SUBMIT_BATCH, { ...options, jobs });
  }

  /**
   * The batch when the last of its jobs has ended.
   *
   * @throws WaitTimeout where it has not in time: it goes on. BatchNotFound where there is none.
   */
  async wait(batchId: string, options: WaitOptions = {}): Promise<Batch> {
    return await within(batchId, options, async (until, saw) => {
      const { signal } = until;
      for (let failures = 0; ;) {
        const batch = await this.get(batchId, { signal });
        if (batch.finishedAt !== undefined) return batch;
        const waitedFor = batch.jobs?.find((job) => !hasEnded(job));
        saw(`at ${JSON.stringify(batch.counts ?? {})}`);
        try {
          if (waitedFor?.id !== undefined)
            await longPoll(this.calls, waitedFor.id, Math.min(LOOK_AFTER_S, until.remainingS), signal);
          failures = 0;
        } catch (error) {
          if (!(error instanceof CallFailed) || !mayRepeat(error, "ALWAYS")) throw error;
          failures += 1;
        }
        // A batch may take a moment to hear of the end of its last job.
        await sleep(pauseS(failures + 1, this.calls.settings.pace), signal);
      }
    });
  }
}
