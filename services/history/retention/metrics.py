"""The figures of what is kept, and for how long."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

DELETED = Counter(
    "penstock_history_deleted_jobs", "Jobs deleted because they had had their time, by whether archived.", ("archived",)
)
ARCHIVED = Counter("penstock_history_archived_jobs", "Jobs written to the archive.")
ARCHIVED_BYTES = Counter("penstock_history_archived_bytes", "Bytes of the parts that they were written in, compressed.")
REMOVED_PARTS = Counter("penstock_history_removed_archive_parts", "Parts of archives removed after their time.")
DELAYED = Counter(
    "penstock_history_delayed_sweeps", "Sweeps that left what had had its time, by what was away.", ("dependency",)
)
OLDEST_DUE_SECONDS = Gauge(
    "penstock_history_oldest_due_seconds",
    "For how long the job has had its time that has had it longest and is still there, after a sweep of this replica.",
)
