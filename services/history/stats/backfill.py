"""Marks what a version before this one has written, so that it is counted like the rest.

It knew no marks. Each job is looked at in the order of the ids; what is neither marked nor counted is marked, so that a
page, or all of it, may be done again. A second pass finds what replicas of that version have written beside this one.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from services.history.jobs import documents as jobs
from services.history.jobs.domain import Mark
from services.history.stats.domain import LOOK_BACK
from shared import mongo, observability
from shared.mongo import translated

if TYPE_CHECKING:
    from shared.clock import Clock
    from shared.mongo import Client, Document

log = observability.logger()

COLLECTION = "upgrades"
#: From the first pass to the second: by then no replica of the version before runs.
SECOND_AFTER = timedelta(hours=1)
_ID = "uncounted"
_PASSES = 2
_PAGE = 2000
_ENDED = ("SUCCEEDED", "FAILED", "OUTCOME_UNKNOWN", "CANCELED", "EXPIRED")


class Backfill:
    """Marks the jobs of before, a page at a time; where it is stands in the collection `upgrades`.

    Args:
        client: Connected; its writes are acknowledged by a majority.
        clock: The time.
        second_after: From the first pass to the second.
    """

    def __init__(self, client: Client, *, clock: Clock, second_after: timedelta = SECOND_AFTER) -> None:
        database = mongo.database(client, jobs.DATABASE)
        self._jobs = database.get_collection(jobs.COLLECTION)
        self._upgrades = database.get_collection(COLLECTION)
        self._clock = clock
        self._second_after = second_after
        self._next_at = 0.0

    async def step(self) -> bool:
        """Marks a page, and answers whether there is another by now. To be called by one replica at a time.

        Raises:
            Unavailable: MongoDB is away; the page is done again.
        """
        if time.monotonic() < self._next_at:
            return False
        async with translated():
            at: Document = await self._upgrades.find_one({"_id": _ID}) or {"passes": 0, "after": "", "due_at": _NEVER}
        now = self._clock.now()
        if at["passes"] >= _PASSES or at["due_at"] > now:
            self._next_at = time.monotonic() + self._second_after.total_seconds() / 10
            return False
        last = await self._mark_page(at["after"], now=now)
        if last is None:
            log.info("earlier_jobs_marked", passes=at["passes"] + 1)
            at = {"passes": at["passes"] + 1, "after": "", "due_at": now + self._second_after}
        else:
            at = {**at, "after": last}
        at.pop("_id", None)
        async with translated():
            await self._upgrades.update_one({"_id": _ID}, {"$set": at}, upsert=True)
        return True

    async def _mark_page(self, after: str, *, now: datetime) -> str | None:
        """Marks what follows in the order of the ids, and answers with the last; None where nothing follows."""
        async with translated():
            page = (
                await self._jobs.find({"_id": {"$gt": after}}, projection=["_id"], hint="_id_")
                .sort("_id")
                .limit(_PAGE)
                .to_list()
            )
        if not page:
            return None
        last: str = page[-1]["_id"]
        these: Document = {"_id": {"$gt": after, "$lte": last}, "created_at": {"$gte": now - LOOK_BACK}}
        for mark, also in ((Mark.SUBMISSION, {}), (Mark.END, {"state": {"$in": _ENDED}})):
            wanted = {**these, **also, "uncounted": {"$ne": mark}, "counted": {"$ne": mark}}
            async with translated():
                await self._jobs.update_many(wanted, {"$addToSet": {"uncounted": mark}}, hint="_id_")
        return last


_NEVER = datetime.fromtimestamp(0, UTC)
