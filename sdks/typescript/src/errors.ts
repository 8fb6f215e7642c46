/** What may come instead of what was asked for. */

import type { components } from "./schema.js";

type Job = components["schemas"]["Job"];

/** What was asked of whom. */
export interface Asked {
  readonly verb: string;
  readonly url: string;
}

/** Anything that Penstock's client raises on its own; a caller's own abort comes as the signal's reason instead. */
export class PenstockError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Neither an argument nor the environment tells the mesh's URL or the API key, or one of them cannot be right. */
export class NotConfigured extends PenstockError {}

/** An argument that cannot be right, found before anything was sent. */
export class InvalidUse extends PenstockError {}

/** A call that came to nothing, after all tries that it was worth. */
export abstract class CallFailed extends PenstockError {
  /** How many tries were made. */
  tries = 1;
  /** Over how long, in seconds. */
  tookS = 0;
  /** In how many seconds it is worth another try; 0 where nobody has said. */
  abstract readonly retryAfterS: number;

  /** Notes how long it was tried for; what a person reads says so too. */
  gaveUp(tries: number, tookS: number): this {
    if (tries > 1) this.message += ` (${tries} tries in ${tookS.toFixed(1)} s)`;
    this.tries = tries;
    this.tookS = tookS;
    return this;
  }
}

/** Nobody answered: no connection, one that broke, half an answer, or none in time. */
export class NoAnswer extends CallFailed {
  /** What was asked, without its query, which may be what makes a link a secret. */
  readonly url: string;
  /** Whether the request may have arrived all the same; `false` is sure. */
  readonly maybeDone: boolean;
  /** Whether it was its time that ended it. */
  readonly late: boolean;
  override readonly retryAfterS: number = 0;

  constructor(asked: Asked, why: string, options: { maybeDone: boolean; late?: boolean; cause?: unknown }) {
    const url = asked.url.replace(/[?#].*$/s, "");
    super(`${asked.verb} ${url}: ${why}`, "cause" in options ? { cause: options.cause } : undefined);
    this.url = url;
    this.maybeDone = options.maybeDone;
    this.late = options.late ?? false;
  }
}

/** An answer that is not Penstock's: a proxy's page, a login's redirect, another server. */
export class UnexpectedAnswer extends NoAnswer {
  readonly status: number;
  readonly contentType: string;
  /** How the answer begins. */
  readonly beginning: string;
  override readonly retryAfterS: number;

  constructor(asked: Asked, answer: { status: number; contentType: string; beginning: string; retryAfterS: number }) {
    const { status, contentType, beginning } = answer;
    const why =
      `answered by something else than Penstock: ${status}, ${contentType || "no Content-Type"}, ` +
      `${JSON.stringify(beginning)}; check the URL and what stands between`;
    super(asked, why, { maybeDone: true });
    this.status = status;
    this.contentType = contentType;
    this.beginning = beginning;
    this.retryAfterS = answer.retryAfterS;
  }
}

/** A field of a request that is wrong. */
export interface Violation {
  /** Its path, such as `jobs[3].params.url`. */
  readonly field: string;
  readonly description: string;
}

/** What an answer tells of an error. */
export interface ApiErrorFacts {
  /** Stable; what programs branch on. */
  readonly reason: string;
  /** For people. */
  readonly message: string;
  /** HTTP's. */
  readonly status: number;
  readonly violations: readonly Violation[];
  /** The values that the message speaks of. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Where the reason is explained. */
  readonly helpUrl: string;
  /** In how many seconds it is worth another try; 0 where the answer does not say. */
  readonly retryAfterS: number;
  /** What to name when asking an operator about it. */
  readonly requestId: string;
}

/** Penstock refuses the call, or cannot make it; each reason that is known has a class of its own. */
export class ApiError extends CallFailed implements ApiErrorFacts {
  readonly reason: string;
  readonly status: number;
  readonly violations: readonly Violation[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly helpUrl: string;
  override readonly retryAfterS: number;
  readonly requestId: string;

  constructor(facts: ApiErrorFacts) {
    super(facts.message);
    this.reason = facts.reason;
    this.status = facts.status;
    this.violations = facts.violations;
    this.metadata = facts.metadata;
    this.helpUrl = facts.helpUrl;
    this.retryAfterS = facts.retryAfterS;
    this.requestId = facts.requestId;
  }
}

/** The job or batch had not ended in the time that was given; it goes on, and may be waited for again. */
export class WaitTimeout extends PenstockError {
  constructor(
    readonly id: string,
    readonly timeoutS: number,
    /** What is known of it, where anything is. */
    readonly state?: string,
  ) {
    super(
      `${id} has not ended within ${timeoutS} s${state === undefined ? "" : `: it is ${state}`}; ` +
        "it goes on, wait again",
    );
  }
}

/** The job ended otherwise than SUCCEEDED; each reason that is known has a class of its own. */
export class JobFailed extends PenstockError {
  readonly job: Job;
  /** Stable; what programs branch on. Empty where the job does not tell one. */
  readonly reason: string;

  constructor(job: Job) {
    const { id = "the job", state = "of no state", error } = job;
    super(`${id} is ${state}${error === undefined ? "" : `: ${error.reason ?? ""}: ${error.message ?? ""}`}`);
    this.job = job;
    this.reason = error?.reason ?? "";
  }
}

/** A webhook's message that is not ours, or not of now: answer it with 401, and believe none of it. */
export class SignatureInvalid extends PenstockError {}

/** A header that signs the message is missing or malformed. */
export class WrongHeader extends SignatureInvalid {}

/** The message is too old or from the future; or this machine's clock is wrong. */
export class WrongTime extends SignatureInvalid {}

/** No signature fits: the body is not what came, or the secret is another endpoint's. */
export class WrongSignature extends SignatureInvalid {}

/** The message is signed by us, and yet is no event. */
export class WrongBody extends SignatureInvalid {}

/** The receiver's own secret cannot be one: a fault of its settings (500), not of the message (401). */
export class UnusableSecret extends PenstockError {}
