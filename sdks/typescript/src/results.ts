/** Reads what an upstream has answered; goes on where it was broken off. */

import type { Calls, Opened } from "./calls.js";
import { ApiError, NoAnswer, PenstockError, UnexpectedAnswer } from "./errors.js";
import { GET_JOB_RESULT } from "./operations.js";

/** A result, whole. */
export class Result {
  constructor(
    readonly bytes: Uint8Array<ArrayBuffer>,
    /** The upstream's own; empty where it has none. */
    readonly contentType: string,
    /** Empty where it is not told. */
    readonly etag: string,
  ) {}

  /** The bytes as UTF-8. */
  text(): string {
    return new TextDecoder().decode(this.bytes);
  }

  /** The bytes as JSON; it is the caller who knows its type. */
  json<T = unknown>(): T {
    return JSON.parse(this.text()) as T;
  }
}

/** A result as a stream of its bytes. */
export interface OpenResult {
  readonly contentType: string;
  readonly etag: string;
  /** In bytes; `undefined` where it is not told. */
  readonly size: number | undefined;
  /** Cancel it where it is not read to its end. */
  readonly stream: ReadableStream<Uint8Array>;
}

/** Bytes of a result, and where they stand in it. */
export interface Part {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** How far a result has been read, by whom it may be gone on with. */
export interface Position {
  readonly offset: number;
  /** Of the bytes before; empty where it is not known. */
  readonly etag: string;
}

/** Reads one result, by as many answers as it takes (RFC 9110, 14: Range and If-Range). */
export class ResultReader {
  contentType = "";
  etag: string;
  size: number | undefined;
  #offset: number;
  #opened: Opened | undefined;

  constructor(
    private readonly calls: Calls,
    private readonly jobId: string,
    private readonly signal: AbortSignal | undefined,
    from: Position = { offset: 0, etag: "" },
  ) {
    this.#offset = from.etag === "" ? 0 : from.offset; // bytes of nobody knows what are not gone on with
    this.etag = from.etag;
  }

  /** Asks for it, so that what is told beside the bytes is known. */
  async open(): Promise<void> {
    const tries = this.calls.tries("ALWAYS", this.signal);
    while (this.#opened === undefined) {
      try {
        this.#opened = await this.#open();
      } catch (error) {
        await tries.pauseAfter(error);
      }
    }
  }

  /**
   * The bytes as they come. They begin anew at 0 where the answer is another one than before, or is not to be had in
   * parts.
   */
  async *parts(): AsyncGenerator<Part, void, undefined> {
    const tries = this.calls.tries("ALWAYS", this.signal);
    for (;;) {
      try {
        const opened = (this.#opened ??= await this.#open());
        for await (const bytes of opened.chunks(this.calls.settings.timeoutS)) {
          tries.restart();
          yield { offset: this.#offset, bytes };
          this.#offset += bytes.length;
        }
        if (this.size === undefined || this.#offset === this.size) return;
        const why = `the answer broke off after ${this.#offset} of ${this.size} bytes`;
        throw new NoAnswer(opened.asked, why, { maybeDone: true });
      } catch (error) {
        this.#opened = undefined;
        await tries.pauseAfter(error);
      }
    }
  }

  /** Lets go of what has not been read. */
  close(): void {
    this.#opened?.close();
  }

  async #open(): Promise<Opened> {
    const offset = this.#offset;
    const headers = {
      ...(offset > 0 ? { Range: `bytes=${offset}-` } : {}),
      ...(offset > 0 && this.etag ? { "If-Range": this.etag } : {}),
    };
    const opened = await this.#answer(headers);
    const total = /^bytes (\d+)-\d+\/(\d+)$/.exec(opened.header("Content-Range"));
    if (opened.answer.status === 206 && total !== null && Number(total[1]) === offset) {
      this.size = Number(total[2]);
    } else if (opened.answer.status === 200) {
      this.#offset = 0;
      const length = opened.header("Content-Length");
      this.size = length === "" || opened.header("Content-Encoding") !== "" ? undefined : Number(length);
    } else if (offset > 0) {
      opened.close(); // what is there already is no beginning of it: all of it, then
      this.#offset = 0;
      return await this.#open();
    } else {
      throw await opened.unexpected();
    }
    this.contentType = opened.header("Content-Type");
    this.etag = opened.header("ETag");
    return opened;
  }

  /** The answer of Penstock, or of the link that it leads to, which gets no key. */
  async #answer(headers: Readonly<Record<string, string>>): Promise<Opened> {
    const { calls, jobId, signal } = this;
    const { timeoutS } = calls.settings;
    try {
      const opened = await calls.open(GET_JOB_RESULT, { jobId }, { headers, signal, redirect: "manual" });
      if (opened.answer.type === "opaqueredirect") {
        return await calls.open(GET_JOB_RESULT, { jobId }, { headers, signal, redirect: "follow" });
      }
      if (opened.answer.status !== 302) return opened;
      opened.close();
      const link = new URL(opened.header("Location"), opened.asked.url);
      const followed = await calls.send(link, { headers }, { timeoutS, signal });
      if (followed.answer.ok || followed.answer.status === 416) return followed;
      throw await followed.unexpected();
    } catch (error) {
      const past = error instanceof ApiError || error instanceof UnexpectedAnswer ? error.status === 416 : false;
      if (!past || !("Range" in headers)) throw error;
      return await this.#answer({}); // more is there already than it has: all of it, then
    }
  }
}

/** All of a result. */
export async function readResult(calls: Calls, jobId: string, signal: AbortSignal | undefined): Promise<Result> {
  const reader = new ResultReader(calls, jobId, signal);
  let bytes = new Uint8Array(0);
  let parts: Uint8Array[] = [];
  for await (const part of reader.parts()) {
    if (part.offset === 0) parts = [];
    parts.push(part.bytes);
  }
  bytes = new Uint8Array(await new Blob(parts as Uint8Array<ArrayBuffer>[]).arrayBuffer());
  return new Result(bytes, reader.contentType, reader.etag);
}

/** A result as a stream, once its answer has begun. */
export async function openResult(calls: Calls, jobId: string, signal: AbortSignal | undefined): Promise<OpenResult> {
  const reader = new ResultReader(calls, jobId, signal);
  await reader.open();
  const { contentType, etag, size } = reader;
  const bytes = oneAfterAnother(reader, jobId, etag);
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await bytes.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        reader.close();
        await bytes.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
  return { contentType, etag, size, stream };
}

/** The parts' bytes, none of them twice. */
async function* oneAfterAnother(
  reader: ResultReader,
  jobId: string,
  etag: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  let position = 0;
  for await (const { offset, bytes } of reader.parts()) {
    if (reader.etag !== etag)
      throw new PenstockError(`the result of ${jobId} is another one than when it was opened: open it again`);
    const had = position - offset;
    if (had >= bytes.length) continue;
    yield had > 0 ? bytes.subarray(had) : bytes;
    position = offset + bytes.length;
  }
}
