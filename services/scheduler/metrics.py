"""The scheduler's metrics."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

LEASES = Counter("penstock_scheduler_leases", "Leases given to workers.", ("upstream",))
LOST_LEASES = Counter("penstock_scheduler_lost_leases", "Leases that ran out.", ("upstream",))
OUTCOMES = Counter("penstock_scheduler_outcomes", "Outcomes of attempts, by what they came to.", ("upstream", "kind"))
BREAKERS_OPENED = Counter("penstock_scheduler_breakers_opened", "Breakers that opened.", ("upstream", "cause"))
EVENTS = Counter("penstock_scheduler_events", "Events published.", ("upstream", "type"))
ENQUEUED = Counter("penstock_scheduler_enqueued_jobs", "Jobs enqueued, redelivered ones not counted.", ("upstream",))
QUEUE_JOBS = Gauge(
    "penstock_scheduler_queue_jobs",
    "Jobs in the queue at the last sweep: ready to be leased, delayed, or leased.",
    ("upstream", "state"),
)
RECOVERIES = Counter(
    "penstock_scheduler_recoveries", "Queues rebuilt from the log of jobs, by why it was begun.", ("upstream", "cause")
)
RECOVERY_SECONDS = Histogram(
    "penstock_scheduler_recovery_seconds",
    "How long a queue gave no leases because it was rebuilt.",
    buckets=(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0),
)
REPLAYED_EVENTS = Counter("penstock_scheduler_replayed_events", "Events replayed into queues.", ("upstream",))
EPOCH = Gauge("penstock_scheduler_epoch", "The epoch of a queue; it grows with every rebuild.", ("upstream",))
SCRIPT_SECONDS = Histogram(
    "penstock_scheduler_script_seconds",
    "Time until a script of the queue has answered, the way to Redis included.",
    ("script",),
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0),
)
