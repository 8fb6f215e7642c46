"""What the scheduler has of a tenant is erased: its jobs end by cancels that everybody hears of; another's go on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from penstock.holdings.v1 import holdings_pb2, holdings_pb2_grpc
from penstock.scheduler.v1 import queues_pb2, queues_pb2_grpc

from services.scheduler.__main__ import serve
from shared import ids
from shared.rpc.client import connect
from shared.times import timestamp
from tests.integration.scheduler.conftest import calling, enqueued, is_open
from tests.service import channel, running
from tests.waiting import eventually

if TYPE_CHECKING:
    from services.scheduler.config import Config
    from shared import kv
    from shared.bus import Bus
    from tests.identities import Identities
    from tests.integration.scheduler.conftest import JobsLog

NOW = datetime.now(UTC)


async def keys_of(redis: kv.Client, tenant: str) -> set[str]:
    """What names the tenant, keys and fields alike, but for the memory of jobs that have ended."""
    found: set[str] = set()
    for key in await redis.keys("*"):
        kind = (await redis.type(key)).decode()
        values = {
            "hash": redis.hgetall,
            "zset": lambda key: redis.zrange(key, 0, -1),
            "string": redis.get,
        }[kind]
        if tenant.encode() in key or tenant in repr(await values(key)):
            found.add(key.decode())
    return {key for key in found if ":job:" not in key}


async def test_jobs_that_wait_are_delayed_or_run_are_canceled_and_nothing_of_the_tenant_is_left(
    config: Config, identities: Identities, redis: kv.Client, bus: Bus, log: JobsLog
) -> None:
    async with (
        running("scheduler", serve, config) as address,
        calling(address, identities, bus, log) as mesh,
        channel(address, identities.mint("doomed")) as as_doomed,
    ):
        await eventually(lambda: is_open(config), what="the queue's first opening")
        connection = connect(address, identities.service("history"), default_timeout=config.drain_timeout)
        holdings = holdings_pb2_grpc.HoldingServiceStub(connection)
        request = holdings_pb2.EraseHoldingsRequest(tenant="doomed", before=timestamp(NOW))
        try:
            lane = ids.new_connection_id()
            running_job = await mesh.submitted("doomed")
            call = await mesh.call()
            await mesh.log.until(running_job, "RUNNING")
            pauses = queues_pb2_grpc.QueueServiceStub(as_doomed)
            await pauses.PauseQueue(queues_pb2.PauseQueueRequest(upstream="http", reason="doomed to wait"))
            waiting = [await mesh.submitted("doomed", connection_id=lane) for _ in range(2)]
            waiting.append(await mesh.submitted("doomed", connection_id=lane, delay=timedelta(hours=1)))
            other = await mesh.submitted("other")
            for job_id in (*waiting, other):
                await enqueued(mesh, redis, job_id)

            page = await holdings.ExportHoldings(holdings_pb2.ExportHoldingsRequest(tenant="doomed"))
            assert [(each.store, "doomed to wait" in each.json) for each in page.holdings] == [
                ("nats.scheduler.pauses", True)
            ]
            of_lane = holdings_pb2.EraseHoldingsRequest(tenant="doomed", connection_id=lane, before=timestamp(NOW))
            erased = await holdings.EraseHoldings(of_lane)
            assert (erased.stores[0].store, erased.stores[0].removed, erased.more) == ("redis.scheduler", 3, False)
            for job_id in waiting:
                await mesh.log.until(job_id, "CANCELED")

            erased = await holdings.EraseHoldings(request)
            assert {store.store: store.removed for store in erased.stores} == {
                "redis.scheduler": 1,
                "nats.scheduler.pauses": 1,
            }
            assert erased.more, "the call that is broken off holds its lease"
            await mesh.log.until(running_job, "RUNNING", "CANCELED")
            await mesh.report(call)

            async def nothing_left() -> bool:
                again = await holdings.EraseHoldings(request)
                return not again.more and not any(store.removed for store in again.stores)

            await eventually(nothing_left, what="an erasure that finds nothing")
            assert await keys_of(redis, "doomed") == set()
            assert not [key for key in await (await bus.bucket("scheduler", replicas=1)).entries() if lane in key]
            (call,) = await mesh.lease()
            assert call.job_id == other
        finally:
            await connection.close()
