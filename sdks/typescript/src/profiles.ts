/**
 * Where Penstock is and by which key it is called: from arguments, the environment, or what `penstock login` has kept.
 */

import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

import { checkedUrl } from "./calls.js";
import type { PenstockOptions } from "./client.js";
import { NotConfigured } from "./errors.js";

const HOW = "give url and apiKey, set PENSTOCK_URL and PENSTOCK_API_KEY, or run `penstock login`";

interface Profile {
  readonly name: string;
  readonly url: string;
  readonly apiKey: string;
  readonly signRequests: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What a client goes by: its arguments, else PENSTOCK_URL and PENSTOCK_API_KEY, else the profile.
 *
 * A profile that is asked for by name stands before the environment. Its key goes to its own URL alone.
 */
export function accessOf<O extends PenstockOptions & { readonly profile?: string | undefined }>(
  options: O,
  environment: Environment = process.env,
): PenstockOptions {
  const named = options.profile ?? environment["PENSTOCK_PROFILE"];
  let { url, apiKey } = options;
  if (options.profile === undefined) {
    url ??= environment["PENSTOCK_URL"];
    apiKey ??= environment["PENSTOCK_API_KEY"];
  }
  if (url && apiKey && options.profile === undefined) return { ...options, url, apiKey };
  const kept = profileOf(named, environment);
  if (!url && kept === undefined) throw new NotConfigured(`no URL of a Penstock is known: ${HOW}`);
  const where = checkedUrl(url || (kept?.url ?? ""));
  if (!apiKey && kept !== undefined && where !== checkedUrl(kept.url)) {
    throw new NotConfigured(
      `no API key for ${where}: the profile ${JSON.stringify(kept.name)} has one for ${kept.url} alone; ` +
        `set PENSTOCK_API_KEY, or run \`penstock login --url ${where}\``,
    );
  }
  apiKey ||= kept?.apiKey;
  if (!apiKey) throw new NotConfigured(`no API key is known: ${HOW}`);
  return { ...options, url: where, apiKey, signRequests: options.signRequests ?? kept?.signRequests ?? false };
}

/** The profile of a name, else the one last logged in to; `undefined` where there is none. */
function profileOf(named: string | undefined, environment: Environment): Profile | undefined {
  const path = join(environment["XDG_CONFIG_HOME"] || join(homedir(), ".config"), "penstock", "profiles.json");
  const { current, profiles } = read(path);
  const kept = profiles.get(named || current);
  if (kept !== undefined || !named) return kept;
  const there = profiles.size > 0 ? `there are ${[...profiles.keys()].sort().join(", ")}` : "there are none";
  throw new NotConfigured(
    `no profile ${JSON.stringify(named)}; ${there}. \`penstock login --profile ${named}\` makes it`,
  );
}

function read(path: string): { current: string; profiles: ReadonlyMap<string, Profile> } {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT"; // nobody has logged in
    if (missing) return { current: "", profiles: new Map() };
    throw new NotConfigured(`${path} cannot be read; mend it, or remove it and run \`penstock login\``, {
      cause: error,
    });
  }
  try {
    const said = JSON.parse(text) as { current?: string; profiles: Record<string, Partial<Profile>> };
    const profiles = Object.entries(said.profiles).map(([name, { url, apiKey, signRequests = false }]) => {
      if (typeof url !== "string" || typeof apiKey !== "string") throw new TypeError(name);
      return [name, { name, url, apiKey, signRequests }] as const;
    });
    return { current: said.current ?? "", profiles: new Map(profiles) };
  } catch {
    // what is wrong with it could show the key that it holds
    throw new NotConfigured(
      `${path} does not hold what \`penstock login\` writes; mend it, or remove it and log in again`,
    );
  }
}
