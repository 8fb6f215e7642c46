import assert from "node:assert/strict";
import { inspect } from "node:util";
import { test } from "node:test";

import { errorOf, failureOf, jsonOf, retryAfterS } from "../../dist/answers.js";
import {
  ApiError,
  JobFailed,
  JobNotFound,
  NoAnswer,
  Penstock,
  UnexpectedAnswer,
  UpstreamStatus,
} from "../../dist/index.js";

const ASKED = { verb: "GET", url: "http://penstock.example/api/v1/jobs/x?token=hidden" };

function answer(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return new Response(text, { status, headers: { "Content-Type": "application/json", ...headers } });
}

async function told(given: Response): Promise<Error> {
  return await errorOf(ASKED, given, () => given.text()).catch((error: Error) => error);
}

test("an error of the API has all that its details tell, in its reason's class", async () => {
  const details = [
    { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "JOB_NOT_FOUND", metadata: { jobId: "x" } },
    {
      "@type": "type.googleapis.com/google.rpc.BadRequest",
      fieldViolations: [{ field: "jobId", description: "unknown" }],
    },
    { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "1.5s" },
    {
      "@type": "type.googleapis.com/google.rpc.Help",
      links: [{ url: "https://penstock.example/docs/errors/JOB_NOT_FOUND" }],
    },
  ];
  const body = { error: { code: 404, status: "NOT_FOUND", message: "no such job", details } };
  const error = await told(answer(404, body, { "X-Request-Id": "r-1", "Retry-After": "1" }));

  assert(error instanceof JobNotFound && error instanceof ApiError);
  assert.equal(error.name, "JobNotFound");
  assert.equal(error.message, "JOB_NOT_FOUND: no such job");
  assert.deepEqual(
    [error.reason, error.status, error.requestId, error.retryAfterS, error.helpUrl],
    ["JOB_NOT_FOUND", 404, "r-1", 1.5, "https://penstock.example/docs/errors/JOB_NOT_FOUND"],
  );
  assert.deepEqual(error.violations, [{ field: "jobId", description: "unknown" }]);
  assert.deepEqual(error.metadata, { jobId: "x" });
});

test("a reason that is not known is an ApiError, and a job's a JobFailed", async () => {
  const details = [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "FROM_THE_FUTURE" }];
  const error = await told(answer(400, { error: { message: "new", details } }));
  assert.equal(error.constructor, ApiError);
  assert.equal(
    failureOf({ id: "http-1", state: "FAILED", error: { reason: "FROM_THE_FUTURE" } }).constructor,
    JobFailed,
  );
  const known = failureOf({ id: "http-1", state: "FAILED", error: { reason: "UPSTREAM_STATUS", message: "502" } });
  assert(known instanceof UpstreamStatus);
  assert.equal(known.message, "http-1 is FAILED: UPSTREAM_STATUS: 502");
});

test("a proxy's page and JSON of another shape are unexpected, and a half answer is none", async () => {
  const page = await told(
    new Response("<html>502</html>", { status: 502, headers: { "Content-Type": "text/html", "Retry-After": "3" } }),
  );
  assert(page instanceof UnexpectedAnswer);
  assert.deepEqual(
    [page.status, page.contentType, page.beginning, page.retryAfterS],
    [502, "text/html", "<html>502</html>", 3],
  );
  assert(!page.message.includes("hidden"), page.message);
  assert((await told(answer(500, { message: "not ours" }))) instanceof UnexpectedAnswer);
  const half = await told(answer(500, '{"error": {"mess'));
  assert(half instanceof NoAnswer && !(half instanceof UnexpectedAnswer));
  const login = answer(200, "<html>log in</html>", { "Content-Type": "text/html" });
  await assert.rejects(
    jsonOf(ASKED, login, () => login.text()),
    UnexpectedAnswer,
  );
});

test("Retry-After is taken as seconds and as a date", () => {
  const now = Date.parse("2026-12-31T00:00:00Z");
  for (const [value, seconds] of [
    ["7", 7],
    ["Thu, 31 Dec 2026 00:00:09 GMT", 9],
    ["Wed, 30 Dec 2026 00:00:00 GMT", 0],
    ["soon", 0],
  ] as const) {
    assert.equal(retryAfterS(new Headers({ "Retry-After": value }), now), seconds, value);
  }
});

test("no error and no client shows the key", () => {
  const penstock = new Penstock({ url: "http://penstock.example/", apiKey: "psk_test_SECRET", signRequests: true });
  assert.equal(penstock.url, "http://penstock.example");
  assert(!inspect(penstock, { depth: 9 }).includes("SECRET"));
  assert(!JSON.stringify(penstock).includes("SECRET"));
  assert.throws(() => new Penstock({ url: "penstock.example", apiKey: "psk_x" }), /url is "penstock.example"/);
  assert.throws(
    () => new Penstock({ url: "http://x", apiKey: "SECRET key" }),
    (error: Error) => !error.message.includes("SECRET"),
  );
});
