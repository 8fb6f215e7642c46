"""What intake holds in Redis, put together: the stores, what counts and bounds them, and what rebuilds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.intake import projection
from services.intake.batch_ends import BatchEnds
from services.intake.batch_store import RedisBatchStore
from services.intake.erased import ErasedThings
from services.intake.floor import Floor
from services.intake.hot_view import HotView, RedisKeptRecords
from services.intake.known_servers import KnownServers
from services.intake.rebuild import Rebuilder
from services.intake.rebuilds import Rebuilds
from services.intake.store import RedisJobStore
from services.intake.tally import RedisCounts, Tally
from shared import streams
from shared.errors import Unavailable
from shared.retry import until_done

if TYPE_CHECKING:
    from services.intake.config import Config
    from shared import kv
    from shared.bus import Bus
    from shared.lifecycle import Process


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What Redis holds, and what sees to it that it does."""

    store: RedisJobStore
    batches: RedisBatchStore
    batch_ends: BatchEnds
    tally: Tally
    floor: Floor
    erased: ErasedThings


async def hold(config: Config, process: Process, redis: kv.Client, bus: Bus) -> Held:
    """Learns whether Redis has lost anything; if it has, it is rebuilt beside answering."""
    bucket = await until_done(lambda: bus.bucket("intake", replicas=config.stream_replicas), retry_on=(Unavailable,))
    erased = ErasedThings(bucket)
    await until_done(erased.load, retry_on=(Unavailable,))
    servers = KnownServers()
    hot_view = HotView(
        RedisKeptRecords(redis),
        max_bytes=config.hot_view_max_bytes,
        recorded=lambda: bus.acknowledged(streams.JOBS, streams.HISTORY_CONSUMER),
    )
    store, batches = RedisJobStore(redis, servers, ended=hot_view.ended), RedisBatchStore(redis)
    batch_ends = BatchEnds(store=batches, publisher=bus)
    tally = Tally(RedisCounts(redis), cap=config.max_pending_jobs_of_all)
    floor = Floor(redis, servers, lambda: bus.acknowledged(streams.JOBS, projection.DURABLE))
    rebuilder = Rebuilder(
        client=redis,
        servers=servers,
        rebuilds=Rebuilds(bucket),
        bus=bus,
        store=store,
        batch_ends=batch_ends,
        erased=erased,
        floor=floor,
        tally=tally,
    )
    await until_done(rebuilder.look, retry_on=(Unavailable,))
    process.loop("tally", tally.run)
    process.loop("floor", floor.run)
    process.loop("hot_view", hot_view.run)
    process.loop("rebuild", rebuilder.run)
    process.loop("erased", erased.follow)
    return Held(store=store, batches=batches, batch_ends=batch_ends, tally=tally, floor=floor, erased=erased)
