"""How answers with figures grow: GetStats over 90 days at ever more jobs, and how fast the tally counts.

Straight on what answers GetStats, without its RPC: the questions to MongoDB, what they add up to, and the message. The
figures are of the tenant that has most of the jobs. Most of its buckets are written by the service's own code, though
many jobs at a time; the tally itself is timed over the newest.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from penstock.history.v1 import stats_pb2

from services.history.jobs.documents import COLLECTION, DATABASE
from services.history.jobs.domain import Mark
from services.history.leases import Leases
from services.history.stats import documents
from services.history.stats.counting import counted
from services.history.stats.domain import MarkedJob
from services.history.stats.messages import asked_of, message_of
from services.history.stats.reader import StatsReader
from services.history.stats.store import MongoStatsStore
from services.history.stats.tally import Tally
from services.history.stats.tally_store import MongoTallyStore
from shared import mongo
from shared.clock import SystemClock
from tests.bench import recorded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from shared.mongo import Client, Document

TENANT = recorded.TENANTS[0]
#: Answers that are timed of each kind.
_ANSWERS = 20
#: Jobs that are counted into one write of buckets.
_COUNTED_AT_ONCE = 20_000
#: The newest jobs, over which the tally is timed.
_TALLIED = 5_000
_READ = ("tenant", "upstream", "method", "connection_id", "job", "event", "finished_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What answers take at one number of jobs."""

    #: Milliseconds of each answer, in rising order, by kind of question.
    answers_ms: dict[str, list[float]]
    tallied_per_s: float


async def measure(client: Client, generator: recorded.Generator) -> Figures:
    """Measures over the generator's jobs, which are in history."""
    stats = MongoStatsStore(client)
    await stats.prepare()
    await _fill(client, now=generator.until)
    reader = StatsReader(stats)
    answers: dict[str, list[float]] = {}
    for kind, request in _asked(generator).items():
        taken: list[float] = []
        for _ in range(_ANSWERS):
            began = time.perf_counter()
            group, whole = asked_of(request, tenant=TENANT, now=generator.until)
            message_of(await reader.report(group, whole))
            taken.append((time.perf_counter() - began) * 1000)
        answers[kind] = sorted(taken)
    return Figures(answers_ms=answers, tallied_per_s=await _tally(client))


async def _fill(client: Client, *, now: datetime) -> None:
    database = mongo.database(client, DATABASE)
    buckets, some = database.get_collection(documents.COLLECTION), list[MarkedJob]()

    async def write() -> None:
        figures = counted(some, now=now)
        if figures:
            await buckets.bulk_write([documents.addition(*each) for each in figures.items()], ordered=False)
        some.clear()

    async for document in database.get_collection(COLLECTION).find({"tenant": TENANT}, projection=_READ):
        some.append(_marked(document))
        if len(some) == _COUNTED_AT_ONCE:
            await write()
    await write()


async def _tally(client: Client) -> float:
    """Jobs in a second, each with its submission and its end."""
    jobs = mongo.database(client, DATABASE).get_collection(COLLECTION)
    newest = (
        jobs.find({"finished_at": {"$gt": recorded.EPOCH}}, projection=["_id"]).sort("$natural", -1).limit(_TALLIED)
    )
    ids = [each["_id"] async for each in newest]
    await jobs.update_many({"_id": {"$in": ids}}, {"$set": {"uncounted": list(Mark)}})
    leases = Leases(client)
    tally = Tally(MongoTallyStore(client, leases), leases, clock=SystemClock(), idle=_nothing_more)
    began = time.perf_counter()
    await tally.look()
    return len(ids) / (time.perf_counter() - began)


async def _nothing_more() -> bool:
    return False


def _asked(generator: recorded.Generator) -> dict[str, stats_pb2.GetStatsRequest]:
    start = generator.until - recorded.SPAN + timedelta(hours=1)
    connection: Sequence[str] = generator.connections[TENANT]
    return {
        "all": stats_pb2.GetStatsRequest(start_time=start),
        "all by the hour": stats_pb2.GetStatsRequest(start_time=start, interval=timedelta(hours=1)),
        "upstream": stats_pb2.GetStatsRequest(start_time=start, upstream="flickr"),
        "method": stats_pb2.GetStatsRequest(start_time=start, method="flickr.photos.search"),
        "connection": stats_pb2.GetStatsRequest(start_time=start, connection_id=connection[0]),
    }


def _marked(document: Document) -> MarkedJob:
    return MarkedJob(
        job_id=document["_id"],
        tenant=document["tenant"],
        upstream=document["upstream"],
        method=document["method"],
        connection_id=document["connection_id"],
        job=document["job"],
        event=document["event"],
        uncounted=(Mark.SUBMISSION,) if document["finished_at"] is None else tuple(Mark),
        counted=(),
    )
