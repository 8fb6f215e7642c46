"""Delivering in memory: the stores, a receiver that answers as it is told, and replicas."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from services.webhooks.deliveries.domain import Delivery, Outcome, Reason, RetrySchedule, State
from services.webhooks.delivering.attempts import Attempts
from services.webhooks.delivering.choosing import Chooser
from services.webhooks.delivering.dispatcher import Dispatcher
from services.webhooks.delivering.health import Health
from services.webhooks.delivering.places import Places
from services.webhooks.delivering.targets import Targets
from services.webhooks.delivering.tools import Tools
from tests.fakes.deliveries import make_delivery
from tests.fakes.endpoint_store import FakeEndpointStore
from tests.fakes.endpoints import make_endpoint
from tests.fakes.receiver_store import FakeReceiverStore
from tests.fakes.work_store import FakeWorkStore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from datetime import datetime

    from services.webhooks.endpoints.domain import Endpoint
    from tests.unit.webhooks.conftest import Time

HOLD = timedelta(seconds=10)
CLAIM = timedelta(seconds=20)
PAUSE = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Sent:
    """What went out, and where to."""

    url: str
    body: bytes
    headers: Mapping[str, str]
    at: datetime

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class FarSide:
    """Every receiver there is: answers by URL as it is told, else 200 at once."""

    time: Time
    answers: defaultdict[str, deque[Outcome]] = field(default_factory=lambda: defaultdict(deque))
    #: URLs whose calls do not come back until they are released.
    held: set[str] = field(default_factory=set)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    sent: list[Sent] = field(default_factory=list)
    at_work: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        self.sent.append(Sent(url, body, headers, self.time.now()))
        for each in (url, "all"):
            self.at_work[each] += 1
            self.most[each] = max(self.most[each], self.at_work[each])
        try:
            if url in self.held:
                await self.release.wait()
            else:
                await asyncio.sleep(0)
        finally:
            self.at_work[url] -= 1
            self.at_work["all"] -= 1
        answers = self.answers[url]
        return answers.popleft() if answers else Outcome.of_status(200)

    def to(self, url: str) -> list[Sent]:
        """What went to a URL."""
        return [each for each in self.sent if each.url == url]


class PlainHeaders:
    """Signs nothing: the id alone, by which tests know what was sent."""

    def headers(self, *_: Any, **given: Any) -> Mapping[str, str]:
        return {"webhook-id": given.get("webhook_id") or _[0].webhook_id}


@dataclass
class Stored:
    """Says that everything is stored up to a place."""

    up_to: int = 1_000_000
    asked: list[int] = field(default_factory=list)

    async def passed(self, place: int) -> bool:
        self.asked.append(place)
        return place <= self.up_to


@dataclass
class Tally:
    """Keeps what it counts."""

    noted: list[tuple[str, Reason]] = field(default_factory=list)

    def note(self, endpoint_id: str, reason: Reason, duration: timedelta) -> None:
        assert duration >= timedelta()
        self.noted.append((endpoint_id, reason))


@dataclass
class World:
    """Everything that replicas share, and what they are made of."""

    time: Time
    receivers: FakeReceiverStore = field(default_factory=FakeReceiverStore)
    endpoints: FakeEndpointStore = field(default_factory=FakeEndpointStore)
    work: FakeWorkStore = field(default_factory=FakeWorkStore)
    stored: Stored = field(default_factory=Stored)
    tally: Tally = field(default_factory=Tally)
    schedule: RetrySchedule = field(default_factory=lambda: RetrySchedule((PAUSE, PAUSE)))
    disable_after: timedelta = timedelta(days=5)

    def __post_init__(self) -> None:
        self.far_side = FarSide(self.time)

    def tools(self, concurrency: int = 8) -> Tools:
        """Those of one replica."""
        plain = PlainHeaders()
        return Tools(
            receivers=self.receivers,
            endpoints=self.endpoints,
            work=self.work,
            chooser=Chooser(self.work, stored=self.stored),
            attempts=Attempts(
                self.far_side,
                store=self.work,
                targets=Targets(callbacks=plain, endpoints=plain),
                schedule=self.schedule,
                tally=self.tally,
                clock=self.time,
            ),
            health=Health(self.endpoints, clock=self.time, disable_after=self.disable_after),
            places=Places(concurrency),
            clock=self.time,
            claim_time=CLAIM,
            holder="this replica",
        )

    @asynccontextmanager
    async def replica(self, *, concurrency: int = 8, hold: timedelta = HOLD) -> AsyncGenerator[Dispatcher]:
        """A replica that runs."""
        dispatcher = Dispatcher(self.tools(concurrency), hold=hold)
        task = asyncio.create_task(dispatcher.run())
        try:
            yield dispatcher
            assert not task.done()
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def endpoint(self, **fields: Any) -> Endpoint:
        """An endpoint that is there, with a URL of its own."""
        endpoint = make_endpoint(**fields)
        if "url" not in fields:
            endpoint = make_endpoint(**fields | {"id": endpoint.id, "url": f"https://{endpoint.id}.example/hook"})
        assert await self.endpoints.add(endpoint)
        return endpoint

    async def store(self, *deliveries: Delivery) -> None:
        """Stores deliveries, and notes that they are due."""
        self.work.by_id |= {each.id: each for each in deliveries}
        due: dict[str, datetime] = {}
        for each in deliveries:
            due[each.receiver] = min(each.next_attempt_at, due.get(each.receiver, each.next_attempt_at))
        await self.receivers.note_due(due)

    async def due(self, count: int = 1, *, to: Endpoint | None = None, **given: Any) -> list[Delivery]:
        """Deliveries that are due now."""
        given = {"at": self.time.now(), **given} | ({"endpoint_id": to.id} if to is not None else {})
        deliveries = [make_delivery(**given) for _ in range(count)]
        await self.store(*deliveries)
        return deliveries

    def now(self, delivery: Delivery) -> Delivery:
        """A delivery as it is."""
        return self.work.by_id[delivery.id]

    def count(self, state: State = State.DELIVERED) -> int:
        """How many deliveries are in a state."""
        return sum(each.state is state for each in self.work.by_id.values())


@pytest.fixture
def world(time: Time) -> World:
    return World(time)
