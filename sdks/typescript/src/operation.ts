/** What the call layer knows of each call of the API: where it goes, and how it may be repeated. */

import { InvalidUse } from "./errors.js";

/**
 * How a call may be made again.
 *
 * - `ALWAYS`: it changes nothing, or comes to the same however often it is made.
 * - `KEYED`: it takes an `Idempotency-Key`, which is made once and kept over all tries.
 * - `REFUSED_ONLY`: where it was surely not done: no connection was had, or it was refused before anything happened.
 */
export type Repeat = "ALWAYS" | "KEYED" | "REFUSED_ONLY";

/** One call of the API; all names are those of the request's JSON. */
export interface Operation {
  /** Service and method, such as `JobService.GetJob`. */
  readonly name: string;
  readonly verb: string;
  /** Its path with the names of `pathNames` in braces, such as `/api/v1/jobs/{jobId}:wait`. */
  readonly path: string;
  readonly pathNames: readonly string[];
  readonly queryNames: readonly string[];
  /** Whether what is neither in the path nor in the query goes as a JSON body. */
  readonly hasBody: boolean;
  readonly repeat: Repeat;
}

/** The fields of a request, flat, by their JSON names. */
export type Fields = Readonly<Record<string, unknown>>;

/** A request as HTTP has it: a path with its query, and the body's JSON where it has one. */
export interface Parts {
  readonly target: string;
  readonly body: string | undefined;
}

/**
 * Puts each field where the operation has it; what is `undefined` or `null` is left out.
 *
 * @throws InvalidUse where a field of the path is missing or empty, or one is given that the operation does not have.
 */
export function partsOf(operation: Operation, fields: Fields): Parts {
  const rest = new Map(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null));
  const path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = rest.get(name);
    rest.delete(name);
    return segment(operation, name, value);
  });
  const query = new URLSearchParams();
  for (const name of operation.queryNames) {
    const value = rest.get(name);
    rest.delete(name);
    for (const each of value === undefined ? [] : Array.isArray(value) ? value : [value])
      query.append(name, text(each));
  }
  const [unknown] = rest.keys();
  if (!operation.hasBody && unknown !== undefined) {
    throw new InvalidUse(
      `${operation.name} has no field ${unknown}: leave it out, or see its documentation for those it has`,
    );
  }
  return {
    target: query.size === 0 ? path : `${path}?${query}`,
    body: operation.hasBody ? toJson(Object.fromEntries(rest)) : undefined,
  };
}

function segment(operation: Operation, name: string, value: unknown): string {
  if (typeof value !== "string" || value === "") {
    throw new InvalidUse(
      `${name} of ${operation.name} is ${JSON.stringify(value)}: it must be a text that is not empty`,
    );
  }
  // An operation's name (google.longrunning) is told as `operations/op_…`, and asked for by what follows.
  return encodeURIComponent(name === "operationId" ? value.replace(/^operations\//, "") : value);
}

function text(value: unknown): string {
  return value instanceof Date ? value.toISOString() : String(value);
}

/** A request's JSON, in which 64-bit integers are text and bytes are base64. */
export function toJson(value: object): string {
  return JSON.stringify(value, encode);
}

function encode(_name: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  return value instanceof Uint8Array ? toBase64(value) : value;
}

/** Bytes as base64; in parts, for a call takes only so many arguments. */
export function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let start = 0; start < bytes.length; start += 0x8000) {
    binary += String.fromCharCode(...bytes.subarray(start, start + 0x8000));
  }
  return btoa(binary);
}

/**
 * The bytes of base64.
 *
 * @throws DOMException where it is none.
 */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
