"""How the webhooks service is wired."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.webhooks.v1 import webhooks_pb2_grpc

from services.webhooks import notices
from services.webhooks.attempts import Attempts
from services.webhooks.collector import CONSUMER, Collector
from services.webhooks.config import Config
from services.webhooks.dispatcher import Dispatcher
from services.webhooks.domain import RetrySchedule
from services.webhooks.notices import NoticeCollector
from services.webhooks.sender import Sender
from services.webhooks.servicer import CallbackSecretServicer
from services.webhooks.signing import TenantSecrets
from services.webhooks.store import MongoDeliveryStore
from shared import mongo as mongo_
from shared import streams
from shared.addresses import AddressGuard
from shared.clock import SystemClock
from shared.errors import Unavailable
from shared.lifecycle import run
from shared.retry import until_done
from shared.sealing import CALLBACK_SECRET, Sealer

if TYPE_CHECKING:
    from shared.lifecycle import Process


async def serve(config: Config, process: Process) -> None:
    """Wires the service and runs it until the process is told to stop."""
    mongo = await process.depend_on(
        "mongodb", lambda: mongo_.connect(config.mongo_url), check=mongo_.ping, close=mongo_.close
    )
    bus = await process.connect_bus(config.nats_url)
    store = MongoDeliveryStore(mongo)
    await until_done(store.prepare, retry_on=(Unavailable,))

    clock = SystemClock()
    secrets = TenantSecrets(config.callback_key)
    schedule = RetrySchedule(config.retry_schedule)
    sender = Sender(
        AddressGuard(allow_loopback=config.allow_loopback),
        clock=clock,
        timeout=config.attempt_timeout,
        limit=config.concurrency,
    )
    process.on_close(sender.close)
    attempts = Attempts(
        sender,
        store=store,
        sealer=Sealer.from_setting(config.sealing_key, CALLBACK_SECRET),
        secrets=secrets,
        schedule=schedule,
        clock=clock,
    )
    dispatcher = Dispatcher(
        store,
        maker=attempts,
        clock=clock,
        concurrency=config.concurrency,
        attempt_timeout=config.attempt_timeout,
        most_attempts=schedule.attempts,
    )
    process.loop("dispatcher", dispatcher.run)
    process.on_drain(dispatcher.drain)
    collector = Collector(job_log=bus, store=store, clock=clock, wake=dispatcher.wake)
    process.loop("collector", lambda: bus.consumer(streams.JOBS, CONSUMER).run(collector.handle))
    notice_collector = NoticeCollector(store=store, clock=clock, wake=dispatcher.wake)
    process.loop("notices", lambda: bus.consumer(streams.NOTICES, notices.CONSUMER).run(notice_collector.handle))
    await process.serve(
        (
            webhooks_pb2_grpc.add_CallbackSecretServiceServicer_to_server,
            CallbackSecretServicer(secrets),
            "penstock.webhooks.v1.CallbackSecretService",
        )
    )


if __name__ == "__main__":
    run("webhooks", Config, serve)
