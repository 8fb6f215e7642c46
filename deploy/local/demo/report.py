"""The demo's table: states, attempts and latencies."""

from __future__ import annotations

import statistics
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

from deploy.local.console import table
from deploy.local.demo.checks import PRIORITIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deploy.local.demo.client import Job


def by_priority(jobs: Sequence[Job]) -> list[tuple[str, list[Job]]]:
    """The jobs, parted by their priority."""
    return [(priority, [job for job in jobs if job.get("priority") == priority]) for priority in PRIORITIES]


def summary(groups: Sequence[tuple[str, list[Job]]]) -> str:
    """A row for each group of jobs."""
    rows: list[tuple[str, ...]] = []
    for kind, jobs in groups:
        states = Counter(str(job["state"]) for job in jobs)
        attempts = sorted({int(job.get("attempt", 0)) for job in jobs})
        latencies = [_latency_ms(job) for job in jobs if "finishedAt" in job]
        shown = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        rows.append((kind, str(len(jobs)), shown, "-".join(map(str, attempts)), *_percentiles(latencies)))
    return table(("jobs", "count", "states", "attempts", "p50 ms", "p95 ms"), rows)


def _latency_ms(job: Job) -> float:
    created, finished = (datetime.fromisoformat(job[name]) for name in ("createdAt", "finishedAt"))
    return (finished - created).total_seconds() * 1000


def _percentiles(latencies: Sequence[float]) -> tuple[str, str]:
    if not latencies:
        return "-", "-"
    cuts = statistics.quantiles(
        [*latencies, *latencies], n=20, method="inclusive"
    )  # twice, so that one value is enough
    return f"{cuts[9]:.0f}", f"{cuts[18]:.0f}"
