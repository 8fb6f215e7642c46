"""Counts what history shows of some tenants' jobs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pymongo import MongoClient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deploy.local.layout import Layout

_POLL_S = 0.1
_TERMINAL = ("SUCCEEDED", "FAILED", "OUTCOME_UNKNOWN", "CANCELED", "EXPIRED")


class Census:
    """History's own collection, counted by its index, so that looking costs next to nothing.

    Args:
        layout: Of the mesh.
        tenants: Whose jobs.
    """

    def __init__(self, layout: Layout, tenants: Sequence[str]) -> None:
        client: MongoClient[Any] = MongoClient(layout.mongo_url)
        self._jobs = client.get_database("history").get_collection("jobs")
        self._tenants = tenants

    def ids(self) -> list[str]:
        """Every job's id."""
        return [job["_id"] for job in self._jobs.find({"tenant": {"$in": list(self._tenants)}}, {"_id": 1})]

    def ended(self) -> int:
        """Jobs in a terminal state."""
        return sum(
            self._jobs.count_documents({"tenant": tenant, "state": {"$in": _TERMINAL}}) for tenant in self._tenants
        )

    def succeeded(self) -> int:
        """Those that succeeded."""
        return sum(self._jobs.count_documents({"tenant": tenant, "state": "SUCCEEDED"}) for tenant in self._tenants)

    def wait_for(self, jobs: int, *, timeout_s: float) -> float:
        """Waits until so many have ended; answers with when, by `time.perf_counter()`.

        Raises:
            RuntimeError: They did not in time.
        """
        until = time.perf_counter() + timeout_s
        while (ended := self.ended()) < jobs:
            if time.perf_counter() > until:
                raise RuntimeError(f"of {jobs} jobs {ended} have ended after {timeout_s:.0f} s")
            time.sleep(_POLL_S)
        return time.perf_counter()
