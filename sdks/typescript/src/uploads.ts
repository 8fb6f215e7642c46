/** Uploads: what is too large for params, sent to the object store. */

import type { CallOptions, Calls } from "./calls.js";
import { InvalidUse, NoAnswer, UnexpectedAnswer } from "./errors.js";
import type { SignedPut, Upload } from "./models.js";
import { UploadIncomplete } from "./reasons.js";
import { UploadCalls } from "./resources.js";
import { subtle } from "./signing.js";

/** Bytes of an upload at most, as docs/api.md has it. */
export const MAX_UPLOAD_BYTES = 100 << 20;
/** What a link is given to send its bytes, beside the time that any call has. */
const SLOWEST_BYTES_PER_S = 100_000;

/** What can be uploaded: it is read into memory, for its SHA-256 goes before it. */
export type Uploadable = Uint8Array | Blob | ReadableStream<Uint8Array>;

/** How something is uploaded. */
export interface UploadOptions extends CallOptions {
  /** The Blob's own, else `application/octet-stream`, unless given. */
  readonly contentType?: string | undefined;
  /** Goes on with an upload of the same content; where that is READY, nothing is sent. */
  readonly uploadId?: string | undefined;
}

/** The bytes of an upload did not arrive; `uploadId` goes on with it for as long as it is PENDING, which is a day. */
export class UploadBroken extends NoAnswer {
  constructor(
    error: NoAnswer,
    readonly uploadId: string,
  ) {
    super({ verb: "PUT", url: error.url }, `the upload broke; go on with uploadId ${JSON.stringify(uploadId)}`, {
      maybeDone: true,
      cause: error,
    });
    this.gaveUp(error.tries, error.tookS);
  }
}

/** What is too large for params: uploaded, and named by its id in the params of jobs. */
export class Uploads extends UploadCalls {
  /**
   * The upload of some content, READY: jobs may name it for 7 days. What breaks off is sent again, by a link that is
   * fresh.
   *
   * @param content - 1 byte to 100 MiB.
   * @throws InvalidUse where the content is empty or too large, or not that of the upload which goes on; UploadBroken
   *     where it could not be sent; UploadNotFound where there is none to go on with.
   */
  async upload(content: Uploadable, options: UploadOptions = {}): Promise<Upload> {
    const { uploadId, signal, timeoutS } = options;
    const call = { signal, timeoutS };
    const bytes = await bytesOf(content);
    const sha256 = hex(new Uint8Array(await subtle().digest("SHA-256", bytes)));
    const contentType =
      options.contentType ?? (content instanceof Blob && content.type !== "" ? content.type : undefined);
    let upload: Upload;
    if (uploadId === undefined) {
      upload = await this.create(String(bytes.length), sha256, {
        ...call,
        ...(contentType === undefined ? {} : { contentType }),
      });
    } else {
      upload = await this.get(uploadId, call);
      checkSame(upload, bytes.length, sha256);
      upload = await this.#completed(upload, call);
    }
    return await this.#sent(upload, bytes, call);
  }

  /** The upload when its bytes are there, however often they have to be sent. */
  async #sent(upload: Upload, bytes: Uint8Array<ArrayBuffer>, call: CallOptions): Promise<Upload> {
    const tries = this.calls.tries("ALWAYS", call.signal);
    let current = upload;
    while (current.state === "PENDING" && current.put !== undefined) {
      try {
        await put(this.calls, current.put, bytes, call);
      } catch (error) {
        try {
          await tries.pauseAfter(error);
        } catch (last) {
          throw last instanceof NoAnswer ? new UploadBroken(last, current.id ?? "") : last;
        }
      }
      current = await this.#completed(current, call);
    }
    return current;
  }

  /** The upload: READY where all of its bytes are there, else PENDING with a fresh link. */
  async #completed(upload: Upload, call: CallOptions): Promise<Upload> {
    const id = upload.id ?? "";
    try {
      return await this.complete(id, call);
    } catch (error) {
      if (error instanceof UploadIncomplete) return await this.get(id, call); // they are not, or not yet
      throw error;
    }
  }
}

/** Sends the bytes once. */
async function put(calls: Calls, link: SignedPut, body: Uint8Array<ArrayBuffer>, call: CallOptions): Promise<void> {
  const timeoutS = (call.timeoutS ?? calls.settings.timeoutS) + body.length / SLOWEST_BYTES_PER_S;
  const init = { method: "PUT", headers: link.headers ?? {}, body };
  const opened = await calls.send(new URL(link.url ?? ""), init, { signal: call.signal, timeoutS });
  try {
    if (opened.answer.ok) return;
    const error = await opened.unexpected();
    const code = /<Code>([A-Za-z]{1,60})<\/Code>/.exec(error instanceof UnexpectedAnswer ? error.beginning : "");
    const why = `the object store answered ${opened.answer.status}${code === null ? "" : ` ${code[1]}`}`;
    // A link that has ended is 403, and a fresh one may do; anything else it would say again.
    throw opened.answer.status === 403 ? new NoAnswer(opened.asked, why, { maybeDone: true }) : error;
  } finally {
    opened.close();
  }
}

async function bytesOf(content: Uploadable): Promise<Uint8Array<ArrayBuffer>> {
  if (content instanceof Blob) {
    checkSize(content.size); // before it is read
    return new Uint8Array(await content.arrayBuffer());
  }
  if (content instanceof ReadableStream) return await read(content);
  if (!(content instanceof Uint8Array)) {
    throw new InvalidUse(
      `content is of the type ${typeof content}: give a Uint8Array, a Blob or a ReadableStream of bytes`,
    );
  }
  checkSize(content.length);
  return new Uint8Array(content);
}

/** All of a stream; no more of it than an upload may have. */
async function read(stream: ReadableStream<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const reader = stream.getReader();
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    size += value.length;
    if (size > MAX_UPLOAD_BYTES) await reader.cancel();
    checkSize(size);
    parts.push(new Uint8Array(value));
  }
  checkSize(size);
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** @throws InvalidUse where an upload cannot have so many bytes. */
export function checkSize(bytes: number): void {
  if (bytes >= 1 && bytes <= MAX_UPLOAD_BYTES) return;
  throw new InvalidUse(
    `content has ${bytes} bytes${bytes > MAX_UPLOAD_BYTES ? " or more" : ""}: it must have 1 to ${MAX_UPLOAD_BYTES}`,
  );
}

function checkSame(upload: Upload, size: number, sha256: string): void {
  if (Number(upload.size) === size && upload.sha256 === sha256) return;
  throw new InvalidUse(
    `uploadId ${upload.id} is of ${upload.size} bytes with SHA-256 ${upload.sha256}, ` +
      `the content has ${size} with ${sha256}: ` +
      "give the same content, or leave uploadId out",
  );
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
