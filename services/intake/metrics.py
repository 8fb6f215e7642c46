"""Intake's figures."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

#: Messages or events handled at once.
_GROUP_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256)

#: `accepted`, `replayed`, or the reason of the error.
SUBMITS = Counter("penstock_intake_submits", "Submits, by how they came out.", ("outcome",))
PUBLISH_GROUP_JOBS = Histogram(
    "penstock_intake_publish_group_jobs", "Jobs that went to disk together.", buckets=_GROUP_BUCKETS
)
PROJECTION_BATCH_EVENTS = Histogram(
    "penstock_intake_projection_batch_events", "Events applied to the hot view at once.", buckets=_GROUP_BUCKETS
)
MALFORMED_EVENTS = Counter("penstock_intake_malformed_events", "Messages of the log that could not be understood.")
WAITERS = Gauge("penstock_intake_waiters", "Callers that wait for a job's end or next event on this replica.")
