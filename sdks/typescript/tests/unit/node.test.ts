import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { NotConfigured, progressBar } from "../../dist/node.js";
import { accessOf } from "../../dist/profiles.js";

const KEPT = {
  current: "work",
  profiles: {
    work: { url: "https://penstock.example", apiKey: "psk_work", signRequests: true },
    home: { url: "https://home.example/", apiKey: "psk_home", signRequests: false },
  },
};

async function withProfiles(text: string | undefined, use: (home: string) => void): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), "penstock-"));
  try {
    await mkdir(join(home, "penstock"));
    if (text !== undefined) await writeFile(join(home, "penstock", "profiles.json"), text);
    use(home);
  } finally {
    await rm(home, { recursive: true });
  }
}

test("a client goes by its arguments, else the environment, else what was logged in to", async () => {
  await withProfiles(JSON.stringify(KEPT), (home) => {
    const environment = { XDG_CONFIG_HOME: home, PENSTOCK_URL: "http://env.example", PENSTOCK_API_KEY: "psk_env" };
    const kept = { XDG_CONFIG_HOME: home };
    const access = (options: object, from: Record<string, string>): unknown[] => {
      const { url, apiKey, signRequests } = accessOf(options, from);
      return [url, apiKey, signRequests];
    };
    assert.deepEqual(access({ url: "http://x", apiKey: "psk_x" }, environment), ["http://x", "psk_x", undefined]);
    assert.deepEqual(access({}, environment), ["http://env.example", "psk_env", undefined]);
    assert.deepEqual(access({}, kept), ["https://penstock.example", "psk_work", true]);
    assert.deepEqual(access({ signRequests: false }, kept), ["https://penstock.example", "psk_work", false]);
    assert.deepEqual(access({ profile: "home" }, environment), ["https://home.example", "psk_home", false]);
    assert.deepEqual(access({}, { ...kept, PENSTOCK_PROFILE: "home" }), ["https://home.example", "psk_home", false]);
    assert.throws(() => accessOf({ profile: "none" }, kept), /no profile "none"; there are home, work/);
    // A key goes to its own URL alone.
    const elsewhere = { url: "https://elsewhere.example" };
    assert.throws(() => accessOf(elsewhere, kept), /no API key for https:\/\/elsewhere.example/);
  });
});

test("what is missing or broken is said, without the key", async () => {
  await withProfiles(undefined, (home) => {
    assert.throws(() => accessOf({}, { XDG_CONFIG_HOME: home }), /no URL of a Penstock is known: .*penstock login/);
    assert.throws(() => accessOf({ url: "http://x" }, { XDG_CONFIG_HOME: home }), /no API key is known/);
  });
  for (const broken of ["{", '{"profiles": {"work": {"apiKey": "psk_work"}}}', "[]"]) {
    await withProfiles(broken, (home) => {
      assert.throws(
        () => accessOf({}, { XDG_CONFIG_HOME: home }),
        (error) => error instanceof NotConfigured && !error.message.includes("psk_work"),
      );
    });
  }
});

test("a bar is drawn on a terminal alone, and is whole at the end", () => {
  const drawn: string[] = [];
  const to = { isTTY: true, write: (text: string) => drawn.push(text) };
  const bar = progressBar(to);
  for (const done of [1, 2, 4]) bar({ unit: "jobs", done, total: 4, failed: done > 1 ? 1 : 0 });
  assert.deepEqual(drawn, [
    `\r${"█".repeat(8)}${"░".repeat(22)} 1/4 jobs\x1b[K`,
    `\r${"█".repeat(30)} 4/4 jobs, 1 failed\x1b[K\n`,
  ]);
  progressBar({ ...to, isTTY: false })({ unit: "bytes", done: 1, total: undefined, failed: 0 });
  assert.equal(drawn.length, 2);
});
