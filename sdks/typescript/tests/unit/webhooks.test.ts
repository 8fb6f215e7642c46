import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";

import {
  SignatureInvalid,
  UnusableSecret,
  webhooks,
  WrongBody,
  WrongHeader,
  WrongSignature,
  WrongTime,
} from "../../dist/index.js";

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NOW = new Date("2026-12-31T00:00:00Z");
const BODY =
  '{"type":"job.succeeded","timestamp":"2026-12-31T00:00:00Z","data":{"id":"http-1","metadata":{"name":"ü"}}}';
const PAIR = generateKeyPairSync("ed25519");
const PUBLIC = `whpk_${Buffer.from(PAIR.publicKey.export({ format: "jwk" }).x ?? "", "base64url").toString("base64")}`;

function message(
  body = BODY,
  key: Buffer | string = Buffer.from(SECRET.slice(6), "base64"),
  at = NOW,
): Record<string, string> {
  const timestamp = String(at.getTime() / 1000);
  const signed = Buffer.from(`http-1:3.${timestamp}.${body}`);
  const v1 = createHmac("sha256", key).update(signed).digest("base64");
  const v1a = sign(null, signed, PAIR.privateKey).toString("base64");
  return {
    "webhook-id": "http-1:3",
    "webhook-timestamp": timestamp,
    "webhook-signature": `v0,? v2 v1a,${v1a} v1,${v1}`,
  };
}

test("an event is had by either signature, by one of several secrets, from any kind of headers", async () => {
  const bytes = new TextEncoder().encode(BODY);
  for (const secrets of [SECRET, PUBLIC, ["whsec_b3RoZXI=", SECRET], [`whpk_${"A".repeat(43)}=`, PUBLIC]]) {
    const event = await webhooks.verify(bytes, message(), secrets, { now: NOW });
    assert(event.type === "job.succeeded");
    assert.deepEqual([event.id, event.data.id, event.data.metadata?.["name"]], ["http-1:3", "http-1", "ü"]);
    assert.deepEqual(webhooks.eventsOf(event), [event]);
  }
  const text = await webhooks.verify(
    BODY,
    new Headers(message(BODY, "a text of the caller's")),
    "a text of the caller's",
    { now: NOW },
  );
  assert.equal(text.id, "http-1:3");
});

test("a batch of events has each of them", async () => {
  const each = { id: "http-2:1", type: "job.failed", timestamp: "2026-12-31T00:00:00Z", data: { id: "http-2" } };
  const body = JSON.stringify({ type: "events.batch", timestamp: "2026-12-31T00:00:01Z", data: { events: [each] } });
  const event = await webhooks.verify(body, message(body), SECRET, { now: NOW });
  assert.deepEqual(webhooks.eventsOf(event), [each]);
});

test("what is not ours, or not of now, is refused by its fault", async () => {
  const late = new Date(NOW.getTime() + 301_000);
  const without = (name: string): Record<string, string> =>
    Object.fromEntries(Object.entries(message()).filter(([each]) => each !== name));
  const cases: [new (message: string) => SignatureInvalid, Record<string, string | string[]>, string, Date][] = [
    [WrongSignature, message(), `${BODY} `, NOW],
    [WrongSignature, message(BODY, "another"), BODY, NOW],
    [WrongTime, message(), BODY, late],
    [WrongTime, message(BODY, undefined, late), BODY, NOW],
    [WrongHeader, { ...message(), "webhook-timestamp": "1e9" }, BODY, NOW],
    [WrongHeader, without("webhook-id"), BODY, NOW],
    [WrongHeader, without("webhook-signature"), BODY, NOW],
    [WrongHeader, { ...message(), "Webhook-Id": "twice" }, BODY, NOW],
    [WrongBody, message("[]"), "[]", NOW],
  ];
  for (const [fault, headers, body, now] of cases) {
    await assert.rejects(
      webhooks.verify(body, headers, SECRET, { now }),
      (error) => error instanceof fault && error instanceof SignatureInvalid,
    );
  }
});

test("a secret that cannot be one is the receiver's own fault, and is not shown", async () => {
  for (const secret of ["", "whsk_MfKQ", "psk_live_x", "whsec_***", "whpk_AAAA"]) {
    await assert.rejects(webhooks.verify(BODY, message(), secret, { now: NOW }), (error: Error) => {
      return error instanceof UnusableSecret && !error.message.includes("MfKQ") && !error.message.includes("***");
    });
  }
  await assert.rejects(webhooks.verify(BODY, message(), [], { now: NOW }), UnusableSecret);
});
