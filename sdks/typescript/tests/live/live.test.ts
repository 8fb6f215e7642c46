/**
 * Before a whole mesh, or a faulty gateway before it: nothing is submitted twice, nothing is lost. What the far end was
 * asked and what history has is checked by who runs this.
 */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { InvalidArgument, JobNotFound, Penstock, type JobRequest, type Params } from "../../dist/node.js";

const { PENSTOCK_LIVE_RUN: run = "typescript", PENSTOCK_LIVE_FAR_END: farEnd = "https://example.com/typescript" } =
  process.env;
const skip = process.env["PENSTOCK_URL"] === undefined ? "PENSTOCK_URL is not set" : false;
const MAPPED = 100;

let numbers = 0;

/** A job that nobody else makes. */
function job(): JobRequest & { params: Params } {
  const n = numbers++;
  return { upstream: "http", method: "http.get", params: { url: `${farEnd}/${n}` }, metadata: { run, n: String(n) } };
}

function client(options = {}): Penstock {
  return new Penstock({ timeoutS: 2, retryForS: 60, ...options });
}

for (const signRequests of [false, true]) {
  test(
    `a job is run, ${signRequests ? "signed" : "by its key"}, and submitted once however often it is`,
    { skip },
    async () => {
      const penstock = client({ signRequests });
      const { upstream, method, params, metadata = {} } = job();
      const options = { metadata, idempotencyKey: `${run}-${signRequests}`, timeoutS: 120 };
      const done = await penstock.jobs.run(upstream, method, params, options);
      const again = await penstock.jobs.submit(upstream, method, params, {
        metadata,
        idempotencyKey: options.idempotencyKey,
      });
      assert.deepEqual([done.state, again.id], ["SUCCEEDED", done.id]);
      const result = await penstock.jobs.result(done.id ?? "");
      assert(result.bytes.length > 0);
      assert.equal(result.contentType, done.result?.contentType);
      await assert.rejects(penstock.jobs.get("http-0198c6f2-6d3c-7abc-8def-0123456789ab"), JobNotFound);
    },
  );
}

test("a job is watched to its end, in the order of its revisions", { skip }, async () => {
  const penstock = client();
  const { upstream, method, params, ...options } = job();
  const { id = "" } = await penstock.jobs.submit(upstream, method, params, options);
  const revisions: number[] = [];
  let state: string | undefined;
  for await (const each of penstock.jobs.watch(id)) {
    revisions.push(Number(each.revision));
    ({ state } = each);
  }
  assert.equal(state, "SUCCEEDED");
  assert.deepEqual(
    revisions,
    [...new Set(revisions)].sort((one, other) => one - other),
  );
});

test(
  "jobs that are mapped twice under one name are the same jobs, the faulty one told of by itself",
  { skip },
  async () => {
    const penstock = client();
    const requests: JobRequest[] = Array.from({ length: MAPPED }, job);
    requests.push({ upstream: "http", method: "http.get", params: { url: "no URL" } });
    const ids: string[][] = [];
    for (const results of [true, false]) {
      const found: string[] = [];
      for await (const { index, job: ended, error } of penstock.map(requests, {
        name: `${run}-map`,
        concurrency: 20,
        results,
      })) {
        if (index === MAPPED) assert(error instanceof InvalidArgument);
        else assert.equal(error, undefined);
        if (results && ended !== undefined) assert(ended.result?.inline !== undefined);
        found[index] = ended?.id ?? "refused";
      }
      ids.push(found);
    }
    assert.deepEqual(ids[0], ids[1]);
    assert.equal(new Set(ids[0]).size, MAPPED + 1);
  },
);

test("a batch is submitted once and waited for", { skip }, async () => {
  const penstock = client();
  const batch = await penstock.batches.submit([job(), job()], { idempotencyKey: `${run}-batch` });
  const ended = await penstock.batches.wait(batch.id ?? "", { timeoutS: 120 });
  assert.equal(ended.counts?.succeeded, 2);
});

test("bytes go up, and come down by a link that is gone on with", { skip }, async () => {
  const penstock = client({ timeoutS: 5 });
  const bytes = randomBytes(400_000);
  const upload = await penstock.uploads.upload(new Blob([bytes], { type: "image/png" }));
  assert.deepEqual([upload.state, upload.size, upload.contentType], ["READY", "400000", "image/png"]);
  assert.equal((await penstock.uploads.upload(bytes, { uploadId: upload.id })).state, "READY");
});

test("a large result is written to a file, whole", { skip }, async () => {
  const penstock = client({ timeoutS: 5 });
  const { id = "", result } = await penstock.jobs.run(
    "http",
    "http.get",
    { url: "https://images.example/photo.jpg" },
    { timeoutS: 120 },
  );
  const folder = await mkdtemp(join(tmpdir(), "penstock-"));
  try {
    const path = await penstock.jobs.download(id, join(folder, "photo.jpg"));
    const written = await readFile(path);
    assert(result?.url !== undefined && written.length === Number(result.size));
    const { stream } = await penstock.jobs.openResult(id);
    assert(written.equals(Buffer.from(await new Response(stream).arrayBuffer())));
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("lists and exports have all of the run's jobs", { skip }, async () => {
  const penstock = client();
  const ids = async (
    jobs: AsyncIterable<{ id?: string; metadata?: Record<string, string> }>,
  ): Promise<Set<string | undefined>> => {
    const found = new Set<string | undefined>();
    for await (const each of jobs) if (each.metadata?.["run"] === run) found.add(each.id);
    return found;
  };
  const deadline = Date.now() + 30_000; // history follows within a moment
  let listed = await ids(penstock.jobs.list({ pageSize: 30 }));
  while (listed.size < numbers && Date.now() < deadline) listed = await ids(penstock.jobs.list({ pageSize: 30 }));
  assert.equal(listed.size, numbers);
  assert.deepEqual(await ids(penstock.jobs.export()), listed);
});
