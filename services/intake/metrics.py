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
BATCHES_FINISHED = Counter(
    "penstock_intake_batches_finished", "Batches whose end was told; one is counted again where it was told again."
)
MALFORMED_EVENTS = Counter("penstock_intake_malformed_events", "Messages of the log that could not be understood.")
WAITERS = Gauge("penstock_intake_waiters", "Callers that wait for a job's end or next event on this replica.")
UNFINISHED_JOBS = Gauge(
    "penstock_intake_unfinished_jobs", "Unfinished jobs of all tenants, as this replica saw it last."
)
HOT_VIEW_BYTES = Gauge(
    "penstock_intake_hot_view_bytes", "What the records of all tenants' ended jobs take, as this replica saw it last."
)
EVICTED_JOBS = Counter(
    "penstock_intake_evicted_jobs", "Jobs whose records went before their time, so that the hot view kept to its bound."
)
REBUILDING = Gauge("penstock_intake_rebuilding", "1 while what Redis has lost is rebuilt, by this replica or another.")
REBUILT_EVENTS = Counter("penstock_intake_rebuilt_events", "Events of the log that were applied again in rebuilds.")
REBUILD_SECONDS = Histogram(
    "penstock_intake_rebuild_seconds",
    "How long the rebuilds took that this replica finished.",
    buckets=(0.1, 0.5, 1, 5, 15, 60, 300, 1800),
)
