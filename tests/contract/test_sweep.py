"""What a sweep removes, from the fake store and from the real one behind the S3 API."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from shared.errors import Unavailable
from shared.objects import (
    OF_INTAKE,
    OF_UPSTREAM,
    Objects,
    Sweep,
    incoming_key,
    params_key,
    result_key,
    upload_key,
)
from tests.fakes.objects import FakeObjects
from tests.object_stores import keys_in
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

    Store = Objects | FakeObjects

KEYS = {
    "incoming": incoming_key("acme", "upl_1"),
    "params": params_key("acme", bytes(32)),
    "uploads": upload_key("acme", "upl_1"),
    "results": result_key("acme", "http-1", 1),
}


class Later:
    """A clock some days ahead."""

    def __init__(self, days: float) -> None:
        self._ahead = timedelta(days=days)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead


@pytest.fixture(params=["fake", "real"])
def store(request: pytest.FixtureRequest) -> Store:
    return FakeObjects() if request.param == "fake" else request.getfixturevalue("objects")


def sweep_of(store: Store, *, days: float, prefixes: Sequence[str] = OF_INTAKE, interval: float = 0) -> Sweep:
    return Sweep(store, prefixes=prefixes, clock=Later(days), interval=timedelta(seconds=interval))


async def there(store: Store) -> set[str]:
    found = await keys_in(store) if isinstance(store, Objects) else list(store.objects)
    return {name for name, key in KEYS.items() if key in found}


@pytest.mark.parametrize(
    ("days", "left"),
    [
        (0.9, {"incoming", "params", "uploads", "results"}),
        (1.1, {"params", "uploads", "results"}),
        (7.9, {"params", "uploads", "results"}),
        (8.1, {"uploads", "results"}),
        (15.1, {"results"}),
    ],
)
async def test_each_kind_has_its_time_and_intake_sweeps_its_own(store: Store, days: float, left: set[str]) -> None:
    for key in KEYS.values():
        await store.put(key, b"x", content_type="text/plain")
    assert await sweep_of(store, days=days).sweep() == 4 - len(left)
    assert await there(store) == left
    assert await sweep_of(store, days=days).sweep() == 0


async def test_results_go_with_history(store: Store) -> None:
    await store.put(KEYS["results"], b"x", content_type="text/plain")
    assert await sweep_of(store, days=89.9, prefixes=OF_UPSTREAM).sweep() == 0
    assert await sweep_of(store, days=90.1, prefixes=OF_UPSTREAM).sweep() == 1


async def test_more_than_a_page_of_objects_is_swept(store: Store) -> None:
    keys = [incoming_key("acme", f"upl_{number}") for number in range(1005)]
    for start in range(0, len(keys), 100):
        part = keys[start : start + 100]
        await asyncio.gather(*(store.put(key, b"x", content_type="text/plain") for key in part))
    assert await sweep_of(store, days=2).sweep() == 1005
    assert await sweep_of(store, days=2).sweep() == 0


async def test_a_sweep_goes_on_after_the_store_was_away() -> None:
    store = FakeObjects()
    await store.put(KEYS["incoming"], b"x", content_type="text/plain")
    store.away = True
    sweep = sweep_of(store, days=2, interval=0.01)
    with pytest.raises(Unavailable):
        await sweep.sweep()
    running = asyncio.create_task(sweep.run())
    store.away = False
    await eventually(lambda: not store.objects)
    running.cancel()


async def test_without_an_interval_nothing_is_swept() -> None:
    store = FakeObjects()
    await store.put(KEYS["incoming"], b"x", content_type="text/plain")
    running = asyncio.create_task(sweep_of(store, days=100).run())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not running.done()
    assert len(store.objects) == 1
    running.cancel()
