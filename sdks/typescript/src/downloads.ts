/**
 * Results, downloaded into files: what breaks off goes on where it stands, also in another process.
 *
 * The bytes gather in `<path>.part`, beside `<path>.part.of`, which says of which result they are: of which job, under
 * which ETag. The file itself appears at the end, at once and whole.
 */

import { open, readFile, rename, rm, stat, writeFile, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";

import type { CallOptions, Calls } from "./calls.js";
import { InvalidUse } from "./errors.js";
import { progressBar } from "./progress_bar.js";
import type { OnProgress } from "./progress.js";
import { ResultReader, type Position } from "./results.js";

/** How a result is downloaded. */
export interface DownloadOptions extends Pick<CallOptions, "signal"> {
  /** Draws a bar where the error stream is a terminal. */
  readonly progress?: boolean | undefined;
  readonly onProgress?: OnProgress | undefined;
}

/** Writes a result to a file; answers with its path. */
export async function downloadResult(
  calls: Calls,
  jobId: string,
  path: string,
  options: DownloadOptions,
): Promise<string> {
  await checkPath(path);
  const part = new PartFile(`${path}.part`, jobId);
  const reader = new ResultReader(calls, jobId, options.signal, await part.position());
  const bar = options.progress ? progressBar() : undefined;
  await reader.open();
  try {
    for await (const { offset, bytes } of reader.parts()) {
      await part.write(offset, bytes, reader.etag);
      const progress = { unit: "bytes", done: offset + bytes.length, total: reader.size, failed: 0 } as const;
      bar?.(progress);
      options.onProgress?.(progress);
    }
    await part.finish(path, reader.etag);
  } finally {
    reader.close();
    await part.close();
  }
  return path;
}

async function checkPath(path: string): Promise<void> {
  const isFolder = async (each: string): Promise<boolean> =>
    await stat(each).then(
      (found) => found.isDirectory(),
      () => false, // it is not there, or is not to be looked at: no folder to us
    );
  const problem = (await isFolder(path))
    ? "is a folder"
    : (await isFolder(dirname(path)))
      ? ""
      : `is in no folder that is there`;
  if (problem !== "") throw new InvalidUse(`path is ${JSON.stringify(path)}, which ${problem}: give that of a file`);
}

/** The bytes that have come so far. */
class PartFile {
  #file: FileHandle | undefined;

  constructor(
    private readonly path: string,
    private readonly jobId: string,
  ) {}

  /** How far it was got before; at the beginning where nothing was left that can be gone on with. */
  async position(): Promise<Position> {
    try {
      const told = JSON.parse(await readFile(this.#told, "utf8")) as { jobId?: unknown; etag?: unknown };
      if (told.jobId === this.jobId && typeof told.etag === "string") {
        return { offset: (await stat(this.path)).size, etag: told.etag };
      }
    } catch {
      // nothing was left, or nothing that says what it is
    }
    return { offset: 0, etag: "" };
  }

  /** Writes bytes where they stand; those at 0 begin it anew. */
  async write(offset: number, bytes: Uint8Array, etag: string): Promise<void> {
    if (offset === 0) await this.#begin(etag);
    this.#file ??= await open(this.path, "r+");
    await this.#file.write(bytes, 0, bytes.length, offset);
  }

  /** Makes it the file, at once. */
  async finish(target: string, etag: string): Promise<void> {
    if (this.#file === undefined) await this.#begin(etag); // it is empty
    await this.#file?.sync();
    await this.close();
    await rename(this.path, target);
    await rm(this.#told, { force: true });
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  async #begin(etag: string): Promise<void> {
    await this.close();
    this.#file = await open(this.path, "w");
    // A weak ETag does not promise the same bytes: they cannot be gone on with.
    await writeFile(this.#told, JSON.stringify({ jobId: this.jobId, etag: etag.startsWith("W/") ? "" : etag }));
  }

  get #told(): string {
    return `${this.path}.of`;
  }
}
