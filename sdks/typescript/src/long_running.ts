/** Operations, waited for: what takes longer than a call. */

import { sleep } from "./deadline.js";
import type { Operation } from "./models.js";
import { OperationCalls } from "./resources.js";
import { pauseS } from "./retrying.js";
import { duration, within, type WaitOptions } from "./waiting.js";

/** How long one `:wait` lasts at most, in seconds. */
const LONGEST_POLL_S = 30;

/** Operations: jobs canceled or tried again in bulk, data exported or erased. */
export class Operations extends OperationCalls {
  /**
   * The operation when it is done; it then has a `response`, or the `error` that it came to nothing by.
   *
   * @param operationId - Which; its `name` will do.
   * @throws WaitTimeout where it is not in time: it goes on. OperationNotFound where there is none.
   */
  async wait(operationId: string, options: WaitOptions = {}): Promise<Operation> {
    return await within(operationId, options, async (until) => {
      const { signal } = until;
      const { timeoutS, pace } = this.calls.settings;
      for (;;) {
        const pollS = Math.min(LONGEST_POLL_S, until.remainingS);
        const request = { timeout: duration(pollS), timeoutS: pollS + timeoutS, signal };
        const operation = await this.waitOnce(operationId, request);
        if (operation.done) return operation;
        await sleep(pauseS(1, pace), signal); // an answer may come at once
      }
    });
  }
}
