import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError, NoAnswer, UnexpectedAnswer, type CallFailed } from "../../dist/errors.js";
import type { Repeat } from "../../dist/operation.js";
import { mayRepeat, pauseS, retrying, Tries, type Patience } from "../../dist/retrying.js";

const ASKED = { verb: "POST", url: "http://penstock.example/" };
const PACE = { firstPauseS: 0.001, longestPauseS: 0.002, quietS: 1 };

function refusal(status: number, reason = "X", retryAfterS = 0): ApiError {
  return new ApiError({
    reason,
    message: reason,
    status,
    violations: [],
    metadata: {},
    helpUrl: "",
    retryAfterS,
    requestId: "",
  });
}

function page(status: number): UnexpectedAnswer {
  return new UnexpectedAnswer(ASKED, { status, contentType: "text/html", beginning: "", retryAfterS: 0 });
}

function patience(given: Partial<Patience> = {}): Patience {
  return { repeat: "ALWAYS", retryForS: 60, pace: PACE, signal: undefined, unless: undefined, ...given };
}

test("what may be repeated is repeated, and what may have been done once only where it is safe", () => {
  const unsure = new NoAnswer(ASKED, "broke", { maybeDone: true });
  const never = new NoAnswer(ASKED, "refused", { maybeDone: false });
  const cases: [CallFailed, Repeat[]][] = [
    [never, ["ALWAYS", "KEYED", "REFUSED_ONLY"]],
    [unsure, ["ALWAYS", "KEYED"]],
    [refusal(429, "RATE_LIMITED"), ["ALWAYS", "KEYED", "REFUSED_ONLY"]],
    [refusal(503, "QUEUE_FULL"), ["ALWAYS", "KEYED", "REFUSED_ONLY"]],
    [refusal(409, "IDEMPOTENCY_KEY_IN_FLIGHT"), ["ALWAYS", "KEYED", "REFUSED_ONLY"]],
    [refusal(503, "UNAVAILABLE"), ["ALWAYS", "KEYED"]],
    [refusal(500, "INTERNAL"), ["ALWAYS", "KEYED"]],
    [refusal(504, "DEADLINE_EXCEEDED"), ["ALWAYS", "KEYED"]],
    [refusal(409, "TENANT_EXISTS"), []],
    [refusal(404, "JOB_NOT_FOUND"), []],
    [refusal(400, "INVALID_ARGUMENT"), []],
    [page(429), ["ALWAYS", "KEYED", "REFUSED_ONLY"]],
    [page(502), ["ALWAYS", "KEYED"]],
    [page(200), []],
  ];
  for (const [error, repeats] of cases) {
    const may = (["ALWAYS", "KEYED", "REFUSED_ONLY"] as const).filter((repeat) => mayRepeat(error, repeat));
    assert.deepEqual(may, repeats, error.message);
  }
});

test("pauses grow to the longest, by chance, and are never shorter than the answer asks for", () => {
  const pace = { firstPauseS: 0.25, longestPauseS: 20, quietS: 20 };
  for (const [tries, ceiling] of [
    [1, 0.25],
    [2, 0.5],
    [5, 4],
    [9, 20],
    [2000, 20],
  ] as const) {
    const pauses = Array.from({ length: 200 }, () => pauseS(tries, pace));
    assert(pauses.every((pause) => pause >= 0 && pause <= ceiling));
    assert(Math.max(...pauses) > ceiling / 2);
  }
  assert.equal(pauseS(1, pace, 7), 7);
});

test("an error tells how many tries were made, and no try begins later than it should", async () => {
  let made = 0;
  const failing = (retryAfterS: number) => async (): Promise<never> => {
    made += 1;
    throw refusal(503, "UNAVAILABLE", made < 3 ? 0 : retryAfterS);
  };
  await assert.rejects(retrying(failing(61), new Tries(patience())), (error: ApiError) => {
    assert.equal(error.tries, 3);
    return /\(3 tries in \d+\.\d s\)$/.test(error.message);
  });
  assert.equal(made, 3);
});

test("a caller ends the pauses, and asks for some failures at once", async () => {
  const controller = new AbortController();
  const asked = retrying(
    () => Promise.reject(refusal(429, "RATE_LIMITED", 50)),
    new Tries(patience({ signal: controller.signal })),
  );
  controller.abort(new Error("enough"));
  await assert.rejects(asked, /enough/);
  const unless = (error: CallFailed): boolean => error.retryAfterS === 50;
  await assert.rejects(
    retrying(() => Promise.reject(refusal(429, "RATE_LIMITED", 50)), new Tries(patience({ unless }))),
    { tries: 1 },
  );
});
