/** Watches a job by its stream of server-sent events. */

import type { Calls } from "./calls.js";
import { NoAnswer } from "./errors.js";
import { GET_JOB, STREAM_JOB } from "./operations.js";
import type { Job } from "./models.js";
import { EventParser } from "./sse.js";

/** Whether a job has ended, in whatever way. */
export function hasEnded(job: Pick<Job, "finishedAt">): boolean {
  return job.finishedAt !== undefined;
}

/**
 * The job after each event that one stream tells.
 *
 * @param after - The revision that was seen last; empty for all of them.
 * @throws NoAnswer where the stream breaks, is silent for too long, or ends with nothing told; ApiError where it is
 *     refused.
 */
export async function* stream(calls: Calls, jobId: string, after: string, signal?: AbortSignal): AsyncGenerator<Job> {
  const { quietS } = calls.settings.pace;
  const headers = { Accept: "text/event-stream", ...(after === "" ? {} : { "Last-Event-ID": after }) };
  const opened = await calls.open(STREAM_JOB, { jobId }, { headers, signal, timeoutS: quietS });
  try {
    if (opened.answer.status === 204) {
      yield await calls.call<Job>(GET_JOB, { jobId, signal }); // it has ended, and there is nothing more to be told
      return;
    }
    if (!/^text\/event-stream\b/i.test(opened.header("Content-Type"))) throw await opened.unexpected();
    const parser = new EventParser();
    let told = false;
    for await (const chunk of opened.chunks(quietS)) {
      for (const { data } of parser.feed(chunk)) {
        told = true;
        yield jobOf(opened.asked, data);
      }
    }
    if (!told) throw new NoAnswer(opened.asked, "the stream ended with nothing told", { maybeDone: true });
  } finally {
    opened.close();
  }
}

/** The job after each of its events, the last time at its end; streams that break are taken up where they were left. */
export async function* watch(
  calls: Calls,
  jobId: string,
  afterRevision = "",
  signal?: AbortSignal,
): AsyncGenerator<Job> {
  const tries = calls.tries("ALWAYS", signal);
  for (let after = afterRevision; ;) {
    try {
      for await (const job of stream(calls, jobId, after, signal)) {
        const { revision = "" } = job;
        tries.restart();
        if (revision !== after || !hasEnded(job)) yield job;
        after = revision;
        if (hasEnded(job)) return;
      }
    } catch (error) {
      await tries.pauseAfter(error);
    }
  }
}

function jobOf(asked: { verb: string; url: string }, data: string): Job {
  try {
    return JSON.parse(data) as Job;
  } catch (error) {
    throw new NoAnswer(asked, "an event of the stream is no JSON", { maybeDone: true, cause: error });
  }
}
