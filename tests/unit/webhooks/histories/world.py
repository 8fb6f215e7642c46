"""A history's world: the stores and the log in memory, the receivers, and replicas that come and go."""

from __future__ import annotations

import asyncio
import base64
import random
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from structlog.testing import capture_logs

from services.webhooks.collecting.collector import Collector
from services.webhooks.collecting.floor import Floor
from services.webhooks.collecting.storing import Storing
from services.webhooks.config import Config
from services.webhooks.deliveries.domain import RetrySchedule, State, to_milliseconds
from services.webhooks.deliveries.tally import Tally
from services.webhooks.delivering.attempts import Attempts
from services.webhooks.delivering.choosing import Chooser
from services.webhooks.delivering.dispatcher import Dispatcher
from services.webhooks.delivering.health import Health
from services.webhooks.delivering.news import News
from services.webhooks.delivering.places import Places
from services.webhooks.delivering.targets import Targets
from services.webhooks.delivering.tools import Tools
from services.webhooks.endpoints.domain import Batching, EventFilter, Order
from services.webhooks.endpoints.secrets import EndpointSigner
from shared import ids
from shared.config import Environment, Secret
from tests.fakes.delivery_store import FakeDeliveryStore
from tests.fakes.endpoint_store import FakeEndpointStore
from tests.fakes.endpoints import endpoint_secrets, make_endpoint
from tests.fakes.event_log import FakeEventLog
from tests.fakes.receiver_store import FakeReceiverStore
from tests.fakes.stats_store import FakeStatsStore
from tests.fakes.work_store import FakeWorkStore
from tests.unit.webhooks.histories.checks import Ended, Published, Witness
from tests.unit.webhooks.histories.far_side import FarSide, Mood
from tests.unit.webhooks.histories.mortal import Life, Mortal
from tests.virtual_time import VirtualClock, VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from datetime import datetime

    from services.webhooks.endpoints.domain import Endpoint

TENANT = "acme"
_KEY = base64.b64encode(bytes(range(32))).decode()
#: What is logged of a fault of ours.
_BROKEN = {"attempt_broken", "event_given_up", "event_malformed", "outcome_not_kept", "receiver_broken"}
CONFIG = Config(
    grpc_address="127.0.0.1:0",
    identity_keys_file=Path("/nowhere"),
    service_key=Secret("none"),
    mongo_url=Secret("mongodb://nowhere"),
    nats_url=Secret("nats://nowhere"),
    sealing_key=Secret(_KEY),
    callback_key=Secret(_KEY),
    retry_schedule=tuple(timedelta(seconds=each) for each in (0.02, 1, 20)),
    attempt_timeout=timedelta(seconds=5),
    concurrency=8,
    environment=Environment.TEST,
)
MOST_ATTEMPTS = len(CONFIG.retry_schedule) + 1
#: After so long every replica has seen that an endpoint was disabled or enabled.
SEEN = timedelta(seconds=10)
#: Long enough for every attempt that a delivery can have, whatever dies, and for lines to move on.
REST = timedelta(hours=2)
LIVING_AT_REST = 2


class Hub:
    """Signals between the replicas; some get lost."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.listeners: dict[Life, News] = {}

    async def signal(self, subject: str, payload: bytes = b"") -> None:
        del subject
        for life, news in self.listeners.items():
            if not life.dead and self._chance.random() < 0.7:
                await news.hear(payload)


@dataclass
class World:
    """All of it."""

    seed: int
    loop: VirtualTimeLoop = field(default_factory=VirtualTimeLoop)
    lives: list[Life] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    once_disabled: set[str] = field(default_factory=set)
    #: By endpoint that is disabled, since when.
    disabled_since: dict[str, datetime] = field(default_factory=dict)
    replayed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.clock = VirtualClock(self.loop)
        self.log = FakeEventLog(self.clock)
        self.deliveries = FakeDeliveryStore()
        self.work = FakeWorkStore(self.deliveries.by_id)
        self.receivers = FakeReceiverStore()
        self.endpoints = FakeEndpointStore()
        self.far_side = FarSide(CONFIG.attempt_timeout, chance=random.Random(self.seed))
        self.hub = Hub(self.chance)
        self.witness = Witness(MOST_ATTEMPTS)

    def run(self, doing: Coroutine[Any, Any, Any]) -> Any:
        """Does something, in virtual time."""
        with capture_logs() as lines:
            done = self.loop.run_until_complete(doing)
        broken = [line for line in lines if line["event"] in _BROKEN]
        assert not broken, broken
        return done

    def pass_time(self, time: timedelta) -> None:
        """Lets the replicas do what they do."""
        self.run(asyncio.sleep(time.total_seconds()))
        for life in self.lives:
            life.check()

    def add_endpoint(
        self, *, order: Order, batching: Batching | None, connections: Sequence[str], enabled: bool = True
    ) -> str:
        """Adds an endpoint whose filter lets jobs of these connections pass, or all where there are none."""
        now = to_milliseconds(self.clock.now())
        metadata = {"of": connections[0]} if connections else {}
        endpoint = make_endpoint(
            tenant=TENANT,
            order=order,
            batching=batching,
            filter=EventFilter(metadata=metadata),
            created_at=now,
            updated_at=now,
        )
        endpoint = replace(endpoint, url=self.far_side.url_of(endpoint.id))
        self.far_side.moods[endpoint.id] = Mood.GOOD
        self.run(self.endpoints.add(endpoint))
        if not enabled:
            self.turn(endpoint.id, on=False)
        self.pass_time(timedelta(seconds=3))  # longer than clocks may be apart
        return endpoint.id

    def publish(self, connection_id: str) -> None:
        """Has a job end."""
        job_id = self.log.end(TENANT, connection_id=connection_id, metadata={"of": connection_id})
        reached = [each for each in self.endpoints.by_id.values() if _passes(each, connection_id)]
        event = Published(
            job_id=job_id,
            connection_id=connection_id,
            endpoints=[each.id for each in reached],
            at=self.clock.now(),
        )
        self.published.append(event)

    def turn(self, endpoint_id: str, *, on: bool) -> None:
        """Enables or disables an endpoint, as the API does."""
        self.run(self.endpoints.change(TENANT, endpoint_id, lambda each: replace(each, enabled=on, failing_since=None)))
        self.run(self.receivers.note_due({endpoint_id: self.clock.now()}))
        self._see_endpoints()

    def replay(self, delivery_id: str) -> None:
        """Puts a delivery back, as the API does."""
        back = self.run(self.deliveries.put_back(TENANT, delivery_id, now=to_milliseconds(self.clock.now())))
        if back is not None:
            self.replayed.add(back.endpoint_id)
            self.witness.look(self.deliveries.by_id, self.clock.now())
            self.run(self.receivers.note_due({back.receiver: back.next_attempt_at}))

    def start(self) -> Life:
        """Starts another replica."""
        life = Life(self.chance)
        self.lives.append(life)

        async def begin() -> None:
            life.live(self._replica(life))

        self.run(begin())
        return life

    def set_away(self, *, away: bool) -> None:
        """Takes every store away, or brings them back."""
        for store in (self.deliveries, self.work, self.receivers, self.endpoints):
            store.away = away

    def come_to_rest(self) -> None:
        """Lets things be as they are for a while; then mends everything, and checks what has become of it."""
        self.set_away(away=False)
        self.pass_time(timedelta(minutes=1))
        self.far_side.moods |= dict.fromkeys(self.far_side.moods, Mood.GOOD)
        until_s = self.loop.time() + REST.total_seconds()
        while self.loop.time() < until_s and not self._is_at_rest():
            while sum(not life.dead for life in self.lives) < LIVING_AT_REST:
                self.start()
            self.pass_time(timedelta(seconds=5))
        assert not self.log.pending, f"{self.log.pending} events are not acknowledged"
        Ended(
            published=self.published,
            deliveries=list(self.deliveries.by_id.values()),
            sent=self.far_side.sent,
            endpoints=self.endpoints.by_id,
            disabled={each: since + SEEN for each, since in self.disabled_since.items()},
            once_disabled=frozenset(self.once_disabled),
            replayed=frozenset(self.replayed),
            most_attempts=MOST_ATTEMPTS,
        ).check()

    def end(self) -> None:
        """Ends every replica."""
        for life in self.lives:
            life.end_after(0)
        self.run(asyncio.sleep(1))
        self.loop.close()

    def _is_at_rest(self) -> bool:
        pending = any(each.state is State.PENDING for each in self.deliveries.by_id.values())
        return not pending and not self.log.pending

    def _see(self) -> None:
        self.witness.look(self.deliveries.by_id, self.clock.now())
        self._see_endpoints()

    def _see_endpoints(self) -> None:
        for each in self.endpoints.by_id.values():
            if each.enabled:
                self.disabled_since.pop(each.id, None)
            else:
                self.once_disabled.add(each.id)
                self.disabled_since.setdefault(each.id, self.clock.now())

    async def _replica(self, life: Life) -> None:
        """The service as `__main__` wires it."""
        deliveries, work, receivers, endpoints, log, far_side = (
            Mortal(life, each, watch=self._see)
            for each in (self.deliveries, self.work, self.receivers, self.endpoints, self.log, self.far_side)
        )
        targets = Targets(callbacks=cast("Any", None), endpoints=EndpointSigner(endpoint_secrets()))
        attempts = Attempts(
            far_side,
            store=work,
            targets=targets,
            schedule=RetrySchedule(CONFIG.retry_schedule),
            tally=Tally(FakeStatsStore(), clock=self.clock),
            clock=self.clock,
        )
        tools = Tools(
            receivers=receivers,
            endpoints=endpoints,
            work=work,
            chooser=Chooser(work, stored=Floor(log)),
            attempts=attempts,
            health=Health(endpoints, clock=self.clock, disable_after=CONFIG.disable_after),
            places=Places(CONFIG.concurrency),
            clock=self.clock,
            claim_time=1.5 * CONFIG.attempt_timeout,
        )
        dispatcher = Dispatcher(tools, hold=CONFIG.receiver_hold)
        news = News(receivers=receivers, dispatcher=dispatcher, signals=self.hub)
        self.hub.listeners[life] = news
        storing = Storing(deliveries=deliveries, announcer=news, clock=self.clock)
        collector = Collector(job_log=log, endpoints=endpoints, storing=storing)
        at_once = self.chance.choice((1, 2, 16))
        async with asyncio.TaskGroup() as group:
            group.create_task(dispatcher.run())
            group.create_task(news.run())
            group.create_task(self.log.run(collector.handle, at_once=at_once, step=life.step))


def _passes(endpoint: Endpoint, connection_id: str) -> bool:
    return endpoint.filter.metadata.get("of", connection_id) == connection_id


def new_connections(count: int) -> list[str]:
    """Connections of jobs."""
    return [ids.new_connection_id() for _ in range(count)]
