"""What every kind of window does: those of one process, and those in Redis that all replicas share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.auth import windows as windows_
from services.auth.windows import (
    LocalWindows,
    Mark,
    RedisWindows,
    Repeated,
    Standing,
    Verdict,
    Window,
    place_of_key,
    place_of_nonce,
    place_of_tenant,
)
from shared import kv
from shared.config import Secret
from shared.errors import Unavailable
from tests.fakes.auth_windows import FakeWindows
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from services.auth.windows import Windows

CLOCK = Path(__file__).parents[1] / "fakes" / "auth_clock.lua"
START_MS = 1_800_000_000_250
KEY = Window("key", place_of_key("acme", "key_1"), 3)
TENANT = Window("tenant", place_of_tenant("acme"), 5)


class Timed(Protocol):
    """Windows whose time a test sets."""

    async def take(self, windows: Sequence[Window], mark: Mark | None = None) -> Verdict: ...

    async def at(self, seconds: float) -> None: ...


@dataclass
class TimedLocal:
    now_ms: int = START_MS

    def __post_init__(self) -> None:
        self._windows = self.made(lambda: self.now_ms / 1000)

    def made(self, monotonic: Callable[[], float]) -> Windows:
        return LocalWindows(monotonic=monotonic)

    async def take(self, windows: Sequence[Window], mark: Mark | None = None) -> Verdict:
        return await self._windows.take(windows, mark)

    async def at(self, seconds: float) -> None:
        self.now_ms = START_MS + round(seconds * 1000)


class TimedFake(TimedLocal):
    def made(self, monotonic: Callable[[], float]) -> Windows:
        return FakeWindows(monotonic=monotonic)


@dataclass
class TimedRedis:
    client: kv.Client

    def __post_init__(self) -> None:
        self._windows: Windows = RedisWindows(self.client, clock=CLOCK)

    async def take(self, windows: Sequence[Window], mark: Mark | None = None) -> Verdict:
        return await self._windows.take(windows, mark)

    async def at(self, seconds: float) -> None:
        await self.client.set("auth-test-clock", START_MS + round(seconds * 1000))


@pytest.fixture
def local() -> TimedLocal:
    return TimedLocal()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis is not away because this machine is busy."""
    monkeypatch.setattr(windows_, "PATIENCE", kv.TIMEOUT)


@pytest.fixture
def fake() -> TimedFake:
    return TimedFake()


@pytest.fixture
async def shared(redis: kv.Client) -> TimedRedis:
    windows = TimedRedis(redis)
    await windows.at(0)
    return windows


@pytest.fixture(params=["local", "fake", "shared"])
def windows(request: pytest.FixtureRequest) -> Timed:
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["fake", "shared"])
def marking(request: pytest.FixtureRequest) -> Timed:
    return request.getfixturevalue(request.param)


async def test_as_many_pass_as_the_limit_says(windows: Timed) -> None:
    verdicts = [await windows.take([KEY]) for _ in range(5)]
    assert [verdict.admitted for verdict in verdicts] == [True, True, True, False, False]
    assert [verdict.standings[0].remaining for verdict in verdicts] == [2, 1, 0, 0, 0]


async def test_what_is_over_after_a_minute_is_free_again_a_second_later_at_most(windows: Timed) -> None:
    for second in (0, 10, 20):
        await windows.at(second)
        assert (await windows.take([KEY])).admitted
    await windows.at(60)
    assert (await windows.take([KEY])).standings == (Standing(KEY, 0, 1),)
    await windows.at(61)
    assert (await windows.take([KEY])).standings == (Standing(KEY, 0, 10),)
    await windows.at(70.7)
    assert not (await windows.take([KEY])).admitted
    await windows.at(71)
    assert (await windows.take([KEY])).admitted


async def test_a_window_unused_for_long_is_as_new(windows: Timed) -> None:
    for _ in range(3):
        await windows.take([KEY])
    await windows.at(5000)
    assert (await windows.take([KEY])).standings == (Standing(KEY, 2, 61),)


async def test_a_request_counts_in_all_of_its_windows_or_in_none(windows: Timed) -> None:
    other = Window("key", place_of_key("acme", "key_2"), 10)
    for _ in range(6):
        await windows.take([KEY, TENANT])
    verdicts = [await windows.take([other, TENANT]) for _ in range(4)]
    assert [verdict.admitted for verdict in verdicts] == [True, True, False, False]
    assert verdicts[-1].standings == (Standing(other, 8, 61), Standing(TENANT, 0, 61))
    assert verdicts[-1].full == (Standing(TENANT, 0, 61),)


async def test_another_limit_holds_at_once_and_loses_no_count(windows: Timed) -> None:
    for _ in range(3):
        await windows.take([KEY])
    more, fewer = Window("key", KEY.place, 5), Window("key", KEY.place, 2)
    assert not (await windows.take([fewer])).admitted
    assert [(await windows.take([more])).admitted for _ in range(3)] == [True, True, False]


async def test_concurrent_requests_pass_exactly_as_the_limit_says(windows: Timed) -> None:
    window = Window("key", KEY.place, 50)
    verdicts = await asyncio.gather(*(windows.take([window]) for _ in range(300)))
    assert sum(verdict.admitted for verdict in verdicts) == 50


@pytest.mark.usefixtures("patient")
async def test_many_replicas_on_one_subject_let_pass_exactly_the_limit(redis_url: str, redis: kv.Client) -> None:
    clients = [await kv.connect(Secret(redis_url)) for _ in range(8)]
    try:
        replicas = [TimedRedis(client) for client in clients]
        await replicas[0].at(0)
        window = Window("key", KEY.place, 500)
        calls = [replica.take([window, TENANT_WIDE]) for _ in range(150) for replica in replicas]
        verdicts = await asyncio.gather(*calls)
    finally:
        for client in clients:
            await kv.close(client)
    assert sum(verdict.admitted for verdict in verdicts) == 500
    left = sorted(verdict.standings[0].remaining for verdict in verdicts if verdict.admitted)
    assert left == list(range(500)), "each of them was told of another place"


def mark_of(nonce: str = "nonce-0123456789", *, kept_s: float = 660) -> Mark:
    return Mark(place_of_nonce("acme", "key_1", nonce), timedelta(seconds=kept_s))


async def test_what_may_come_once_only_is_counted_once(marking: Timed) -> None:
    assert (await marking.take([KEY, TENANT], mark_of())).standings == (Standing(KEY, 2, 61), Standing(TENANT, 4, 61))
    for _ in range(5):
        with pytest.raises(Repeated):
            await marking.take([KEY, TENANT], mark_of())
    verdict = await marking.take([KEY, TENANT], mark_of("another-one-56789"))
    assert verdict.standings == (Standing(KEY, 1, 61), Standing(TENANT, 3, 61)), "copies count in no window"


async def test_what_found_no_room_leaves_no_mark_and_may_come_again(marking: Timed) -> None:
    for number in range(3):
        await marking.take([KEY], mark_of(f"nonce-{number}"))
    assert not (await marking.take([KEY], mark_of())).admitted
    with pytest.raises(Repeated):  # and not that it has no room, which would have it sent again
        await marking.take([KEY], mark_of("nonce-0"))
    await marking.at(61)
    assert (await marking.take([KEY], mark_of())).admitted


async def test_a_mark_is_gone_after_its_time(marking: Timed, redis: kv.Client) -> None:
    mark = mark_of(kept_s=0.05)
    assert (await marking.take([KEY], mark)).admitted
    if isinstance(marking, TimedRedis):  # which forgets by its server's own time
        await eventually(lambda: _is_gone(redis, mark), what="the end of the mark")
    await marking.at(0.06)
    assert (await marking.take([KEY], mark)).admitted


async def _is_gone(redis: kv.Client, mark: Mark) -> bool:
    return await redis.exists(mark.place) == 0


async def test_a_mark_lies_with_its_tenant_in_one_size_and_has_an_end(shared: TimedRedis, redis: kv.Client) -> None:
    mark = mark_of("x" * 128)
    await shared.take([KEY, TENANT], mark)
    assert mark.place.startswith("{auth:tenant:acme}:nonce:")
    assert len(mark.place) == len(mark_of().place) == len("{auth:tenant:acme}:nonce:") + 22
    assert 659_000 < await redis.pttl(mark.place) <= 660_000
    assert await redis.memory_usage(mark.place) < 160, "as docs/operations.md has it"


@given(
    st.lists(st.tuples(st.from_regex(r"key_[a-z0-9]{1,4}", fullmatch=True), st.text("ab\n1", min_size=1)), unique=True)
)
def test_no_two_nonces_have_one_mark(nonces: list[tuple[str, str]]) -> None:
    assert len({place_of_nonce("acme", *nonce) for nonce in nonces}) == len(nonces)


@pytest.mark.usefixtures("patient")
async def test_of_many_copies_at_many_replicas_one_is_counted(redis_url: str, redis: kv.Client) -> None:
    clients = [await kv.connect(Secret(redis_url)) for _ in range(4)]
    try:
        replicas = [TimedRedis(client) for client in clients]
        await replicas[0].at(0)
        for number in range(5):
            calls = [replica.take([TENANT_WIDE], mark_of(f"n{number}")) for _ in range(25) for replica in replicas]
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert sum(isinstance(outcome, Verdict) for outcome in outcomes) == 1
            assert sum(isinstance(outcome, Repeated) for outcome in outcomes) == 99
        assert (await replicas[0].take([TENANT_WIDE])).standings[0].remaining == TENANT_WIDE.limit - 6
    finally:
        for client in clients:
            await kv.close(client)


TENANT_WIDE = Window("tenant", TENANT.place, 100_000)
steps = st.lists(
    st.tuples(st.one_of(st.integers(0, 3), st.integers(0, 130)), st.integers(1, 4), st.integers(1, 6)), max_size=40
)


@pytest.mark.usefixtures("patient")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=steps)
async def test_redis_says_what_one_process_says(
    shared: TimedRedis, redis: kv.Client, history: list[tuple[int, int, int]]
) -> None:
    await redis.flushall()
    local, now = TimedLocal(), 0.0
    for pause, key_limit, tenant_limit in history:
        now += pause / 2
        asked = [Window("key", KEY.place, key_limit), Window("tenant", TENANT.place, tenant_limit)]
        await shared.at(now)
        await local.at(now)
        assert await shared.take(asked) == await local.take(asked)


async def test_nothing_stays_of_a_subject_that_is_not_heard_of_again(shared: TimedRedis, redis: kv.Client) -> None:
    await shared.take([KEY, TENANT])
    for place in (KEY.place, TENANT.place):
        assert 61 < await redis.ttl(place) <= 122


async def test_windows_of_one_subject_share_its_hash_tag(shared: TimedRedis) -> None:
    assert {window.place.partition("}")[0] for window in (KEY, TENANT)} == {"{auth:tenant:acme"}


@pytest.mark.parametrize("back_s", [1, 30, 60, 3600])
async def test_a_clock_that_is_set_back_neither_opens_the_door_for_long_nor_shuts_it(
    shared: TimedRedis, back_s: int
) -> None:
    await shared.at(10_000)
    for _ in range(3):
        await shared.take([KEY])
    await shared.at(10_000 - back_s)
    verdicts = [await shared.take([KEY]) for _ in range(4)]
    assert sum(verdict.admitted for verdict in verdicts) == (3 if back_s > 61 else 0)
    await shared.at(10_000 - back_s + 122)
    assert (await shared.take([KEY])).admitted


async def test_a_server_that_is_silent_is_away_and_answers_again_when_it_is_not(
    redis_url: str, shared: TimedRedis
) -> None:
    other = await kv.connect(Secret(redis_url))
    await shared.take([KEY])
    await other.execute_command("CLIENT", "PAUSE", 1000, "ALL")
    try:
        answers = await asyncio.gather(*(shared.take([KEY]) for _ in range(3)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {Unavailable}
    finally:
        await kv.ping(other)  # is answered when the pause is over
        await kv.close(other)
    verdict = await shared.take([TENANT])
    assert verdict.standings == (Standing(TENANT, 4, 61),), "no connection holds the answer to an earlier question"
