/** The client for Node: what index has, and files, the profiles of `penstock login`, and a progress bar. */

import { readFile, stat } from "node:fs/promises";

import { Penstock as PenstockAnywhere, type PenstockOptions as OptionsAnywhere } from "./client.js";
import { downloadResult, type DownloadOptions } from "./downloads.js";
import { Jobs as JobsAnywhere, type JobRequest } from "./jobs.js";
import type { MapOptions as MapOptionsAnywhere } from "./mapping.js";
import type { Outcome } from "./outcomes.js";
import { accessOf } from "./profiles.js";
import { progressBar } from "./progress_bar.js";
import type { Upload } from "./models.js";
import { Uploads as UploadsAnywhere, checkSize, type Uploadable, type UploadOptions } from "./uploads.js";

export * from "./index.js";
export type { DownloadOptions } from "./downloads.js";
export { progressBar } from "./progress_bar.js";

/** What a client goes by: these, else PENSTOCK_URL and PENSTOCK_API_KEY, else what `penstock login` has kept. */
export interface PenstockOptions extends OptionsAnywhere {
  /** What `penstock login` has kept under this name; PENSTOCK_PROFILE, else the one last logged in to, unless given. */
  readonly profile?: string | undefined;
}

/** How jobs are mapped. */
export interface MapOptions extends MapOptionsAnywhere {
  /** Draws a bar where the error stream is a terminal. */
  readonly progress?: boolean | undefined;
}

/** Jobs, whose results go to files too. */
export class Jobs extends JobsAnywhere {
  /**
   * Writes a job's result to a file, at once and whole; one that breaks off goes on where it stood, also in another
   * process.
   *
   * @param path - Of the file; what has come so far stands beside it as `<path>.part`.
   * @returns The path.
   * @throws JobNotFinished where it has not ended; ResultNotFound where it has none, or it is no longer kept; NoAnswer
   *     where it could not be gone on with for as long as calls are tried again.
   */
  async download(jobId: string, path: string, options: DownloadOptions = {}): Promise<string> {
    return await downloadResult(this.calls, jobId, path, options);
  }
}

/** Uploads, also of files. */
export class Uploads extends UploadsAnywhere {
  /**
   * The upload of some content, READY; see `Uploads` of `@penstock/sdk`.
   *
   * @param content - 1 byte to 100 MiB; a text is the path of a file.
   */
  override async upload(content: Uploadable | string, options: UploadOptions = {}): Promise<Upload> {
    if (typeof content !== "string") return await super.upload(content, options);
    checkSize((await stat(content)).size); // before it is read
    return await super.upload(await readFile(content, { signal: options.signal }), options);
  }
}

/** Penstock, as one key sees it, from Node. */
export class Penstock extends PenstockAnywhere {
  override readonly jobs: Jobs;
  override readonly uploads: Uploads;

  constructor(options: PenstockOptions = {}) {
    super(accessOf(options));
    this.jobs = new Jobs(this.calls);
    this.uploads = new Uploads(this.calls);
  }

  override map<R extends JobRequest>(
    requests: Iterable<R> | AsyncIterable<R>,
    options: MapOptions = {},
  ): AsyncGenerator<Outcome<R>, void, undefined> {
    const { progress, onProgress, ...rest } = options;
    const bar = progress ? progressBar() : undefined;
    return super.map(requests, {
      ...rest,
      onProgress: (how) => {
        bar?.(how);
        onProgress?.(how);
      },
    });
  }
}
