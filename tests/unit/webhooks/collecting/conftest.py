"""The collectors, and what surrounds them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from services.webhooks.collecting.collector import Collector
from services.webhooks.collecting.notices import NoticeCollector
from services.webhooks.collecting.storing import Storing
from services.webhooks.delivering.news import News
from tests.fakes.collecting import Deliveries, JobLog, Receivers, Signals
from tests.fakes.endpoint_store import FakeEndpointStore
from tests.fakes.endpoints import NOW, make_endpoint

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from typing import Any

    from services.webhooks.endpoints.domain import Endpoint


@dataclass
class World:
    """The collectors of one replica, and what surrounds them; it is always `NOW`."""

    job_log: JobLog = field(default_factory=JobLog)
    endpoints: FakeEndpointStore = field(default_factory=FakeEndpointStore)
    deliveries: Deliveries = field(default_factory=Deliveries)
    receivers: Receivers = field(default_factory=Receivers)
    #: The receivers of each time that the dispatcher was woken.
    woken: list[set[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        news = News(receivers=self.receivers, dispatcher=self, signals=Signals())
        storing = Storing(deliveries=self.deliveries, announcer=news, clock=self)
        self.collector = Collector(job_log=self.job_log, endpoints=self.endpoints, storing=storing)
        self.notices = NoticeCollector(endpoints=self.endpoints, storing=storing)

    def now(self) -> datetime:
        return NOW

    async def endpoint(self, **fields: Any) -> Endpoint:
        """An endpoint that is there."""
        endpoint = make_endpoint(**fields)
        assert await self.endpoints.add(endpoint)
        return endpoint

    def wake(self, receivers: Collection[str]) -> Collection[str]:
        self.woken.append(set(receivers))
        return ()

    def hear(self, receivers: Collection[str]) -> None:
        raise AssertionError(f"nobody has signaled {receivers}")


@pytest.fixture
def world() -> World:
    return World()
