/** Jobs: submitted once, waited for, watched; their results. */

import { failureOf } from "./answers.js";
import { NoAnswer } from "./errors.js";
import type { Job, SubmitJobRequest } from "./models.js";
import type { CallOptions, KeyedCallOptions } from "./calls.js";
import { EXPORT_JOBS, SUBMIT_JOB } from "./operations.js";
import { JobCalls, type ListJobsRequest } from "./resources.js";
import { openResult, readResult, type OpenResult, type Result } from "./results.js";
import { waitForJob, type WaitOptions } from "./waiting.js";
import { hasEnded, watch } from "./watching.js";

/** What a method takes; each upstream's methods tell theirs. */
export type Params = Readonly<Record<string, unknown>>;

/** What a job may be told beside what it calls. */
export interface JobOptions extends Omit<
  SubmitJobRequest,
  "upstream" | "method" | "params" | "requestId" | "tokenId" | "notBefore" | "expiresAt"
> {
  /** It is not called before this time; at most 7 days from now. */
  readonly notBefore?: Date | string;
  /** Given up when it still waits then; 24 hours from now unless given, at most 7 days. */
  readonly expiresAt?: Date | string;
}

/** A job to make, where several are given. */
export interface JobRequest extends JobOptions {
  readonly upstream: string;
  readonly method: string;
  readonly params?: Params;
}

/** How a job is run: as it is submitted, and how long it is waited for. */
export type RunOptions = JobOptions & Pick<KeyedCallOptions, "idempotencyKey"> & WaitOptions;

/** What `jobs.watch` may be asked with. */
export interface WatchOptions extends Pick<CallOptions, "signal"> {
  /** Only what is newer than this revision of the job. */
  readonly afterRevision?: string | undefined;
}

/** What `jobs.export` may be asked with. */
export interface ExportOptions
  extends Omit<ListJobsRequest, "pageSize" | "includeTotalSize">, Pick<CallOptions, "signal"> {
  /** Goes on after this job, the last that was read. */
  readonly afterJobId?: string | undefined;
}

/** Jobs: submitted once, waited for, watched; their results. */
export class Jobs extends JobCalls {
  /**
   * Submits a job, once however often the call has to be tried.
   *
   * @param upstream - The upstream to call, such as `http`.
   * @param method - Its method to call, such as `http.get`.
   * @param params - What the method takes.
   * @param options - Keep an `idempotencyKey` with what the job is for, and a restart submits nothing twice.
   * @throws InvalidArgument where fields are wrong; `violations` names each. QueueFull where there are too many
   *     unfinished jobs for longer than calls are tried again. IdempotencyKeyReused where another request had this key.
   *     NoAnswer where it is not known whether it was submitted: the same call under the same key is safe.
   */
  async submit(
    upstream: string,
    method: string,
    params?: Params,
    options: JobOptions & KeyedCallOptions = {},
  ): Promise<Job> {
    return await this.calls.call<Job>(SUBMIT_JOB, { ...options, upstream, method, params });
  }

  /**
   * Submits a job and waits until it has succeeded.
   *
   * @param options - As those of `submit`; `timeoutS` is how long the job is waited for, until its end unless given.
   * @throws JobFailed where it has ended otherwise, with a class of its own for each reason; WaitTimeout where it has
   *     not ended in time: it goes on.
   */
  async run(upstream: string, method: string, params?: Params, options: RunOptions = {}): Promise<Job> {
    const { timeoutS, ...submitted } = options;
    let job = await this.submit(upstream, method, params, submitted);
    if (!hasEnded(job)) job = await this.wait(job.id ?? "", { timeoutS, signal: options.signal });
    if (job.state !== "SUCCEEDED") throw failureOf(job);
    return job;
  }

  /**
   * The job when it has ended, in whatever state: by its stream, else by long polls, else by looking at it.
   *
   * @throws WaitTimeout where it has not ended in time: it goes on. JobNotFound where there is none. NoAnswer where
   *     nobody could be reached for as long as calls are tried again.
   */
  async wait(jobId: string, options: WaitOptions = {}): Promise<Job> {
    return await waitForJob(this.calls, jobId, options);
  }

  /**
   * The job as it stands, then as each event leaves it, to its end; a stream that breaks is taken up again where it
   * was.
   *
   * @throws JobNotFound where there is none; NoAnswer where the stream could not be taken up for as long as calls are
   *     tried again.
   */
  watch(jobId: string, options: WatchOptions = {}): AsyncGenerator<Job, void, undefined> {
    return watch(this.calls, jobId, options.afterRevision, options.signal);
  }

  /**
   * A job's result, all of it in memory; `openResult` has a large one as a stream.
   *
   * @throws JobNotFinished where it has not ended; ResultNotFound where it has none, or it is no longer kept.
   */
  async result(jobId: string, options: Pick<CallOptions, "signal"> = {}): Promise<Result> {
    return await readResult(this.calls, jobId, options.signal);
  }

  /**
   * A job's result as a stream, which goes on where it was broken off.
   *
   * @throws JobNotFinished where it has not ended; ResultNotFound where it has none, or it is no longer kept.
   */
  async openResult(jobId: string, options: Pick<CallOptions, "signal"> = {}): Promise<OpenResult> {
    return await openResult(this.calls, jobId, options.signal);
  }

  /**
   * All of the tenant's jobs that match, with their attempts, without the content of results; what breaks off or ends
   * early is gone on with.
   *
   * @throws JobNotFound where `afterJobId` names none.
   */
  async *export(options: ExportOptions = {}): AsyncGenerator<Job, void, undefined> {
    const { signal, ...fields } = options;
    const tries = this.calls.tries("ALWAYS", signal);
    for (let { afterJobId } = options; ;) {
      try {
        let told = false;
        for await (const job of this.#exported({ ...fields, afterJobId }, signal)) {
          tries.restart();
          told = true;
          afterJobId = job.id;
          yield job;
        }
        if (!told) return; // a stream ends after 5 minutes; one without a job is the end of all
      } catch (error) {
        await tries.pauseAfter(error);
      }
    }
  }

  /** What one stream tells (https://github.com/ndjson/ndjson-spec). */
  async *#exported(fields: Readonly<Record<string, unknown>>, signal: AbortSignal | undefined): AsyncGenerator<Job> {
    const opened = await this.calls.open(EXPORT_JOBS, fields, { signal });
    try {
      if (!/^application\/x-ndjson\b/i.test(opened.header("Content-Type"))) throw await opened.unexpected();
      const decoder = new TextDecoder();
      let rest = "";
      for await (const chunk of opened.chunks(this.calls.settings.timeoutS)) {
        const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) if (line.trim() !== "") yield JSON.parse(line) as Job;
      }
      if (rest.trim() !== "")
        throw new NoAnswer(opened.asked, "the answer broke off within a line", { maybeDone: true });
    } finally {
      opened.close();
    }
  }
}
