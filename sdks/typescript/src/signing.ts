/** Signs requests with the API key, which then never travels: HTTP Message Signatures (RFC 9421) with HMAC-SHA-256. */

import { NotConfigured } from "./errors.js";
import { toBase64 } from "./operation.js";

const PURPOSE = "penstock request signing v1";
const PREFIX_LENGTH = 16;
const NONCE_BYTES = 16;
const HMAC = { name: "HMAC", hash: "SHA-256" };

/** A request as it goes out; nothing of it may be changed once it is signed. */
export interface Signable {
  readonly verb: string;
  readonly url: URL;
  /** An `Idempotency-Key` among them is signed too. */
  readonly headers: Headers;
  readonly body: string | undefined;
}

/** Signs with one API key. */
export class Signer {
  readonly #keyId: string;
  readonly #key: Promise<CryptoKey>;

  /** @throws NotConfigured where there is no WebCrypto, as on a page that is not of https. */
  constructor(apiKey: string) {
    subtle();
    this.#keyId = apiKey.slice(0, PREFIX_LENGTH);
    this.#key = signingKey(apiKey);
    this.#key.catch(() => undefined); // told by the first call that awaits it
  }

  /**
   * Adds the headers that sign the request.
   *
   * @param created - When it is signed, in seconds since 1970.
   * @param nonce - Drawn anew for each try: a server takes each one once.
   */
  async sign(request: Signable, created = Math.floor(Date.now() / 1000), nonce = newNonce()): Promise<void> {
    const { headers, url } = request;
    const parts = new Map([
      ['"@method"', request.verb],
      ['"@path"', url.pathname],
      ['"@query"', url.search || "?"],
    ]);
    if (request.body !== undefined) {
      const digest = await subtle().digest("SHA-256", new TextEncoder().encode(request.body));
      headers.set("Content-Digest", `sha-256=:${toBase64(new Uint8Array(digest))}:`);
    }
    for (const name of ["content-digest", "idempotency-key"]) {
      const value = headers.get(name);
      if (value !== null) parts.set(`"${name}"`, value);
    }
    const parameters = `created=${created};nonce="${nonce}";keyid="${this.#keyId}";alg="hmac-sha256"`;
    const covered = `(${[...parts.keys()].join(" ")});${parameters}`;
    parts.set('"@signature-params"', covered);
    const base = [...parts].map(([name, value]) => `${name}: ${value}`).join("\n");
    const signature = await subtle().sign("HMAC", await this.#key, new TextEncoder().encode(base));
    headers.set("Signature-Input", `penstock=${covered}`);
    headers.set("Signature", `penstock=:${toBase64(new Uint8Array(signature))}:`);
  }
}

/** The key that requests are signed with: the HMAC of its purpose under the API key, which nobody can make of it. */
async function signingKey(apiKey: string): Promise<CryptoKey> {
  const encoder = new TextEncoder();
  const key = await subtle().importKey("raw", encoder.encode(apiKey), HMAC, false, ["sign"]);
  const made = await subtle().sign("HMAC", key, encoder.encode(PURPOSE));
  return await subtle().importKey("raw", made, HMAC, false, ["sign"]);
}

function newNonce(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  return toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** WebCrypto, which browsers have on pages of https (and of this machine) alone. */
export function subtle(): typeof crypto.subtle {
  const found = globalThis.crypto?.subtle as typeof crypto.subtle | undefined;
  if (found === undefined) throw new NotConfigured("there is no WebCrypto here: serve the page over https");
  return found;
}
