from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from penstock.events.v1 import notices_pb2

from services.auth.domain import Suspension, Tenant
from services.auth.tenant_notices import UntoldTenants
from shared import notices as notices_
from shared.errors import Unavailable
from shared.notices import Notices
from tests.unit.auth.conftest import START
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from shared.bus import Outgoing
    from tests.unit.auth.conftest import World


class Publisher:
    """Notes what is published; can fail, before it is on disk or after."""

    def __init__(self) -> None:
        self.taken: list[Outgoing] = []
        self.fails: list[str] = []
        self.before: Callable[[], Awaitable[object]] | None = None

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        before, self.before = self.before, None
        if before is not None:
            await before()
        failure = self.fails.pop(0) if self.fails else ""
        if failure != "lost":
            self.taken += messages
        if failure:
            raise Unavailable("NATS does not answer")

    @property
    def told(self) -> list[tuple[str, str]]:
        """Subjects and ids."""
        return [(message.subject, message.message_id) for message in self.taken]


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
def notices(world: World, publisher: Publisher) -> Notices[Tenant]:
    return Notices(UntoldTenants(world.store), publisher)


async def suspend(world: World, name: str = "acme", reason: str = "unpaid") -> None:
    await world.store.suspend_tenant(name, Suspension(at=world.time.now(), reason=reason, by="key_1"))


@asynccontextmanager
async def running(notices: Notices[Tenant]) -> AsyncIterator[None]:
    task = asyncio.create_task(notices.run())
    yield
    task.cancel()
    await asyncio.wait({task})


async def test_a_suspension_and_its_end_are_told_with_all_that_there_is_to_say(
    notices: Notices[Tenant], world: World, publisher: Publisher
) -> None:
    await suspend(world)
    await notices.tell()
    world.time.advance(minutes=5)
    await world.store.resume_tenant("acme", world.time.now())
    await notices.tell()
    await notices.tell()
    assert publisher.told == [("notices.tenant_suspended", "acme:1"), ("notices.tenant_resumed", "acme:2")]
    suspended, resumed = (notices_pb2.Notice.FromString(message.payload) for message in publisher.taken)
    assert (suspended.id, suspended.tenant, suspended.time.ToDatetime()) == (
        "acme:1",
        "acme",
        START.replace(tzinfo=None),
    )
    assert (suspended.tenant_suspended.revision, suspended.tenant_suspended.reason) == (1, "unpaid")
    assert suspended.tenant_suspended.suspended_at == suspended.time
    assert (resumed.tenant, resumed.WhichOneof("fact"), resumed.tenant_resumed.revision) == (
        "acme",
        "tenant_resumed",
        2,
    )
    assert resumed.time.ToDatetime() == (START + timedelta(minutes=5)).replace(tzinfo=None)


async def test_a_tenant_that_has_changed_twice_is_told_of_as_it_is_now(
    notices: Notices[Tenant], world: World, publisher: Publisher
) -> None:
    await suspend(world)
    await world.store.resume_tenant("acme", world.time.now())
    await notices.tell()
    assert publisher.told == [("notices.tenant_resumed", "acme:2")]


@pytest.mark.parametrize("failure", ["lost", "unacknowledged"])
async def test_what_was_not_acknowledged_is_told_again_under_the_same_id(
    notices: Notices[Tenant], world: World, publisher: Publisher, failure: str
) -> None:
    publisher.fails = [failure] * 2
    await suspend(world)
    async with running(notices):
        await eventually(lambda: not world.store.untold)
    assert set(publisher.told) == {("notices.tenant_suspended", "acme:1")}
    assert len(publisher.told) == (1 if failure == "lost" else 3)


async def test_what_a_replica_left_untold_is_told_at_the_start_of_another_one(
    world: World, publisher: Publisher
) -> None:
    await suspend(world)
    await suspend(world, "globex")
    async with running(Notices(UntoldTenants(world.store), publisher)):
        await eventually(lambda: not world.store.untold)
    assert {message_id for _, message_id in publisher.told} == {"acme:1", "globex:1"}


async def test_a_change_is_told_as_soon_as_it_is_made(
    notices: Notices[Tenant], world: World, publisher: Publisher
) -> None:
    async with running(notices):
        for revision, change in enumerate((suspend(world), suspend(world, reason="abuse")), start=1):
            await change
            notices.wake()
            await eventually(lambda revision=revision: len(publisher.taken) == revision)


async def test_what_another_replica_has_changed_and_not_told_is_found_without_a_signal(
    notices: Notices[Tenant], world: World, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices_, "LOOK_INTERVAL", timedelta(milliseconds=20))
    async with running(notices):
        await suspend(world)
        await eventually(lambda: publisher.told == [("notices.tenant_suspended", "acme:1")])


async def test_a_change_that_comes_while_the_one_before_is_told_is_not_lost(
    notices: Notices[Tenant], world: World, publisher: Publisher
) -> None:
    await suspend(world)
    publisher.before = lambda: world.store.resume_tenant("acme", world.time.now())
    await notices.tell()
    assert publisher.told == [("notices.tenant_suspended", "acme:1"), ("notices.tenant_resumed", "acme:2")]
    assert not world.store.untold


async def test_any_number_of_tenants_are_told_of(notices: Notices[Tenant], world: World, publisher: Publisher) -> None:
    names = [f"tenant-{number}" for number in range(2 * notices_.AT_ONCE + 1)]
    for name in names:
        await world.store.add_tenant(Tenant(name=name, created_at=START))
        await suspend(world, name)
    await notices.tell()
    assert sorted(message_id for _, message_id in publisher.told) == sorted(f"{name}:1" for name in names)
