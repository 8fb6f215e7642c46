"""History's figures."""

from __future__ import annotations

from prometheus_client import Gauge

LAG_MESSAGES = Gauge(
    "penstock_history_lag_messages", "Events of the log that history has not applied yet, as this replica saw it last."
)
LAG_SECONDS = Gauge(
    "penstock_history_lag_seconds", "Age of the oldest event that history has not applied yet; 0 where it has all."
)
