import assert from "node:assert/strict";
import { test } from "node:test";

import { BatchNotFound, JobNotFound, NoAnswer, UpstreamStatus, WaitTimeout, type Job } from "../../dist/node.js";
import {
  breaking,
  event,
  events,
  hang,
  json,
  refuse,
  reset,
  withServer,
  type FaultyServer,
  type Handler,
} from "./faulty_server.js";

const QUEUED = { id: "http-1", revision: "1", state: "QUEUED" as const };
const RUNNING = { ...QUEUED, revision: "2", state: "RUNNING" as const };
const ENDED = { ...QUEUED, revision: "3", state: "SUCCEEDED" as const, finishedAt: "2026-12-31T00:00:00Z" };

function asked(server: FaultyServer): string[] {
  return server.seen.map(({ verb, path, headers }) => {
    const after = headers["last-event-id"];
    return `${verb} ${path.replace("/api/v1/jobs", "")}${after === undefined ? "" : ` after ${String(after)}`}`;
  });
}

async function watched(server: FaultyServer, afterRevision?: string, options = {}): Promise<(string | undefined)[]> {
  const states: (string | undefined)[] = [];
  for await (const job of server.client(options).jobs.watch("http-1", { afterRevision })) states.push(job.state);
  return states;
}

test("watching goes on after each break where it was, and sees nothing twice", async () => {
  const script = [
    events(`retry: 1000\n\n${event(QUEUED)}`, "is silent"),
    reset,
    events(`${event(RUNNING)}: heartbeat\n\n${event(ENDED)}`),
    refuse(503, "UNAVAILABLE"),
    events(event(ENDED), "is silent"),
  ];
  const fetch = breaking(Infinity, event(RUNNING).length + 30);
  await withServer(script, async (server) => {
    assert.deepEqual(await watched(server, undefined, { fetch }), ["QUEUED", "RUNNING", "SUCCEEDED"]);
    assert.deepEqual(asked(server), [
      "GET /http-1:watch",
      ...["1", "1", "2", "2"].map((id) => `GET /http-1:watch after ${id}`),
    ]);
  });
});

test("watching ends at once where all was seen, and where there is no such job", async () => {
  const over: Handler = (_, response) => void response.writeHead(204).end();
  await withServer([over, json(ENDED)], async (server) => assert.deepEqual(await watched(server, "3"), []));
  await withServer([refuse(404, "JOB_NOT_FOUND")], async (server) => {
    await assert.rejects(watched(server), JobNotFound);
    assert.equal(server.seen.length, 1);
  });
});

test("waiting takes the stream while it can be had", async () => {
  await withServer([events(event(QUEUED)), events(event(RUNNING)), events(event(ENDED))], async (server) => {
    assert.deepEqual(await server.client().jobs.wait("http-1", { timeoutS: 60 }), ENDED);
    assert.deepEqual(asked(server), ["GET /http-1:watch", "GET /http-1:watch after 1", "GET /http-1:watch after 2"]);
  });
});

test("waiting falls to long polls where no stream is to be had, then to polls", async () => {
  const noStreams: [string, Handler[]][] = [
    ["silent", [events(": hello\n\n", "is silent")]],
    ["another type", [json(QUEUED)]],
    ["refused", [refuse(503, "UNAVAILABLE")]],
    ["breaks twice", [events(": hello\n\n"), reset]],
  ];
  for (const [why, script] of noStreams) {
    await withServer([...script, json(RUNNING), json(ENDED)], async (server) => {
      const pace = { firstPauseS: 0.001, longestPauseS: 0.002, quietS: why === "silent" ? 0.2 : 10 };
      assert.deepEqual(await server.client({ pace }).jobs.wait("http-1"), ENDED, why);
      assert.deepEqual(asked(server).slice(script.length), ["GET /http-1:wait", "GET /http-1:wait"], why);
      assert.equal(server.seen.at(-1)?.query.get("timeout"), "30.000s");
    });
  }
});

test("the caller's signal ends waiting", async () => {
  await withServer([hang], async (server) => {
    const signal = AbortSignal.timeout(30);
    await assert.rejects(server.client().jobs.wait("http-1", { signal }), { name: "TimeoutError" });
  });
});

test("polls are the last way, and their failures are tried again", async () => {
  const script = [reset, reset, reset, reset, reset, json(RUNNING), json(ENDED)];
  await withServer(script, async (server) => {
    assert.deepEqual(await server.client().jobs.wait("http-1"), ENDED);
    const [watch, wait, poll] = ["GET /http-1:watch", "GET /http-1:wait", "GET /http-1"];
    assert.deepEqual(asked(server), [watch, watch, wait, wait, poll, poll, poll]);
  });
});

test("waiting is over in its time, with what is known, whatever happens then", async () => {
  await withServer([events(event(RUNNING), "is silent")], async (server) => {
    const error: unknown = await server
      .client()
      .jobs.wait("http-1", { timeoutS: 1 })
      .catch((each: unknown) => each);
    assert(error instanceof WaitTimeout);
    assert.deepEqual([error.id, error.timeoutS, error.state], ["http-1", 1, "RUNNING"]);
    assert.match(error.message, /^http-1 has not ended within 1 s: it is RUNNING/);
  });
  await withServer([refuse(404, "JOB_NOT_FOUND")], async (server) => {
    await assert.rejects(server.client().jobs.wait("http-1"), JobNotFound);
    assert.equal(server.seen.length, 1);
  });
  await withServer([reset], async (server) => {
    await assert.rejects(server.client({ retryForS: 0.05 }).jobs.wait("http-1"), NoAnswer);
  });
});

test("running is submitting and waiting, and a failure of the job is thrown as its reason's", async () => {
  const failed: Job = {
    ...ENDED,
    state: "FAILED",
    error: { reason: "UPSTREAM_STATUS", message: "the upstream answered 500" },
  };
  await withServer([json(QUEUED), events(event(ENDED))], async (server) => {
    assert.deepEqual(
      await server.client().jobs.run("http", "http.get", {}, { timeoutS: 60, idempotencyKey: "k" }),
      ENDED,
    );
    assert.deepEqual(server.seen[0]?.body, { upstream: "http", method: "http.get", params: {}, requestId: "k" });
  });
  await withServer([json(failed)], async (server) => {
    await assert.rejects(server.client().jobs.run("http", "http.get"), (error) => {
      return error instanceof UpstreamStatus && error.job.id === "http-1" && error.message.includes("answered 500");
    });
    assert.equal(server.seen.length, 1);
  });
});

test("a batch is waited for by its oldest job that has not ended", async () => {
  const batch = (jobs: object[], more = {}): Handler => json({ id: "batch_1", counts: { queued: 1 }, jobs, ...more });
  const script = [
    batch([ENDED, RUNNING]),
    reset,
    batch([ENDED, RUNNING]),
    json(ENDED),
    batch([ENDED, ENDED], { finishedAt: "x" }),
  ];
  await withServer(script, async (server) => {
    assert.equal((await server.client().batches.wait("batch_1", { timeoutS: 60 })).finishedAt, "x");
    assert.deepEqual(asked(server).filter((each) => each.endsWith(":wait")).length, 2);
  });
  await withServer([refuse(404, "BATCH_NOT_FOUND")], async (server) => {
    await assert.rejects(server.client().batches.wait("batch_1"), BatchNotFound);
  });
});

test("an export goes on after the last job that was read, to its end", async () => {
  const lines =
    (text: string): Handler =>
    (_, response) => {
      response.writeHead(200, { "Content-Type": "application/x-ndjson" }).end(text);
    };
  const script = [
    lines('{"id":"a"}\n{"id":"b"}\n{"id":"c"}\n'),
    lines('{"id":"c"}\n{"id'),
    lines('{"id":"d"}\n'),
    lines(""),
  ];
  await withServer(script, async (server) => {
    const { jobs } = server.client({ fetch: breaking(25) });
    const ids: (string | undefined)[] = [];
    for await (const job of jobs.export({ batchId: "batch_1" })) ids.push(job.id);
    assert.deepEqual(ids, ["a", "b", "c", "d"]);
    assert.deepEqual(
      server.seen.map(({ query }) => query.get("afterJobId")),
      [null, "b", "c", "d"],
    );
    assert(server.seen.every(({ query }) => query.get("batchId") === "batch_1"));
  });
});
