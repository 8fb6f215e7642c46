"""The webhooks service's figures."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from shared import observability

STORED = Counter("penstock_webhooks_stored_deliveries", "Deliveries stored, redelivered events not counted.")
SUBMISSIONS_GONE = Counter(
    "penstock_webhooks_submissions_gone", "Events dropped because the log of jobs has not their submission any more."
)
MALFORMED_EVENTS = Counter("penstock_webhooks_malformed_events", "Messages of the log that could not be understood.")
ATTEMPTS = Counter("penstock_webhooks_attempts", "Attempts that came out, by how they did.", ("reason",))
ATTEMPT_SECONDS = Histogram(
    "penstock_webhooks_attempt_duration_seconds",
    "Time until a receiver has answered, or has not.",
    buckets=observability.LATENCY_BUCKETS_S,
)
FINISHED = Counter("penstock_webhooks_finished_deliveries", "Deliveries that ended, by their state.", ("state",))
ATTEMPTS_AT_WORK = Gauge("penstock_webhooks_attempts_at_work", "Attempts that are being made: places in use.")
RETRIES = Counter("penstock_webhooks_retries", "Attempts that came out and were not the first of their delivery.")
EXHAUSTED = Counter(
    "penstock_webhooks_exhausted_deliveries",
    "Deliveries that have become dead letters, by how their last attempt came out.",
    ("reason",),
)
SKIPPED = Counter("penstock_webhooks_skipped_deliveries", "Deliveries skipped because their endpoint was disabled.")
DISABLED = Counter("penstock_webhooks_disabled_endpoints", "Endpoints disabled because of how they fared.", ("reason",))
RECEIVERS_HELD = Gauge("penstock_webhooks_receivers_held", "Receivers that this replica works.")
OLDEST_DUE_SECONDS = Gauge(
    "penstock_webhooks_oldest_due_seconds",
    "How long the receiver has been due that nobody has taken for longest: the age of the queue.",
)
REPLAYED = Counter(
    "penstock_webhooks_replayed_deliveries",
    "Deliveries put back to be made again, one by one or many at a time.",
    ("by",),
)
DELETED = Counter("penstock_webhooks_deleted_deliveries", "Deliveries deleted because they had had their time.")
PASSED_OVER = Counter(
    "penstock_webhooks_passed_over_deliveries",
    "Deliveries that a replay has left as they were: gone, disabled, at work.",
)
