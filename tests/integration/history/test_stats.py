"""Figures of history on real servers: from the log of jobs to what a tenant is told of them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import grpc
import pytest
from penstock.history.v1 import history_pb2_grpc, stats_pb2

from services.history.__main__ import serve
from services.history.config import Config
from services.history.jobs.store import MongoHistory
from services.history.leases import Leases
from services.history.stats.domain import Group, Level, Stretch
from services.history.stats.reader import StatsReader
from services.history.stats.store import MongoStatsStore
from services.history.stats.tally import Tally
from services.history.stats.tally_store import MongoTallyStore
from shared import ids, streams
from shared import mongo as mongo_
from shared.bus import Bus, Outgoing
from shared.clock import SystemClock
from shared.config import Secret
from shared.errors import Unavailable
from tests import object_stores
from tests.fakes import history_jobs
from tests.service import channel, running
from tests.waiting import eventually
from tests.wires import wire_to

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from penstock.events.v1 import events_pb2

    from shared.mongo import Client
    from tests.identities import Identities

pytestmark = pytest.mark.usefixtures("no_stalls")

#: On the hour, so that what follows lies in one minute, hour and day.
AT = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
#: What counting asks nothing of.
_OTHERS = ("auth", "intake", "scheduler", "upstream", "webhooks")
CONNECTION = ids.new_connection_id()


@pytest.fixture
def config(nats_url: str, mongo_url: str, mongo: Client, identities: Identities) -> Config:
    return Config(
        grpc_address="127.0.0.1:0",
        identity_keys_file=identities.keys_file,
        service_key=identities.service_key("history"),
        mongo_url=Secret(mongo_url),
        nats_url=Secret(nats_url),
        **{f"{service}_address": "127.0.0.1:1" for service in _OTHERS},
        **object_stores.AWAY,
    )


async def publish(bus: Bus, events: Sequence[events_pb2.JobEvent], *, time: int = 1) -> None:
    """Each time is another message: as though the log told of it again."""
    await bus.publish(
        [
            Outgoing(
                subject=streams.job_subject("any", event.upstream),
                payload=event.SerializeToString(),
                message_id=f"{event.job_id}:{event.revision}:{time}",
            )
            for event in events
        ]
    )


@asynccontextmanager
async def history(address: str, token: str) -> AsyncGenerator[Any]:
    async with channel(address, token) as connection:
        yield history_pb2_grpc.HistoryServiceStub(connection)


async def counted(stub: Any, count: int) -> stats_pb2.Stats:
    """The figures when so many jobs have ended in them."""

    async def figures() -> stats_pb2.Stats | None:
        stats = await stub.GetStats(stats_pb2.GetStatsRequest())
        assert sum(stats.total.ended.values()) <= count, "one was counted twice"
        return stats if sum(stats.total.ended.values()) == count else None

    return await eventually(figures, within=120, what="all jobs in the figures")


async def test_jobs_are_counted_once_though_events_come_again(config: Config, bus: Bus, identities: Identities) -> None:
    submissions = [
        history_jobs.submission(ids.new_job_id("flickr"), method="flickr.test.echo", connection_id=CONNECTION, at=AT)
        for _ in range(200)
    ]
    ends = [history_jobs.end(each) for each in submissions[:150]]
    ends += [history_jobs.end(each, "FAILED", reason="UPSTREAM_STATUS") for each in submissions[150:]]
    async with running("history", serve, config) as address, history(address, identities.mint()) as stub:
        await publish(bus, [*submissions, *ends[:100]])
        await counted(stub, 100)
        await publish(bus, [*submissions, *ends], time=2)
        stats = await counted(stub, 200)
    assert stats.total.ended == {"SUCCEEDED": 150, "FAILED": 50}
    assert stats.errors == {"UPSTREAM_STATUS": 50}
    assert (stats.total.submitted, stats.total.attempts, stats.total.total.max.seconds) == (200, 200, 3)
    assert [bucket.start_time.ToDatetime(tzinfo=UTC) for bucket in stats.buckets] == [AT]
    for shares, name in (
        (stats.top_upstreams, "flickr"),
        (stats.top_methods, "flickr.test.echo"),
        (stats.top_connections, CONNECTION),
    ):
        assert [(share.name, dict(share.ended)) for share in shares] == [(name, dict(stats.total.ended))]


async def test_what_was_written_while_the_tally_had_no_mongodb_is_counted_later(mongo: Client, mongo_url: str) -> None:
    history_store, stats_store = MongoHistory(mongo), MongoStatsStore(mongo)
    await history_store.prepare()
    await stats_store.prepare()
    submissions = [history_jobs.submission(ids.new_job_id("http"), at=AT) for _ in range(20)]

    async def ended() -> int:
        report = await StatsReader(stats_store).report(
            Group(tenant="acme"), Stretch(Level.HOUR, AT, AT + timedelta(hours=1))
        )
        return report.total.ended.total()

    async def write(these: Sequence[events_pb2.JobEvent]) -> None:
        await history_store.apply(history_jobs.entries(*these, *map(history_jobs.end, these)))
        tally.wake()

    server = urlsplit(mongo_url)
    async with wire_to(server.hostname or "", server.port or 0) as wire:
        way = wire.on_the_way_to(mongo_url).replace("replicaSet=penstock", "directConnection=true")
        severable = await mongo_.connect(Secret(way))
        leases = Leases(severable)
        tally = Tally(MongoTallyStore(severable, leases), leases, clock=SystemClock(), idle=nothing_more)
        counting = asyncio.create_task(tally.run())
        await write(submissions[:10])
        await eventually(lambda: is_(ended, 10))
        await wire.cut()
        await write(submissions[10:])
        with pytest.raises(Unavailable):
            await tally.look()
        assert await ended() == 10
        await wire.mend()
        await eventually(lambda: is_(ended, 20))
        while not counting.done():
            counting.cancel()
            await asyncio.wait({counting}, timeout=0.1)
        await mongo_.close(severable)


async def is_(figure: Callable[[], Awaitable[int]], count: int) -> bool:
    return await figure() == count


async def nothing_more() -> bool:
    return False


async def test_nobody_is_told_of_another_tenants_jobs_and_bad_ranges_are_named(
    config: Config, bus: Bus, identities: Identities
) -> None:
    submission = history_jobs.submission(ids.new_job_id("http"), at=AT)
    await publish(bus, [submission, history_jobs.end(submission)])
    async with running("history", serve, config) as address:
        async with history(address, identities.mint()) as stub:
            await counted(stub, 1)
        async with history(address, identities.mint("other")) as theirs:
            stats = await theirs.GetStats(stats_pb2.GetStatsRequest())
            assert stats.total == stats_pb2.StatsBucket(start_time=stats.start_time)
            assert [*stats.buckets, *stats.top_upstreams, *stats.top_methods, *stats.top_connections] == []
            request = stats_pb2.GetStatsRequest(method="http.get", start_time=AT - timedelta(days=100))
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await theirs.GetStats(request)
            assert str(refused.value.details()).startswith("startTime: is ")
