"""History made anew from the log while it serves: events that arrive meanwhile, and a rebuild that is killed."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from penstock.history.v1 import history_pb2, history_pb2_grpc
from penstock.jobs.v1 import jobs_pb2

from deploy.local.layout import ROOT
from services.history.__main__ import serve
from services.history.jobs.reading import Reading
from services.history.jobs.store import MongoHistory
from services.history.leases import REBUILD, SWEEP, TALLY, Leases
from services.history.rebuild.rebuild import Rebuild
from services.history.rebuild.successor import PREFIX
from services.history.retention.domain import Retention
from shared import config as settings
from shared import ids, mongo
from shared.config import Secret
from tests.fakes.history_events import Event, life, now, publish
from tests.fakes.history_reading import NothingErased, NothingIndexed
from tests.integration.history.conftest import has
from tests.service import channel, running
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from services.history.config import Config
    from services.history.leases import Lease
    from services.history.rebuild.rebuild import Erased, Rebuilt
    from shared.bus import Bus
    from shared.mongo import Client, Document
    from tests.identities import Identities

ENDED = (Event.STARTED, Event.SUCCEEDED)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    tenant: str
    connection_id: str
    before: Any


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How long jobs are kept."""

    own: Mapping[str, Retention] = dataclasses.field(default_factory=dict)
    default: Retention = dataclasses.field(default_factory=Retention)

    async def all(self) -> Mapping[str, Retention]:
        return self.own


def mongo_database(client: Client) -> Any:
    return mongo.database(client, "history")


def rebuild(client: Client, bus: Bus, *, kept: Kept | None = None, erased: Sequence[Erased] = ()) -> Rebuild:
    async def answer() -> Sequence[Erased]:
        return erased

    return Rebuild(
        client,
        bus=bus,
        leases=Leases(client),
        reading=Reading(indexed=NothingIndexed(), erasures=NothingErased()),
        keeping=kept or Kept(),
        erased=answer,
    )


async def successor_has(client: Client, number: int) -> bool:
    names = await mongo_database(client).list_collection_names(filter={"name": {"$regex": f"^{PREFIX}"}})
    return any([await mongo_database(client)[name].count_documents({}) >= number for name in names])


async def taken(leases: Leases, name: str) -> Lease:
    lease = await leases.take(name)
    assert lease is not None
    return lease


async def count(jobs: Any, *job_ids: str) -> None:
    """As a tally does that holds its lease."""
    for job_id in job_ids:
        document = await jobs.find_one({"_id": job_id})
        await jobs.update_one(
            {"_id": job_id}, {"$set": {"counted": document["uncounted"]}, "$unset": {"uncounted": True}}
        )


def carried(job_id: str) -> Document:
    """A job that ended before the log begins, as a sweep has begun to archive it."""
    ended_at = now() - timedelta(days=40)
    return {
        "_id": job_id,
        "tenant": "acme",
        "job": jobs_pb2.Job(id=job_id, upstream="http", revision=1).SerializeToString(),
        "created_at": ended_at,
        "revision": 3,
        "state": "SUCCEEDED",
        "event": Event(job_id=job_id, revision=3, state=jobs_pb2.Job.SUCCEEDED).SerializeToString(),
        "finished_at": ended_at,
        "counted": ["submission", "end"],
        "part": "part-1",
    }


@asynccontextmanager
async def listing(address: str, token: str, *, at_least: int) -> AsyncGenerator[list[int]]:
    """Lists again and again; every list answers, and with as many jobs as there are."""
    sizes: list[int] = []

    async def run() -> None:
        async with channel(address, token) as connection:
            stub: Any = history_pb2_grpc.HistoryServiceStub(connection)
            while True:
                sizes.append(len((await stub.ListJobs(history_pb2.ListJobsRequest(page_size=500))).jobs))
                assert sizes[-1] >= at_least

    task = asyncio.create_task(run())
    try:
        yield sizes
    finally:
        failure = task.exception() if task.done() else None
        task.cancel()
        await asyncio.wait({task})
        assert failure is None, failure


async def test_history_is_rebuilt_while_events_arrive_and_lists_are_served(
    config: Config, bus: Bus, mongo: Client, jobs: Any, identities: Identities
) -> None:
    ended, running_, lost, counted_late, new = ([ids.new_job_id("http") for _ in range(40)] for _ in range(5))
    before = [event for job in (*ended, *lost, *counted_late) for event in life(job, *ENDED)]
    before += [event for job in running_ for event in life(job, Event.STARTED)]
    old = ids.new_job_id("http")
    leases = Leases(mongo)
    async with running("history", serve, config) as address:
        tally = await taken(leases, TALLY)
        await publish(bus, before)
        assert await eventually(lambda: has(jobs, dict.fromkeys((*ended, *lost, *counted_late), "SUCCEEDED")))
        assert await eventually(lambda: has(jobs, dict.fromkeys(running_, "RUNNING")))
        await jobs.insert_one(carried(old))
        await jobs.delete_many({"_id": {"$in": lost}})
        await jobs.update_many({}, {"$unset": {"timeline": True}})
        await count(jobs, *ended)
        async with listing(address, identities.mint(), at_least=121) as sizes:
            rebuilding = asyncio.create_task(rebuild(mongo, bus).run())
            assert await eventually(lambda: successor_has(mongo, 161), what="the successor, which waits for the tally")
            await publish(bus, [event for job in new for event in life(job, *ENDED)])
            await publish(bus, [event for job in running_ for event in life(job, *ENDED)[2:]])
            await eventually(lambda: has(jobs, dict.fromkeys((*new, *running_), "SUCCEEDED")))
            await count(jobs, *counted_late, *running_[:20], *new[:20])
            await leases.release(tally)
            rebuilt: Rebuilt = await rebuilding
            seen = len(sizes)
            await eventually(lambda: len(sizes) > seen)
        assert rebuilt.carried >= 121
        last = ids.new_job_id("http")
        await publish(bus, life(last, *ENDED))
        every = (*ended, *lost, *counted_late, *running_, *new, last, old)
        await eventually(lambda: has(jobs, dict.fromkeys(every, "SUCCEEDED")))
        documents = {each["_id"]: each async for each in jobs.find({})}
    assert set(documents) == set(every)
    in_buckets = {*ended, *counted_late, *running_[:20], *new[:20], old}
    for job_id, document in documents.items():
        marks = {name: sorted(document.get(name, [])) for name in ("counted", "uncounted")}
        counted = job_id in in_buckets
        assert marks == {"counted": ["end", "submission"] if counted else [], "uncounted": []} or not counted
        assert counted or marks == {"counted": [], "uncounted": ["end", "submission"]}
        assert job_id == old or sorted(document["timeline"]) == ["1", "2", "3"]
    assert documents[old]["part"] == "part-1"
    assert "expireAfterSeconds" in (await jobs.index_information())["incomplete"], "the indexes came along"


async def test_a_rebuild_gets_its_turn_from_a_replica_that_counts_for_ever(
    config: Config, bus: Bus, mongo: Client, jobs: Any
) -> None:
    ended = [ids.new_job_id("http") for _ in range(5)]
    async with running("history", serve, config):
        await publish(bus, [event for job in ended for event in life(job, *ENDED)])
        assert await eventually(lambda: has(jobs, dict.fromkeys(ended, "SUCCEEDED")))
        assert await eventually(lambda: counted_are(jobs, 5), what="the replica, which holds the tally from now on")
        await rebuild(mongo, bus).run()
        last = ids.new_job_id("http")
        await publish(bus, life(last, *ENDED))
        assert await eventually(lambda: counted_are(jobs, 6), what="the replica, which counts again")


async def counted_are(jobs: Any, number: int) -> bool:
    return await jobs.count_documents({"counted": {"$all": ["submission", "end"]}}) == number


@asynccontextmanager
async def command(config: Config) -> AsyncGenerator[asyncio.subprocess.Process]:
    """The command in a process of its own."""
    environment = {
        f"PENSTOCK_{field.name.upper()}": value.reveal() if isinstance(value, Secret) else settings._show(value)
        for field in dataclasses.fields(config)
        for value in [getattr(config, field.name)]
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.history.rebuild",
        cwd=ROOT,
        env={**{name: text for name, text in os.environ.items() if name in {"PATH", "HOME"}}, **environment},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_rebuild_that_is_killed_leaves_history_as_it_is_and_is_begun_anew(
    config: Config, bus: Bus, mongo: Client, jobs: Any
) -> None:
    ended = [ids.new_job_id("http") for _ in range(30)]
    store, leases = MongoHistory(mongo), Leases(mongo)
    await store.prepare()
    await publish(bus, [event for job in ended for event in life(job, *ENDED)])
    old = ids.new_job_id("http")
    await jobs.insert_one(carried(old))
    tally = await taken(leases, TALLY)
    async with command(config) as process:
        await eventually(lambda: successor_has(mongo, 31), what="the successor")
        process.send_signal(signal.SIGKILL)
        await process.wait()
    assert [each["_id"] async for each in jobs.find({})] == [old]
    await leases.release(tally)
    past = {"$set": {"until": now() - timedelta(seconds=1)}}
    await mongo_database(mongo).leases.update_many({"_id": {"$in": [REBUILD, SWEEP]}}, past)  # their time is over
    async with command(config) as process:
        assert await process.wait() == 0
    assert {each["_id"] async for each in jobs.find({})} == {*ended, old}
    assert not await mongo_database(mongo).list_collection_names(filter={"name": {"$regex": f"^{PREFIX}"}})
    assert await mongo_database(mongo).leases.count_documents({}) == 0


async def test_what_is_gone_does_not_come_back(bus: Bus, mongo: Client, jobs: Any) -> None:
    kept, overdue, swept_next, erased, orphan = (ids.new_job_id("http") for _ in range(5))
    long_ago = now() - timedelta(days=3)
    await MongoHistory(mongo).prepare()
    await publish(bus, life(kept, *ENDED, at=long_ago))
    await publish(bus, life(overdue, Event.EXPIRED, tenant="short", at=long_ago))
    await publish(bus, life(swept_next, Event.EXPIRED, tenant="short", at=long_ago))
    await publish(bus, life(erased, *ENDED, connection_id="con_1", at=long_ago))
    await publish(bus, life(orphan, *ENDED)[1:])
    await jobs.insert_one(carried(swept_next))
    short = Kept(own={"short": Retention(failed_jobs=timedelta(days=2))})
    erasure = Erasure(tenant="acme", connection_id="con_1", before=now())
    await rebuild(mongo, bus, kept=short, erased=[erasure]).run()
    documents = {each["_id"]: each async for each in jobs.find({})}
    assert set(documents) == {kept, swept_next}
    assert documents[swept_next]["part"] == "part-1"
