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
ATTEMPTS_AT_WORK = Gauge("penstock_webhooks_attempts_at_work", "Attempts that are being made.")
