import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { InvalidUse, VERSION } from "../../dist/index.js";
import { partsOf, toJson, type Operation } from "../../dist/operation.js";
import { Signer } from "../../dist/signing.js";
import { EventParser, type ServerSentEvent } from "../../dist/sse.js";

const OPERATION: Operation = {
  name: "JobService.Try",
  verb: "GET",
  path: "/api/v1/jobs/{jobId}:try",
  pathNames: ["jobId"],
  queryNames: ["state", "createdAfter", "force"],
  hasBody: false,
  repeat: "ALWAYS",
};

function parse(text: string, size: number): ServerSentEvent[] {
  const bytes = new TextEncoder().encode(text);
  const parser = new EventParser();
  const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
    bytes.subarray(at * size, (at + 1) * size),
  );
  return chunks.flatMap((chunk) => [...parser.feed(chunk)]);
}

test("events are the same however the stream is cut", () => {
  const stream =
    'retry: 1000\n\n: heartbeat\n\nid: 1\nevent: queued\ndata: {"a":"ü€"}\n\nid:2\r\ndata:one\r\ndata: two\r\n\r\n' +
    "id: 3\rdata\r\rid: bad\0\ndata: x\n\nevent: lost\ndata: never ended";
  const events = [
    { id: "1", event: "queued", data: '{"a":"ü€"}' },
    { id: "2", event: "message", data: "one\ntwo" },
    { id: "3", event: "message", data: "" },
    { id: "3", event: "message", data: "x" },
  ];
  for (const size of [1, 2, 3, 7, 1000]) assert.deepEqual(parse(stream, size), events, `cut at ${size}`);
});

test("a request's fields go where the operation has them", () => {
  const when = new Date("2026-12-31T00:00:00Z");
  assert.deepEqual(
    partsOf(OPERATION, { jobId: "http-1/ä", state: ["QUEUED", "RUNNING"], createdAfter: when, force: undefined }),
    {
      target: "/api/v1/jobs/http-1%2F%C3%A4:try?state=QUEUED&state=RUNNING&createdAfter=2026-12-31T00%3A00%3A00.000Z",
      body: undefined,
    },
  );
  assert.deepEqual(partsOf({ ...OPERATION, hasBody: true, queryNames: [] }, { jobId: "x", force: true, lane: null }), {
    target: "/api/v1/jobs/x:try",
    body: '{"force":true}',
  });
  assert.equal(partsOf({ ...OPERATION, path: "/{operationId}" }, { operationId: "operations/op_1" }).target, "/op_1");
  assert.throws(() => partsOf(OPERATION, { jobId: "" }), InvalidUse);
  assert.throws(() => partsOf(OPERATION, { jobId: "x", speed: 1 }), /JobService.Try has no field speed/);
  assert.equal(
    toJson({ size: 2n ** 60n, bytes: new Uint8Array([1, 2]), when }),
    '{"size":"1152921504606846976","bytes":"AQI=","when":"2026-12-31T00:00:00.000Z"}',
  );
});

test("a signed request has the headers that docs/access.md shows", async () => {
  const signer = new Signer("psk_live_EXAMPLEdocsOnlyNeverUsed1Nnrqv");
  const body = '{"upstream": "http", "method": "http.get", "params": {"url": "https://example.com/"}}';
  const shown = readFileSync(new URL("../../../../docs/access.md", import.meta.url), "utf8");
  for (const [verb, target, sent, nonce] of [
    ["POST", "/api/v1/jobs", body, "AAECAwQFBgcICQoLDA0ODw"],
    ["GET", "/api/v1/jobs?upstream=http&pageSize=5", undefined, "EBESExQVFhcYGRobHB0eHw"],
  ] as const) {
    const headers = new Headers();
    await signer.sign(
      { verb, url: new URL(target, "http://penstock.example"), headers, body: sent },
      1767225600,
      nonce,
    );
    for (const name of ["Content-Digest", "Signature-Input", "Signature"]) {
      const value = headers.get(name);
      assert.equal(value === null, name === "Content-Digest" && sent === undefined);
      if (value !== null) assert(shown.includes(`${name}: ${value}`), `${name}: ${value}`);
    }
  }
});

test("a key is signed, and every signature has its own nonce", async () => {
  const signer = new Signer("psk_live_EXAMPLEdocsOnlyNeverUsed1Nnrqv");
  const seen = new Set<string>();
  for (let at = 0; at < 3; at += 1) {
    const headers = new Headers({ "Idempotency-Key": "import-7" });
    await signer.sign({ verb: "POST", url: new URL("http://x/api/v1/jobs"), headers, body: "{}" });
    const input = headers.get("Signature-Input") ?? "";
    assert(input.includes('"content-digest" "idempotency-key")'), input);
    seen.add(/nonce="([\w-]{16,128})"/.exec(input)?.[1] ?? "");
  }
  assert.equal(seen.size, 3);
});

test("the version is the package's", () => {
  const packed = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  assert.equal(VERSION, packed.version);
});
