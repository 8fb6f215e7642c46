import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { InvalidUse, PenstockError, ResultNotFound, UploadBroken, type Progress } from "../../dist/node.js";
import {
  breaking,
  json,
  refuse,
  reset,
  withServer,
  type FaultyServer,
  type Handler,
  type Seen,
} from "./faulty_server.js";

const BYTES = randomBytes(100_000);

/** Answers as RFC 9110 has it. */
function result(etag: string): Handler {
  return ({ headers }, response) => {
    const asked =
      headers["if-range"] === undefined || headers["if-range"] === etag
        ? /^bytes=(\d+)-$/.exec(String(headers.range))
        : null;
    const first = Number(asked?.[1] ?? 0);
    const sent = BYTES.subarray(first);
    const range = asked === null ? {} : { "Content-Range": `bytes ${first}-${BYTES.length - 1}/${BYTES.length}` };
    response.writeHead(asked === null ? 200 : 206, {
      "Content-Type": "image/png",
      "Content-Length": sent.length,
      ETag: etag,
      ...range,
    });
    response.end(sent);
  };
}

function ranges(server: FaultyServer): (string | undefined)[] {
  return server.seen.map(({ headers }) => headers.range);
}

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "penstock-"));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("a result that breaks off is gone on with, and is whole", async () => {
  await withServer([result('"a"'), reset, result('"a"')], async (server) => {
    const found = await server.client({ fetch: breaking(40_000) }).jobs.result("http-1");
    assert(BYTES.equals(found.bytes));
    assert.deepEqual([found.contentType, found.etag], ["image/png", '"a"']);
    assert.deepEqual(ranges(server), [undefined, "bytes=40000-", "bytes=40000-"]);
  });
  await withServer([refuse(404, "RESULT_NOT_FOUND")], async (server) => {
    await assert.rejects(server.client().jobs.result("http-1"), ResultNotFound);
  });
  await withServer([json({ answer: 42 }, 200, { ETag: '"j"' })], async (server) => {
    assert.deepEqual((await server.client().jobs.result("http-1")).json<{ answer: number }>(), { answer: 42 });
  });
});

test("a large result is behind a link, which gets neither key nor signature", async () => {
  const link: Handler = (_, response) =>
    void response.writeHead(302, { Location: "/store/object?X-Signature=s" }).end();
  await withServer([link, result('"s3"'), link, result('"s3"')], async (server) => {
    assert(BYTES.equals((await server.client({ fetch: breaking(40_000) }).jobs.result("http-1")).bytes));
    const links = server.seen.filter(({ path }) => path === "/store/object");
    assert.equal(links.length, 2);
    assert(links.every(({ headers }) => headers.authorization === undefined && headers["signature"] === undefined));
    assert.equal(links[1]?.headers.range, "bytes=40000-");
  });
});

test("a stream has the bytes of one result, none twice", async () => {
  await withServer([result('"a"'), result('"a"')], async (server) => {
    const opened = await server.client({ fetch: breaking(40_000) }).jobs.openResult("http-1");
    assert.deepEqual([opened.size, opened.contentType, opened.etag], [BYTES.length, "image/png", '"a"']);
    assert(BYTES.equals(Buffer.from(await new Response(opened.stream).arrayBuffer())));
  });
  await withServer([result('"a"'), result('"b"')], async (server) => {
    const { stream } = await server.client({ fetch: breaking(40_000) }).jobs.openResult("http-1");
    await assert.rejects(new Response(stream).arrayBuffer(), PenstockError);
  });
});

test("a download goes on where another process has left it", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "photo.png");
    await withServer([result('"a"'), refuse(403, "TENANT_SUSPENDED")], async (server) => {
      const penstock = server.client({ fetch: breaking(40_000) });
      await assert.rejects(penstock.jobs.download("http-1", path), /TENANT_SUSPENDED/);
    });
    assert.deepEqual((await readdir(folder)).sort(), ["photo.png.part", "photo.png.part.of"]);
    await withServer([result('"a"')], async (server) => {
      const told: Progress[] = [];
      assert.equal(
        await server.client().jobs.download("http-1", path, { onProgress: (each) => told.push(each) }),
        path,
      );
      assert.deepEqual(ranges(server), ["bytes=40000-"]);
      assert.deepEqual(told.at(-1), { unit: "bytes", done: BYTES.length, total: BYTES.length, failed: 0 });
    });
    assert(BYTES.equals(await readFile(path)));
    assert.deepEqual(await readdir(folder), ["photo.png"]);
  });
});

test("what is left of another result is not gone on with", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "photo.png");
    for (const told of [{ jobId: "http-1", etag: '"old"' }, { jobId: "http-2", etag: '"a"' }, "broken"]) {
      await writeFile(`${path}.part`, "x".repeat(200_000));
      await writeFile(`${path}.part.of`, JSON.stringify(told).replace('"broken"', "{"));
      await withServer([result('"a"')], async (server) => {
        await server.client().jobs.download("http-1", path);
        assert(BYTES.equals(await readFile(path)), JSON.stringify(told));
      });
    }
    await withServer([result('"a"')], async (server) => {
      await assert.rejects(server.client().jobs.download("http-1", folder), InvalidUse);
      await assert.rejects(server.client().jobs.download("http-1", join(folder, "none", "photo.png")), InvalidUse);
    });
  });
});

/** The calls of an upload; what is PUT is answered by `puts` in turn. */
function store(bytes: Uint8Array, puts: Handler[]): Handler {
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  let stored = false;
  return async (seen, response) => {
    const url = `http://${seen.headers.host}/store?X-Signature=s${puts.length}`;
    const pending = {
      id: "upl_1",
      state: "PENDING",
      size: String(bytes.length),
      sha256,
      put: { url, headers: { "x-amz-meta": "1" } },
    };
    if (seen.path === "/store") {
      const handler = puts.shift();
      if (handler === undefined) stored = true;
      return await (handler ?? json({}))(seen, response);
    }
    if (!seen.path.endsWith(":complete")) return await json(pending)(seen, response);
    await (stored ? json({ ...pending, state: "READY", put: undefined }) : refuse(400, "UPLOAD_INCOMPLETE"))(
      seen,
      response,
    );
  };
}

function putsOf(server: FaultyServer): Seen[] {
  return server.seen.filter(({ path }) => path === "/store");
}

test("an upload is sent until it is there, each time by a fresh link that gets no key", async () => {
  const expired: Handler = (_, response) =>
    void response.writeHead(403).end("<Error><Code>AccessDenied</Code></Error>");
  await withServer([store(BYTES, [reset, expired])], async (server) => {
    const upload = await server.client().uploads.upload(new Blob([BYTES], { type: "image/png" }));
    assert.equal(upload.state, "READY");
    const puts = putsOf(server);
    assert.deepEqual(
      puts.map(({ query }) => query.get("X-Signature")),
      ["s2", "s1", "s0"],
    );
    assert(puts.every(({ headers }) => headers.authorization === undefined && headers["x-amz-meta"] === "1"));
    assert.deepEqual(
      puts.map(({ headers }) => headers["content-length"]),
      Array(3).fill(String(BYTES.length)),
    );
    const [created] = server.seen;
    assert.deepEqual([created?.body["contentType"], created?.body["size"]], ["image/png", String(BYTES.length)]);
  });
});

test("an upload from a file goes on with one that was begun, and only with the same content", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "photo.png");
    await writeFile(path, BYTES);
    await withServer([store(BYTES, [])], async (server) => {
      const penstock = server.client();
      assert.equal((await penstock.uploads.upload(path, { uploadId: "upl_1" })).state, "READY");
      assert.equal(putsOf(server).length, 1);
      await assert.rejects(
        penstock.uploads.upload(new Uint8Array([1]), { uploadId: "upl_1" }),
        /upl_1 is of 100000 bytes/,
      );
      await assert.rejects(penstock.uploads.upload(new Uint8Array(0)), InvalidUse);
      assert.equal(putsOf(server).length, 1);
    });
  });
});

test("an upload that cannot be sent tells how to go on with it, without the link's secret", async () => {
  await withServer([store(BYTES, Array<Handler>(50).fill(reset))], async (server) => {
    const upload = server.client({ retryForS: 0.02 }).uploads.upload(new Response(BYTES).body ?? assert.fail());
    await assert.rejects(upload, (error: UploadBroken) => {
      return error instanceof UploadBroken && error.uploadId === "upl_1" && !error.message.includes("X-Signature");
    });
  });
});
