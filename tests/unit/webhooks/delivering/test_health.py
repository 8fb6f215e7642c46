"""How endpoints fare, and when that disables them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from services.webhooks.deliveries.domain import Outcome, Reason
from services.webhooks.delivering.health import Health
from services.webhooks.endpoints.domain import DisabledReason
from tests.fakes.deliveries import NOW

if TYPE_CHECKING:
    from services.webhooks.endpoints.domain import Endpoint
    from tests.unit.webhooks.delivering.conftest import World

OK = Outcome.of_status(200)
REFUSED = Outcome.of_status(500)
GONE = Outcome.of_status(410)


class Told:
    """Counts how often it was told of a disabled endpoint."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def health(world: World, told: Told) -> Health:
    return Health(world.endpoints, clock=world.time, disable_after=timedelta(days=5), disabled=told)


async def kept(world: World, endpoint: Endpoint) -> Endpoint:
    return (await world.endpoints.by_ids([endpoint.id]))[endpoint.id]


async def test_a_success_after_a_success_is_no_news(world: World, health: Health) -> None:
    endpoint = await world.endpoint()
    world.endpoints.away = True  # it is not asked
    with capture_logs() as lines:
        assert await health.after(endpoint, OK) == endpoint
    assert not lines


async def test_the_first_failure_is_noted_and_the_next_are_not(world: World, health: Health) -> None:
    endpoint = await health.after(await world.endpoint(), REFUSED)
    assert endpoint.failing_since == NOW == (await kept(world, endpoint)).failing_since
    world.time.advance(days=1)
    world.endpoints.away = True
    assert await health.after(endpoint, REFUSED) == endpoint


async def test_a_success_ends_it(world: World, health: Health) -> None:
    endpoint = await health.after(await world.endpoint(), REFUSED)
    endpoint = await health.after(endpoint, OK)
    assert endpoint.failing_since is None
    assert (await kept(world, endpoint)).failing_since is None


async def test_an_endpoint_that_has_failed_for_too_long_is_disabled_and_told_of(
    world: World, health: Health, told: Told
) -> None:
    endpoint = await health.after(await world.endpoint(), REFUSED)
    world.time.advance(days=5, seconds=-1)
    endpoint = await health.after(endpoint, REFUSED)
    assert endpoint.enabled
    world.time.advance(seconds=1)
    endpoint = await health.after(endpoint, REFUSED)
    assert not endpoint.enabled
    after = await kept(world, endpoint)
    assert (after.enabled, after.disabled_reason, after.disabled_at) == (False, DisabledReason.FAILING, world.time.at)
    assert [each.id for each in await world.endpoints.untold(limit=9)] == [endpoint.id]
    assert told.times == 1


async def test_what_another_replica_has_noted_counts(world: World, health: Health) -> None:
    endpoint = await world.endpoint()
    await world.endpoints.note_health(endpoint.id, failing_since=NOW - timedelta(days=6))
    assert not (await health.after(endpoint, REFUSED)).enabled


async def test_one_that_is_gone_is_disabled_at_once(world: World, health: Health, told: Told) -> None:
    endpoint = await health.after(await world.endpoint(), GONE)
    assert not endpoint.enabled
    assert (await kept(world, endpoint)).disabled_reason is DisabledReason.GONE
    await health.after(endpoint, GONE)
    assert told.times == 1


async def test_one_that_somebody_has_disabled_meanwhile_stays_as_it_was_disabled(
    world: World, health: Health, told: Told
) -> None:
    endpoint = await world.endpoint()
    asked = {"enabled": False, "disabled_reason": DisabledReason.ASKED, "disabled_at": NOW}
    await world.endpoints.change(endpoint.tenant, endpoint.id, lambda each: replace(each, **asked))
    assert not (await health.after(endpoint, GONE)).enabled
    assert (await kept(world, endpoint)).disabled_reason is DisabledReason.ASKED
    assert told.times == 0


@pytest.mark.parametrize("reason", [Reason.SECRET_UNREADABLE, Reason.INTERNAL])
async def test_of_our_own_faults_an_endpoint_is_innocent(world: World, health: Health, reason: Reason) -> None:
    endpoint = await world.endpoint(failing_since=NOW - timedelta(days=9))
    assert (await health.after(endpoint, Outcome(reason=reason))).enabled


async def test_one_that_was_deleted_meanwhile_is_nobodys(world: World, health: Health) -> None:
    endpoint = await world.endpoint()
    await world.endpoints.delete(endpoint.tenant, endpoint.id)
    assert await health.after(endpoint, REFUSED) == endpoint


async def test_what_cannot_be_noted_now_changes_nothing(world: World, health: Health) -> None:
    endpoint = await world.endpoint()
    world.endpoints.away = True
    with capture_logs() as lines:
        assert await health.after(endpoint, REFUSED) == endpoint
    assert [line["event"] for line in lines] == ["health_not_noted"]
