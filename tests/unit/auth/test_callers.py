"""Who calls most, and what services report of it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from penstock.events.v1 import usage_pb2

from services.auth.callers import Callers
from services.auth.usage import Usage
from services.auth.usage_store import ALL, Counted, KeyDay, Measure
from shared.errors import InvalidArgument
from tests.fakes.auth_usage import FakeUsage

if TYPE_CHECKING:
    from services.auth.domain import Key
    from tests.unit.auth.conftest import World


@pytest.fixture
def store() -> FakeUsage:
    return FakeUsage()


@pytest.fixture
def usage(store: FakeUsage, world: World) -> Usage:
    return Usage(store=store, keys=world.store)


@pytest.fixture
def callers(store: FakeUsage, world: World) -> Callers:
    return Callers(usage=store, keys=world.store, clock=world.time)


async def made(world: World, tenant: str) -> Key:
    secret = await world.make_key(tenant)
    return next(key for key in world.store.by_id.values() if key.prefix == secret.prefix)


def report(key: Key, *, date: str = "2026-05-04", jobs: int = 0, errors: int = 0) -> bytes:
    use = usage_pb2.KeyUse(tenant=key.tenant, key_id=key.id, date=date, jobs=jobs, errors=errors)
    return usage_pb2.UsageReport(uses=[use]).SerializeToString()


async def test_what_services_report_is_part_of_a_keys_use(usage: Usage, callers: Callers, world: World) -> None:
    key = await made(world, "acme")
    usage.count(key, Counted.ALLOWED, world.time.now())
    await usage.reported(report(key, jobs=3))
    await usage.reported(report(key, jobs=4, errors=1))
    await usage.flush()
    [(_, counts)] = await callers.usage_of(key, 1)
    assert counts == {Counted.ALLOWED: 1, Counted.JOBS: 7, Counted.ERRORS: 1}


@pytest.mark.parametrize("payload", [b"\xff", b"nonsense"], ids=str)
async def test_a_report_that_is_none_changes_nothing(usage: Usage, store: FakeUsage, payload: bytes) -> None:
    await usage.reported(payload)
    await usage.flush()
    assert store.days == {}


async def test_a_report_of_no_day_changes_nothing(usage: Usage, store: FakeUsage, world: World) -> None:
    await usage.reported(report(await made(world, "acme"), date="yesterday", jobs=1))
    await usage.flush()
    assert store.days == {}


async def test_the_top_callers_are_told_with_all_that_was_counted(
    store: FakeUsage, callers: Callers, world: World
) -> None:
    busy, idle, theirs = await made(world, "acme"), await made(world, "acme"), await made(world, "globex")
    today = world.time.now().date()
    days = [(busy, today, 5), (busy, today - timedelta(days=6), 5), (busy, today - timedelta(days=7), 50)]
    for key, day, count in [*days, (idle, today, 1), (theirs, today, 7)]:
        await store.add({KeyDay(key.tenant, key.id, day): {Counted.ALLOWED: count, Counted.JOBS: 1}})
    await store.add({KeyDay("acme", "key_gone", today): {Counted.ALLOWED: 100}})  # a key that is not there

    top = await callers.top("acme", Measure.REQUESTS, days=0, limit=0)
    assert [(each.key.id, each.counts[Counted.ALLOWED], each.counts[Counted.JOBS]) for each in top] == [
        (busy.id, 10, 2),
        (idle.id, 1, 1),
    ]
    everybody = await callers.top(ALL, Measure.REQUESTS, days=7, limit=3)
    assert [each.key.id for each in everybody] == [busy.id, theirs.id]


@pytest.mark.parametrize(
    ("days", "limit", "field"), [(-1, 0, "days"), (91, 0, "days"), (0, -1, "limit"), (0, 101, "limit")]
)
async def test_what_is_not_kept_cannot_be_asked_for(callers: Callers, days: int, limit: int, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await callers.top("acme", Measure.REQUESTS, days=days, limit=limit)
    assert [violation.field for violation in refused.value.violations] == [field]
