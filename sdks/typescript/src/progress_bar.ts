/** A bar on a terminal that shows how far something is. */

import type { Progress } from "./progress.js";

/** How often it is drawn at most. */
const EVERY_MS = 100;
const WIDTH = 30;
const MIB = 1 << 20;

/** As much of a terminal as the bar needs; `process.stderr` is one. */
export interface Terminal {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** What is to be told of progress, and draws it where there is a terminal; elsewhere it does nothing. */
export function progressBar(to: Terminal = process.stderr): (progress: Progress) => void {
  let drawnAt = -Infinity;
  return (progress) => {
    const { done, total } = progress;
    const last = done === total;
    if (to.isTTY !== true || (!last && performance.now() - drawnAt < EVERY_MS)) return;
    drawnAt = performance.now();
    to.write(`\r${line(progress)}\x1b[K${last ? "\n" : ""}`);
  };
}

function line({ unit, done, total, failed }: Progress): string {
  const shown = (count: number): string => (unit === "bytes" ? `${(count / MIB).toFixed(1)}` : String(count));
  const of = total === undefined ? "" : `/${shown(total)}`;
  const share = total === undefined || total === 0 ? 0 : Math.min(1, done / total);
  const filled = Math.round(share * WIDTH);
  const bar = total === undefined ? "" : `${"█".repeat(filled)}${"░".repeat(WIDTH - filled)} `;
  const sum = `${shown(done)}${of} ${unit === "bytes" ? "MiB" : "jobs"}`;
  return `${bar}${sum}${failed > 0 ? `, ${failed} failed` : ""}`;
}
