"""The figures of operations."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

ENDED = Counter("penstock_history_ended_operations", "Operations that ended, by kind and state.", ("kind", "state"))
TURN_SECONDS = Histogram(
    "penstock_history_operation_turn_duration_seconds",
    "Time that a turn of an operation took.",
    ("kind",),
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
)
FAILED_TURNS = Counter(
    "penstock_history_failed_operation_turns", "Turns of operations that came to nothing, by kind.", ("kind",)
)
WAITERS = Gauge("penstock_history_operation_waiters", "Calls that wait for an operation's end on this replica.")
