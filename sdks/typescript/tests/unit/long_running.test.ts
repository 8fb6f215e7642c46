import assert from "node:assert/strict";
import { test } from "node:test";

import { OperationNotFound, WaitTimeout } from "../../dist/node.js";
import { hang, json, refuse, reset, withServer } from "./faulty_server.js";

const NAME = "operations/op_1";
const DONE = { name: NAME, done: true, response: { "@type": "x", succeeded: "2" } };

test("an operation is asked for until it is done, over whatever breaks", async () => {
  await withServer([json({ name: NAME }), reset, refuse(503, "UNAVAILABLE"), json(DONE)], async (server) => {
    assert.deepEqual(await server.client().operations.wait(NAME), DONE);
    assert.deepEqual(
      new Set(server.seen.map(({ path }) => path.split("?")[0])),
      new Set(["/api/v1/operations/op_1:wait"]),
    );
    assert.equal(server.seen.length, 4);
  });
});

test("an operation is waited for no longer than it may be, and not where there is none", async () => {
  await withServer([hang], async (server) => {
    await assert.rejects(server.client().operations.wait(NAME, { timeoutS: 0.2 }), WaitTimeout);
  });
  await withServer([refuse(404, "OPERATION_NOT_FOUND")], async (server) => {
    await assert.rejects(server.client().operations.wait(NAME), OperationNotFound);
    assert.equal(server.seen.length, 1);
  });
});
