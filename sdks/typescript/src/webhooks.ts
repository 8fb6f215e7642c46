/** Verifies the messages that Penstock posts to endpoints and callbacks (Standard Webhooks 1.0.0). */

import { UnusableSecret, WrongBody, WrongHeader, WrongSignature, WrongTime } from "./errors.js";
import { fromBase64 } from "./operation.js";
import type { webhooks } from "./schema.js";
import { subtle } from "./signing.js";

/** How far a message's time may be off, in seconds. */
const TOLERANCE_S = 300;
const ED25519_KEY_BYTES = 32;

type Bodies = { [Type in keyof webhooks]: webhooks[Type]["post"]["requestBody"]["content"]["application/json"] };

/** A message: its id, which is the same in every attempt, and what has happened. Branch on `type`. */
export type WebhookEvent = Bodies[keyof Bodies] & { readonly id: string };

/** Headers as `fetch`, Node's `http` and every framework over them have them. */
export type WebhookHeaders = Headers | Readonly<Record<string, string | readonly string[] | undefined>>;

/** How a message is verified. */
export interface VerifyOptions {
  /** How far its time may be off, in seconds; 300 unless told. */
  readonly toleranceS?: number;
  /** The time that it is checked against; now unless told. */
  readonly now?: Date;
}

/**
 * The event, if one of its signatures is made with one of the secrets, and of now.
 *
 * @param body - The bytes that came, untouched: never JSON that was parsed and written again.
 * @param headers - Those of the request.
 * @param secrets - One or several (while one is rotated): an endpoint's `whsec_…`, a public key `whpk_…`, or the text
 *     that was given as a `callbackSecret`.
 * @throws SignatureInvalid where it is to be answered with 401; UnusableSecret where a secret cannot be one.
 */
export async function verify(
  body: Uint8Array | string,
  headers: WebhookHeaders,
  secrets: string | readonly string[],
  options: VerifyOptions = {},
): Promise<WebhookEvent> {
  const checks = await Promise.all((typeof secrets === "string" ? [secrets] : secrets).map(checkOf));
  if (checks.length === 0) throw new UnusableSecret("there is no secret: give the endpoint's whsec_… or whpk_…");
  const id = header(headers, "webhook-id");
  const timestamp = header(headers, "webhook-timestamp");
  const signatures = header(headers, "webhook-signature");
  checkTime(timestamp, options);
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  const signed = joined(new TextEncoder().encode(`${id}.${timestamp}.`), bytes);
  for (const entry of signatures.split(" ")) {
    const [kind = "", text = ""] = entry.split(",", 2);
    const signature = decoded(text);
    if (signature === undefined) continue; // whatever it is, it is no signature
    for (const check of checks)
      if (check.kind === kind && (await check.fits(signature, signed))) return eventOf(id, bytes);
  }
  throw new WrongSignature("no signature fits: the body is not what came, or the secret is another endpoint's");
}

/** The events of a message: those of an `events.batch`, else itself alone. */
export function eventsOf(event: WebhookEvent): WebhookEvent[] {
  return event.type === "events.batch" ? (event.data.events as WebhookEvent[]) : [event];
}

function checkTime(timestamp: string, { toleranceS = TOLERANCE_S, now = new Date() }: VerifyOptions): void {
  if (!/^\d{1,12}$/.test(timestamp)) {
    throw new WrongHeader(`webhook-timestamp is ${JSON.stringify(timestamp)}: it must be in seconds since 1970`);
  }
  const ageS = Math.round(now.getTime() / 1000 - Number(timestamp));
  if (Math.abs(ageS) <= toleranceS) return;
  const when = ageS > 0 ? `${ageS} s ago` : `${-ageS} s from now`;
  throw new WrongTime(
    `the message was signed ${when}, and ${toleranceS} s are allowed: it is old, or this machine's clock is wrong`,
  );
}

/** What checks signatures of one kind with one secret; in constant time, as WebCrypto does. */
interface Check {
  readonly kind: "v1" | "v1a";
  fits(signature: Uint8Array<ArrayBuffer>, signed: Uint8Array<ArrayBuffer>): Promise<boolean>;
}

async function checkOf(secret: string): Promise<Check> {
  if (secret === "") throw new UnusableSecret("a secret is empty: give the endpoint's whsec_… or whpk_…");
  if (/^(whsk_|psk_)/.test(secret)) {
    throw new UnusableSecret(`a secret begins with ${secret.slice(0, 4)}: give the endpoint's whsec_… or whpk_…`);
  }
  if (secret.startsWith("whpk_")) {
    const bytes = decoded(secret.slice("whpk_".length));
    if (bytes?.length !== ED25519_KEY_BYTES)
      throw new UnusableSecret("a secret whpk_… is no base64 of 32 bytes: copy it whole");
    const key = await subtle().importKey("raw", bytes, { name: "Ed25519" }, false, ["verify"]);
    return { kind: "v1a", fits: (signature, signed) => subtle().verify("Ed25519", key, signature, signed) };
  }
  const bytes = secret.startsWith("whsec_") ? decoded(secret.slice("whsec_".length)) : new TextEncoder().encode(secret);
  if (bytes === undefined || bytes.length === 0)
    throw new UnusableSecret("a secret whsec_… is no base64: copy it whole");
  const key = await subtle().importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
  return { kind: "v1", fits: (signature, signed) => subtle().verify("HMAC", key, signature, signed) };
}

function eventOf(id: string, body: Uint8Array): WebhookEvent {
  try {
    const event = JSON.parse(new TextDecoder().decode(body)) as Bodies[keyof Bodies];
    if (typeof event.type === "string" && typeof event.data === "object") return { ...event, id };
  } catch {
    // told below, as is JSON of another shape
  }
  throw new WrongBody(
    "the message is signed, but its body is no event: it was signed by somebody else with this secret",
  );
}

function header(headers: WebhookHeaders, name: string): string {
  const values =
    headers instanceof Headers
      ? [headers.get(name) ?? ""]
      : Object.entries(headers).flatMap(([each, value]) => (each.toLowerCase() === name ? (value ?? []) : []));
  const [value = ""] = values;
  if (values.length > 1) throw new WrongHeader(`${name} came ${values.length} times: it must come once`);
  if (value === "")
    throw new WrongHeader(`${name} is missing: the message is not of Penstock, or a proxy has taken it away`);
  return value;
}

function decoded(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return fromBase64(text);
  } catch {
    return undefined; // no base64, which the callers say in their own words
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}
