"""How collecting is wired: what becomes a delivery, from the log to the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.webhooks.collecting import collector, notices
from services.webhooks.collecting.collector import Collector
from services.webhooks.collecting.notices import NoticeCollector
from services.webhooks.collecting.storing import Storing
from shared import streams

if TYPE_CHECKING:
    from services.webhooks.collecting.storing import Announcer
    from services.webhooks.deliveries.store import DeliveryStore
    from services.webhooks.endpoints.store import EndpointStore
    from shared.bus import Bus
    from shared.clock import Clock
    from shared.lifecycle import Process


def run_collectors(
    process: Process,
    bus: Bus,
    *,
    deliveries: DeliveryStore,
    endpoints: EndpointStore,
    announcer: Announcer,
    clock: Clock,
) -> None:
    """Makes deliveries of the ends of jobs, and of notices, for as long as the process runs."""
    storing = Storing(deliveries=deliveries, announcer=announcer, clock=clock)
    jobs = Collector(job_log=bus, endpoints=endpoints, storing=storing)
    process.loop("collector", lambda: bus.consumer(streams.JOBS, collector.CONSUMER).run(jobs.handle))
    facts = NoticeCollector(endpoints=endpoints, storing=storing)
    process.loop("notices", lambda: bus.consumer(streams.NOTICES, notices.CONSUMER).run(facts.handle))
