"""The figures of the counting itself."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

COUNTED = Counter("penstock_history_counted_jobs", "Submissions and ends of jobs counted for statistics.", ("what",))
UNCOUNTED_AGE_SECONDS = Gauge(
    "penstock_history_uncounted_age_seconds",
    "How long ago that was accepted, or ended, which is not counted for statistics and has waited for longest.",
)
CONFLICTS = Counter(
    "penstock_history_tally_conflicts",
    "Batches that were not counted because one of their jobs moved on meanwhile; they are counted in smaller ones.",
)
