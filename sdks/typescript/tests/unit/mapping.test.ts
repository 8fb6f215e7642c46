import assert from "node:assert/strict";
import { test } from "node:test";

import {
  InvalidArgument,
  InvalidUse,
  JobFailed,
  PermissionDenied,
  type JobRequest,
  type MapOptions,
  type Progress,
} from "../../dist/node.js";
import { json, refuse, reset, withServer, type FaultyServer, type Handler, type Seen } from "./faulty_server.js";

const FAULTY = "faulty";

/** Jobs that end when they are waited for, in a queue of `limit`; one whose method is `faulty` refuses its batch. */
class Mesh {
  readonly batches = new Map<
    string,
    { id: string; jobs: { id: string; state: string; method: string; finishedAt?: string; result?: object }[] }
  >();
  mostUnfinished = 0;

  constructor(private readonly limit = Infinity) {}

  readonly handler: Handler = async (seen, response) => {
    const answer = seen.verb === "POST" ? this.#submitted(seen) : this.#looked(seen.path.replace("/api/v1/", ""));
    await answer(seen, response);
  };

  get #jobs(): { id: string; state: string; method: string; finishedAt?: string; result?: object }[] {
    return [...this.batches.values()].flatMap(({ jobs }) => jobs);
  }

  #submitted({ body, headers }: Seen): Handler {
    const key = String(headers["idempotency-key"]);
    const requests = body["jobs"] as { method: string }[];
    const faults = requests.flatMap(({ method }, at) =>
      method === FAULTY ? [{ field: `jobs[${at}].method`, description: "unknown" }] : [],
    );
    if (faults.length > 0) return refuse(400, "INVALID_ARGUMENT", {}, { fieldViolations: faults });
    const known = this.batches.get(key);
    if (known !== undefined) {
      return known.jobs.length === requests.length ? json(known) : refuse(422, "IDEMPOTENCY_KEY_REUSED");
    }
    const unfinished = this.#jobs.filter(({ finishedAt }) => finishedAt === undefined).length;
    if (unfinished + requests.length > this.limit) return refuse(503, "QUEUE_FULL", { "Retry-After": "0.01" });
    const jobs = requests.map(({ method }, at) => ({ id: `${key}.${at}`, state: "QUEUED", method }));
    this.batches.set(key, { id: `batch_${key}`, jobs });
    this.mostUnfinished = Math.max(this.mostUnfinished, unfinished + requests.length);
    return json(this.batches.get(key));
  }

  #looked(path: string): Handler {
    const [noun, name = ""] = path.split("/");
    if (noun === "batches") return json([...this.batches.values()].find(({ id }) => id === name));
    const job = this.#jobs.find(({ id }) => id === name.replace(":wait", ""));
    if (!name.endsWith(":wait")) return json({ ...job, result: { inline: { text: "hello" } } });
    const batch = [...this.batches.values()].find(({ jobs }) => jobs.some((each) => each === job));
    for (const each of batch?.jobs ?? []) {
      Object.assign(each, {
        state: each.method === "failing" ? "FAILED" : "SUCCEEDED",
        finishedAt: "x",
        result: { size: "5" },
      });
    }
    return json(job);
  }
}

function jobs(count: number, methods: Record<number, string> = {}): JobRequest[] {
  return Array.from({ length: count }, (_, at) => ({
    upstream: "http",
    method: methods[at] ?? "http.get",
    metadata: { n: String(at) },
  }));
}

async function outcomes(
  server: FaultyServer,
  requests: JobRequest[],
  options: MapOptions,
): Promise<{ index: number; told: string }[]> {
  const found = [];
  for await (const { index, request, job, error } of server.client().map(requests, options)) {
    assert.equal(request, requests[index]);
    found.push({
      index,
      told: `${job?.state ?? "refused"} ${job?.result?.inline?.text ?? ""} ${error?.name ?? ""}`
        .replace(/ +/g, " ")
        .trim(),
    });
  }
  return found.sort((one, other) => one.index - other.index);
}

test("many jobs are mapped within the window, each told of once, through resets and a full queue", async () => {
  const mesh = new Mesh(150);
  let asked = 0;
  const shaky: Handler = (seen, response) => (asked++ % 7 === 3 ? reset(seen, response) : mesh.handler(seen, response));
  await withServer([shaky], async (server) => {
    const told: Progress[] = [];
    const found = await outcomes(server, jobs(230, { 7: "failing" }), {
      name: "import-7",
      concurrency: 250,
      onProgress: (each) => told.push(each),
    });
    assert.deepEqual(
      found.map(({ index }) => index),
      [...Array(230).keys()],
    );
    assert.deepEqual(new Set(found.map(({ told }) => told)), new Set(["SUCCEEDED hello", "FAILED hello JobFailed"]));
    assert.deepEqual([...mesh.batches.keys()], ["import-7-000000", "import-7-000100", "import-7-000200"]);
    assert(mesh.mostUnfinished <= 150);
    assert.deepEqual(told.at(-1), { unit: "jobs", done: 230, total: 230, failed: 1 });
  });
});

test("faulty jobs are told of each by itself, and the others are made, also when it is all done again", async () => {
  const mesh = new Mesh();
  await withServer([mesh.handler], async (server) => {
    const requests = jobs(12, { 3: FAULTY, 8: FAULTY });
    for (let run = 0; run < 2; run += 1) {
      const found = await outcomes(server, requests, { name: "import-8", concurrency: 6, results: false });
      const refused = found.filter(({ told }) => told !== "SUCCEEDED");
      assert.deepEqual(refused, [
        { index: 3, told: "refused InvalidArgument" },
        { index: 8, told: "refused InvalidArgument" },
      ]);
      assert.equal(found.length, 12);
    }
    assert.deepEqual(
      [...mesh.batches].map(([key, { jobs }]) => [key, jobs.length]),
      [
        ["import-8-000000", 5],
        ["import-8-000006", 5],
      ],
    );
    for await (const { error } of server.client().map(jobs(1, { 0: FAULTY }))) {
      assert(error instanceof InvalidArgument && !(error instanceof JobFailed));
      assert.deepEqual(error.violations, [{ field: "method", description: "unknown" }]);
    }
  });
});

test("a journal stands for keys that are forgotten, and what is done is not asked for", async () => {
  const mesh = new Mesh();
  const kept = new Map<string, string>();
  const journal = {
    batchOf: (key: string) => kept.get(key),
    accepted: (key: string, batch: string) => void kept.set(key, batch),
  };
  await withServer([mesh.handler], async (server) => {
    const requests = jobs(6, { 1: FAULTY });
    await outcomes(server, requests, { name: "j", concurrency: 3, journal });
    assert.deepEqual(
      [...kept],
      [
        ["j-000000", "batch_j-000000 1"],
        ["j-000003", "batch_j-000003"],
      ],
    );
    const submits = (): number => server.seen.filter(({ verb }) => verb === "POST").length;
    const before = submits();
    const found = await outcomes(server, requests, { name: "j", concurrency: 3, journal, done: new Set([2, 3, 4, 5]) });
    assert.deepEqual(
      found.map(({ index }) => index),
      [0, 1],
    );
    assert.equal(submits(), before + 1); // the faulty one, which was never made
  });
});

test("what would refuse every job ends the map, and so do arguments that cannot be right", async () => {
  await withServer([refuse(403, "PERMISSION_DENIED")], async (server) => {
    await assert.rejects(outcomes(server, jobs(3), {}), PermissionDenied);
    for (const options of [{ concurrency: 0 }, { concurrency: 1.5 }, { name: "with spaces" }, { name: "" }]) {
      assert.throws(() => server.client().map(jobs(1), options), InvalidUse);
    }
    await assert.rejects(outcomes(server, ["http.get"] as unknown as JobRequest[], {}), /job 0 is "http.get"/);
  });
  await withServer(
    [refuse(503, "QUEUE_FULL", { "Retry-After": "0" }, { metadata: { limit: "2" } })],
    async (server) => {
      await assert.rejects(outcomes(server, jobs(3), {}), /a batch of 3 jobs never fits/);
    },
  );
});

test("who stops reading, or aborts, lets go of where the requests come from", async () => {
  const mesh = new Mesh();
  await withServer([mesh.handler], async (server) => {
    let released = 0;
    async function* endless(): AsyncGenerator<JobRequest> {
      try {
        for (;;) yield { upstream: "http", method: "http.get" };
      } finally {
        released += 1;
      }
    }
    for await (const { job } of server.client().map(endless(), { concurrency: 2 })) if (job !== undefined) break;
    const controller = new AbortController();
    await assert.rejects(async () => {
      for await (const _ of server.client().map(endless(), { concurrency: 2, signal: controller.signal }))
        controller.abort(new Error("enough"));
    }, /enough/);
    assert.equal(released, 2);
  });
});
