/**
 * Penstock's client: submits jobs once, waits for them, verifies webhooks.
 *
 * Of fetch, WebCrypto and streams alone. `@penstock/sdk/node` has the same and files, profiles and a progress bar.
 */

export type { BatchOptions } from "./batches.js";
export type { CallOptions, KeyedCallOptions } from "./calls.js";
export { Penstock, type PenstockOptions } from "./client.js";
export {
  ApiError,
  InvalidUse,
  JobFailed,
  NoAnswer,
  NotConfigured,
  PenstockError,
  SignatureInvalid,
  UnexpectedAnswer,
  UnusableSecret,
  WaitTimeout,
  WrongBody,
  WrongHeader,
  WrongSignature,
  WrongTime,
  type ApiErrorFacts,
  type Violation,
} from "./errors.js";
export type { ExportOptions, JobOptions, JobRequest, Params, RunOptions, WatchOptions } from "./jobs.js";
export type { MapOptions } from "./mapping.js";
export type * from "./models.js";
export type * as models from "./models.js";
export type { Journal, Outcome } from "./outcomes.js";
export { Pages, type Page } from "./pages.js";
export type { OnProgress, Progress } from "./progress.js";
export * from "./reasons.js";
// The events of these names are `models.ConnectionNeedsReauth`, ….
export { ConnectionNeedsReauth, EndpointDisabled, TenantSuspended } from "./reasons.js";
export type * as requests from "./resources.js";
export type { OpenResult, Result } from "./results.js";
export type { Pace } from "./retrying.js";
export { UploadBroken, type Uploadable, type UploadOptions } from "./uploads.js";
export { VERSION } from "./version.js";
export type { WaitOptions } from "./waiting.js";
export * as webhooks from "./webhooks.js";
export type { VerifyOptions, WebhookEvent, WebhookHeaders } from "./webhooks.js";
