import assert from "node:assert/strict";
import { test } from "node:test";

import { InvalidUse, JobFinished, NoAnswer, Penstock, QueueFull, UnexpectedAnswer } from "../../dist/node.js";
import { half, hang, json, refuse, reset, withServer } from "./faulty_server.js";

const JOB = { id: "http-1", state: "QUEUED", revision: "1" };

test("a submit goes through every fault under one key", async () => {
  const script = [
    reset,
    refuse(503, "UNAVAILABLE", { "Retry-After": "0" }),
    half(JOB),
    refuse(429, "RATE_LIMITED", { "Retry-After": "0" }),
    refuse(409, "IDEMPOTENCY_KEY_IN_FLIGHT", { "Retry-After": "0" }),
    json(JOB),
  ];
  await withServer(script, async (server) => {
    const job = await server
      .client()
      .jobs.submit("http", "http.get", { url: "https://x" }, { priority: "LOW", notBefore: new Date(0) });
    assert.deepEqual(job, JOB);
    assert.equal(server.seen.length, 6);
    const keys = new Set(
      server.seen.map(({ headers, body }) => `${headers["idempotency-key"]} ${String(body["requestId"])}`),
    );
    const [key = ""] = keys;
    assert.equal(keys.size, 1);
    assert.match(key, /^([0-9a-f]{32}) \1$/);
    const { headers, body, path } = server.seen[0] ?? assert.fail();
    assert.deepEqual(
      [path, headers.authorization, headers["content-type"]],
      ["/api/v1/jobs", "Bearer psk_test_key", "application/json"],
    );
    assert.deepEqual(
      { ...body, requestId: "" },
      {
        upstream: "http",
        method: "http.get",
        params: { url: "https://x" },
        priority: "LOW",
        notBefore: "1970-01-01T00:00:00.000Z",
        requestId: "",
      },
    );
  });
});

test("the caller's own key goes over all tries, and one that is none is said to be", async () => {
  await withServer([reset, json(JOB)], async (server) => {
    const penstock = server.client();
    await penstock.jobs.submit("http", "http.get", {}, { idempotencyKey: "import-7" });
    assert.deepEqual(
      server.seen.map(({ headers }) => headers["idempotency-key"]),
      ["import-7", "import-7"],
    );
    await assert.rejects(penstock.jobs.submit("http", "http.get", {}, { idempotencyKey: "zwölf" }), InvalidUse);
  });
});

test("what may have been done is not done again where nobody keeps it from being done twice", async () => {
  await withServer([reset], async (server) => {
    await assert.rejects(
      server.client().tenants.create("globex"),
      (error: NoAnswer) => error.maybeDone && error.tries === 1,
    );
    assert.equal(server.seen.length, 1);
  });
  await withServer([refuse(429, "RATE_LIMITED", { "Retry-After": "0" }), json({ name: "globex" })], async (server) => {
    await server.client().tenants.create("globex");
    assert.equal(server.seen.length, 2);
  });
});

test("nobody at all, for too long, is told with how often and how long it was tried", async () => {
  let url = "";
  await withServer([hang], async (server) => void (url = server.url));
  const pace = { firstPauseS: 0.001, longestPauseS: 0.1 };
  await assert.rejects(
    new Penstock({ url, apiKey: "psk_x", retryForS: 1, pace }).jobs.get("http-1"),
    (error: NoAnswer) => {
      assert(error.tries > 1 && error.tookS < 20 && !error.maybeDone);
      assert.match(
        error.message,
        /^GET http:.*\/api\/v1\/jobs\/http-1: no connection: .*ECONNREFUSED.* \(\d+ tries in \d+\.\d s\)$/,
      );
      return true;
    },
  );
});

test("an answer that does not come in time is asked for again, and a full queue is told after its time", async () => {
  await withServer([hang, json(JOB)], async (server) => {
    assert.deepEqual(await server.client({ timeoutS: 0.05 }).jobs.get("http-1", { view: "FULL" }), JOB);
    assert.equal(server.seen[1]?.query.get("view"), "FULL");
  });
  await withServer([refuse(503, "QUEUE_FULL", { "Retry-After": "60" })], async (server) => {
    await assert.rejects(
      server.client().jobs.submit("http", "http.get"),
      (error) => error instanceof QueueFull && error.retryAfterS === 60,
    );
    assert.equal(server.seen.length, 1);
  });
});

test("redirects and pages of others are not followed nor believed, and get no key", async () => {
  await withServer([json({}, 302, { Location: "https://elsewhere.example/login" })], async (server) => {
    await assert.rejects(server.client().jobs.get("http-1"), UnexpectedAnswer);
    assert.equal(server.seen.length, 1);
  });
});

test("the caller's signal ends a call, with its own reason", async () => {
  await withServer([hang], async (server) => {
    const signal = AbortSignal.timeout(30);
    await assert.rejects(server.client().jobs.get("http-1", { signal }), { name: "TimeoutError" });
    await assert.rejects(server.client().jobs.get("http-1", { signal: AbortSignal.abort(new Error("mine")) }), /mine/);
  });
});

test("a list is asked for page by page, and each page again where it fails", async () => {
  const page = (ids: string[], nextPageToken: string) => json({ jobs: ids.map((id) => ({ id })), nextPageToken });
  await withServer([page(["a", "b"], "2"), reset, page([], "3"), page(["c"], "")], async (server) => {
    const found: (string | undefined)[] = [];
    for await (const job of server.client().jobs.list({ upstream: "http", state: ["FAILED", "EXPIRED"], pageSize: 2 }))
      found.push(job.id);
    assert.deepEqual(found, ["a", "b", "c"]);
    assert.deepEqual(
      server.seen.map(({ query }) => query.get("pageToken")),
      [null, "2", "2", "3"],
    );
    assert.deepEqual(server.seen[3]?.query.getAll("state"), ["FAILED", "EXPIRED"]);
  });
});

test("a refusal has its reason's class, and signed requests carry no key", async () => {
  await withServer([refuse(400, "JOB_FINISHED")], async (server) => {
    await assert.rejects(server.client({ signRequests: true }).jobs.cancel("http-1", { force: true }), JobFinished);
    const { headers, body } = server.seen[0] ?? assert.fail();
    assert.equal(headers.authorization, undefined);
    assert.match(String(headers["signature-input"]), /^penstock=\("@method" "@path" "@query" "content-digest"\)/);
    assert.deepEqual(body, { force: true });
  });
});
