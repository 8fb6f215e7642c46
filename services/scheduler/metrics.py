"""The scheduler's metrics."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

LEASES = Counter("penstock_scheduler_leases", "Leases given to workers.", ("upstream",))
LOST_LEASES = Counter("penstock_scheduler_lost_leases", "Leases that ran out.", ("upstream",))
OUTCOMES = Counter("penstock_scheduler_outcomes", "Outcomes of attempts, by what they came to.", ("upstream", "kind"))
EVENTS = Counter("penstock_scheduler_events", "Events published.", ("upstream", "type"))
ENQUEUED = Counter("penstock_scheduler_enqueued_jobs", "Jobs enqueued, redelivered ones not counted.", ("upstream",))
QUEUE_JOBS = Gauge(
    "penstock_scheduler_queue_jobs",
    "Jobs in the queue at the last sweep: ready to be leased, delayed, or leased.",
    ("upstream", "state"),
)
SCRIPT_SECONDS = Histogram(
    "penstock_scheduler_script_seconds",
    "Time until a script of the queue has answered, the way to Redis included.",
    ("script",),
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0),
)
