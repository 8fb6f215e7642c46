"""Jobs of long ago, a sweep over them, and what its archive is read back to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.history.jobs.reading import entry_of
from services.history.jobs.store import MongoHistory
from services.history.leases import Leases
from services.history.retention import read
from services.history.retention.archive import Archive
from services.history.retention.domain import DAY, Change, OwnRetention, Retention
from services.history.retention.jobs import MongoDueStore
from services.history.retention.parts import MongoPartStore
from services.history.retention.retentions import Retentions
from services.history.retention.store import MongoRetentionStore
from services.history.retention.sweep import Sweep
from shared import ids, mongo

if TYPE_CHECKING:
    from shared.mongo import Client
    from shared.objects import Objects

#: A noon, so that hours before and after it are of the same day.
ENDED = datetime(2026, 3, 14, 12, tzinfo=UTC)
DAY_OF = ENDED.date()
DEFAULT = Retention()


@dataclass(slots=True)
class HandClock:
    """A clock that is put forward by hand."""

    time: datetime = ENDED

    def now(self) -> datetime:
        return self.time


@dataclass(kw_only=True)
class Shelf:
    """Everything that a sweep works on."""

    client: Client
    objects: Objects
    capture: pytest.CaptureFixture[str]
    clock: HandClock = field(default_factory=HandClock)

    def __post_init__(self) -> None:
        self.history = MongoHistory(self.client)
        self.parts, self.due = MongoPartStore(self.client), MongoDueStore(self.client)
        self.leases = Leases(self.client)
        self.retentions = Retentions(MongoRetentionStore(self.client), default=DEFAULT)
        self.jobs = mongo.database(self.client, "history").get_collection("jobs")

    def sweep(self, **parts: Any) -> Sweep:
        """A replica's sweep.

        Args:
            parts: That take the place of `jobs`, `parts`, `objects` or `leases`.
        """
        objects, kept = parts.get("objects", self.objects), parts.get("parts", self.parts)
        return Sweep(
            jobs=parts.get("jobs", self.due),
            parts=kept,
            archive=Archive(objects, kept, clock=self.clock),
            objects=objects,
            retentions=self.retentions,
            leases=parts.get("leases", self.leases),
            clock=self.clock,
            interval=timedelta(hours=1),
        )

    async def retain(self, tenant: str = "acme", **own: Any) -> None:
        await self.retentions.change(tenant, Change(fields=frozenset(own), to=OwnRetention(**own)))

    async def add(
        self,
        state: str = "SUCCEEDED",
        *,
        tenant: str = "acme",
        ended: datetime = ENDED,
        connection_id: str = "",
        counted: bool = True,
        large: bool = False,
    ) -> str:
        """A job that has come to a state; its first attempt failed."""
        job_id = ids.new_job_id("http")
        made = ended - timedelta(minutes=1)
        first = events_pb2.JobEvent(
            job_id=job_id, tenant=tenant, upstream="http", revision=1, state=jobs_pb2.Job.QUEUED
        )
        first.time.FromDatetime(made)
        first.submission.job.MergeFrom(
            jobs_pb2.Job(id=job_id, upstream="http", method="http.get", connection_id=connection_id, revision=1)
        )
        first.submission.job.metadata["order"] = "1 ünd\u2028more"
        first.submission.job.created_at.FromDatetime(made)
        tried = events_pb2.JobEvent(job_id=job_id, tenant=tenant, upstream="http", revision=2, attempt=1)
        tried.state = jobs_pb2.Job.RETRYING
        tried.error.message = "no"
        tried.time.FromDatetime(made + timedelta(seconds=1))
        last = events_pb2.JobEvent(job_id=job_id, tenant=tenant, upstream="http", revision=3, attempt=2)
        last.state = jobs_pb2.Job.State.Value(state)
        last.time.FromDatetime(ended)
        if state not in {"QUEUED", "RUNNING", "RETRYING"}:
            last.finished_at.FromDatetime(ended)
        if large:
            last.result.url = f"/api/v1/jobs/{job_id}/result"
        elif state == "SUCCEEDED":
            last.result.inline.text = "the answer"
        await self.history.apply([entry_of(event) for event in (first, tried, last)][:1])
        await self.history.apply([entry_of(tried)])
        await self.history.apply([entry_of(last)])
        if counted:
            await self.jobs.update_one({"_id": job_id}, {"$unset": {"uncounted": ""}})
        return job_id

    async def listed(self) -> set[str]:
        """The jobs that are there."""
        return {each["_id"] async for each in self.jobs.find({}, projection=["_id"])}

    async def archived(self, day: date = DAY_OF, *, tenant: str = "acme") -> list[dict[str, Any]]:
        """The jobs that the command reads back."""
        self.capture.readouterr()
        faults = await read.read(self.objects, read.Order(tenant=tenant, day=day, keep_going=False))
        out, said = self.capture.readouterr()
        assert not faults, said
        # in tests logs come there too, those of a service that runs beside among them; none of their lines is an object
        return [json.loads(line) for line in out.split("\n")[:-1] if line.startswith("{")]

    async def archived_ids(self, day: date = DAY_OF, *, tenant: str = "acme") -> list[str]:
        return sorted(job["id"] for job in await self.archived(day, tenant=tenant))

    async def let_the_lease_run_out(self) -> None:
        """As half a minute does, after whoever held it has died."""
        await mongo.database(self.client, "history").get_collection("leases").delete_many({})

    def after(self, days: float) -> None:
        """Puts the clock to so long after the end of the jobs, and a second."""
        self.clock.time = ENDED + days * DAY + timedelta(seconds=1)


@pytest.fixture
async def shelf(mongo: Client, objects: Objects, capsys: pytest.CaptureFixture[str]) -> Shelf:
    shelf = Shelf(client=mongo, objects=objects, capture=capsys)
    for store in (shelf.history, shelf.parts, shelf.due):
        await store.prepare()
    return shelf
