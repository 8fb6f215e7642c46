"""How listing is wired: what finds jobs, and the streams of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.history.listing.export import Exporter
from services.history.listing.store import MongoJobLists
from shared import mongo, streams

if TYPE_CHECKING:
    from services.history.config import Config
    from shared.bus import Bus
    from shared.lifecycle import Process
    from shared.mongo import Client


def job_lists(config: Config, client: Client) -> MongoJobLists:
    """What finds jobs."""
    return MongoJobLists(client, reads=mongo.read_mode(config.read_preference))


async def running_exporter(process: Process, bus: Bus, lists: MongoJobLists) -> Exporter:
    """What exports jobs; the exports of who may do nothing any more are ended."""
    await bus.on_signal(streams.PRINCIPAL_REVOKED_SIGNAL, process.streams.end)
    await bus.on_signal(streams.TENANT_SUSPENDED_SIGNAL, process.streams.end_tenant)
    await bus.on_signal(streams.TENANT_RESUMED_SIGNAL, process.streams.readmit_tenant)
    return Exporter(lists, stopping=process.stopping.is_set)
