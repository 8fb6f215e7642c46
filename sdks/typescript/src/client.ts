/** Penstock's client: what it goes by, and all that it has by name. */

import { Batches } from "./batches.js";
import { Calls, checkedUrl } from "./calls.js";
import { InvalidUse, NotConfigured } from "./errors.js";
import { Jobs, type JobRequest } from "./jobs.js";
import { Operations } from "./long_running.js";
import { mapJobs, type MapOptions } from "./mapping.js";
import type { Outcome } from "./outcomes.js";
import { Resources } from "./resources.js";
import { PACE, type Pace } from "./retrying.js";
import { Signer } from "./signing.js";
import { Uploads } from "./uploads.js";

/** How long one try may take unless told, in seconds. */
const TIMEOUT_S = 30;
/** How long calls are tried again unless told, in seconds. */
const RETRY_FOR_S = 60;

/** What a client goes by. */
export interface PenstockOptions {
  /** Of the gateway, such as `https://penstock.example`; PENSTOCK_URL unless given. */
  readonly url?: string | undefined;
  /** As Penstock gave it, `psk_…`; PENSTOCK_API_KEY unless given. Keys on web pages are everybody's. */
  readonly apiKey?: string | undefined;
  /** Whether requests are signed with the key rather than carry it. */
  readonly signRequests?: boolean | undefined;
  /** How long one try may take, in seconds; 30 unless given. */
  readonly timeoutS?: number | undefined;
  /** How long a call that passes is tried again, in seconds; 60 unless given, 0 for one try. */
  readonly retryForS?: number | undefined;
  /** Makes the requests; the platform's own unless given. */
  readonly fetch?: typeof fetch | undefined;
  /** How patient it is between tries and with streams; for tests. */
  readonly pace?: Partial<Pace> | undefined;
}

/**
 * Penstock, as one key sees it.
 *
 * Calls are tried again where that may help and cannot do twice what was asked once. Each takes a `signal` that ends
 * it.
 *
 * @throws NotConfigured where URL or key are missing, or cannot be right.
 */
export class Penstock extends Resources {
  readonly url: string;
  readonly jobs: Jobs;
  readonly batches: Batches;
  readonly uploads: Uploads;
  readonly operations: Operations;
  protected readonly calls: Calls;

  constructor(options: PenstockOptions = {}) {
    const calls = callsOf(options);
    super(calls);
    this.calls = calls;
    this.url = calls.settings.url;
    this.jobs = new Jobs(calls);
    this.batches = new Batches(calls);
    this.uploads = new Uploads(calls);
    this.operations = new Operations(calls);
  }

  /**
   * Submits many jobs, so many unfinished at a time, and tells of each when it has ended.
   *
   * @param requests - As many as you like; they are read as there is room for them.
   * @param options - Give a `name`, and the same requests mapped again under it after a crash are the same jobs.
   */
  map<R extends JobRequest>(
    requests: Iterable<R> | AsyncIterable<R>,
    options: MapOptions = {},
  ): AsyncGenerator<Outcome<R>, void, undefined> {
    return mapJobs(this.calls, requests, options);
  }
}

/** The variables of the process; none in browsers. */
export function environment(): Readonly<Record<string, string | undefined>> {
  return (globalThis as { process?: { env?: Record<string, string | undefined> } }).process?.env ?? {};
}

function callsOf(options: PenstockOptions): Calls {
  const { PENSTOCK_URL, PENSTOCK_API_KEY } = environment();
  const url = options.url ?? PENSTOCK_URL;
  const apiKey = options.apiKey ?? PENSTOCK_API_KEY;
  if (!url || !apiKey) {
    const missing = [url ? [] : ["url (PENSTOCK_URL)"], apiKey ? [] : ["apiKey (PENSTOCK_API_KEY)"]]
      .flat()
      .join(" and ");
    throw new NotConfigured(`${missing} must be given, to the client or in the environment`);
  }
  if (!/^[\x21-\x7e]+$/.test(apiKey)) {
    throw new NotConfigured("apiKey has characters that no key has: copy it whole, without quotes or line breaks");
  }
  const signer = options.signRequests ? new Signer(apiKey) : undefined;
  return new Calls({
    url: checkedUrl(url),
    authorize: async (request) => {
      if (signer === undefined) request.headers.set("Authorization", `Bearer ${apiKey}`);
      else await signer.sign(request);
    },
    timeoutS: positive("timeoutS", options.timeoutS ?? TIMEOUT_S),
    retryForS: positive("retryForS", options.retryForS ?? RETRY_FOR_S, 0),
    pace: { ...PACE, ...options.pace },
    fetch: options.fetch ?? ((input, init) => fetch(input, init)),
  });
}

function positive(name: string, value: number, least = Number.MIN_VALUE): number {
  if (value >= least) return value;
  throw new InvalidUse(`${name} is ${value}: it must be ${least === 0 ? "0 or more" : "more than 0"} seconds`);
}
