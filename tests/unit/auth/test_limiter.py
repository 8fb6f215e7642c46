"""What holds the limits while Redis is away."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from services.auth.limiter import LOCAL, Limiter
from services.auth.windows import LocalWindows, Mark, Repeated, Verdict, Window
from shared.errors import Unavailable
from tests.fakes.auth_windows import FakeWindows
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.unit.auth.conftest import World

WINDOW = Window("key", "k", 8)


class FakeShared(FakeWindows):
    """The windows of all replicas, and how often they were asked."""

    def __init__(self, world: World) -> None:
        super().__init__(monotonic=world.time.monotonic)
        self.asked = 0

    async def take(self, windows: Sequence[Window], mark: Mark | None = None) -> Verdict:
        self.asked += 1
        return await super().take(windows, mark)


@pytest.fixture
def shared(world: World) -> FakeShared:
    return FakeShared(world)


@pytest.fixture
def limiter(world: World, shared: FakeShared) -> Limiter:
    local = LocalWindows(monotonic=world.time.monotonic)
    return Limiter(shared=shared, local=local, share=0.25, monotonic=world.time.monotonic)


async def admitted(limiter: Limiter, count: int, window: Window = WINDOW) -> int:
    return sum([(await limiter.take([window])).admitted for _ in range(count)])


async def test_while_the_shared_windows_are_away_a_share_of_each_limit_passes(
    limiter: Limiter, shared: FakeShared
) -> None:
    shared.away = True
    assert await admitted(limiter, 20) == 2
    assert LOCAL._value.get() == 1


async def test_some_passes_of_every_limit_however_small(limiter: Limiter, shared: FakeShared) -> None:
    shared.away = True
    assert await admitted(limiter, 5, Window("key", "k", 1)) == 1


async def test_what_may_come_once_only_passes_by_the_shared_windows_alone(limiter: Limiter, shared: FakeShared) -> None:
    first, second = (Mark(place, timedelta(minutes=11)) for place in ("n1", "n2"))
    assert (await limiter.take([WINDOW], first)).admitted
    with pytest.raises(Repeated):
        await limiter.take([WINDOW], first)
    shared.away = True
    for _ in range(3):  # while it is found to be away, and while that is known
        with pytest.raises(Unavailable, match="signed request") as refused:
            await limiter.take([WINDOW], second)
        assert refused.value.metadata == {"dependency": "redis"}
        assert refused.value.retry_after == timedelta(seconds=1)
    assert await admitted(limiter, 5) == 2, "others go on"


async def test_nobody_waits_for_what_is_known_to_be_away(limiter: Limiter, shared: FakeShared) -> None:
    shared.away = True
    await admitted(limiter, 20)
    assert shared.asked == 1


async def test_the_shared_windows_hold_again_when_they_are_back_with_what_they_had_counted(
    limiter: Limiter, shared: FakeShared, world: World
) -> None:
    assert await admitted(limiter, 5) == 5
    shared.away = True
    await limiter.take([WINDOW])
    shared.away = False
    world.time.advance(seconds=1)
    await limiter.take([WINDOW])  # which has them tried beside it
    await eventually(lambda: LOCAL._value.get() == 0)
    assert await admitted(limiter, 20) == 3


async def test_what_stays_away_is_tried_once_a_second(limiter: Limiter, shared: FakeShared, world: World) -> None:
    shared.away = True
    await admitted(limiter, 5)
    for _ in range(3):
        world.time.advance(seconds=1)
        asked = shared.asked
        await admitted(limiter, 5)
        await eventually(lambda asked=asked: shared.asked == asked + 1)
        await admitted(limiter, 5)
        assert shared.asked == asked + 1


async def test_each_change_is_logged_once(
    limiter: Limiter, shared: FakeShared, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    shared.away = True
    await admitted(limiter, 10)
    shared.away = False
    world.time.advance(seconds=1)
    await limiter.take([WINDOW])
    await eventually(lambda: LOCAL._value.get() == 0)
    await admitted(limiter, 10)
    captured = capsys.readouterr()
    logged = captured.out + captured.err
    assert (logged.count("rate_limits_local"), logged.count("rate_limits_shared")) == (1, 1)
