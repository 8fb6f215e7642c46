"""A sweep that is killed at any of its steps: nothing is lost, and nothing is in the archive twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from services.history.retention.domain import DAY
from tests import object_stores
from tests.fakes.doomed import Died
from tests.integration.history.retention.conftest import DAY_OF

if TYPE_CHECKING:
    from tests.integration.history.retention.conftest import Shelf

pytestmark = pytest.mark.usefixtures("no_stalls")
#: More steps than a sweep of one part has.
_MANY = 100
_READS = frozenset(
    {"get", "due", "marked", "marked_parts", "open", "of_day", "tenants", "removed", "left_over", "older"}
)


class Mortal:
    """The parts of a process that is killed after so many of their steps."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def part(self, part: object) -> Any:
        """A part of which each call that changes anything is a step."""
        mortal = self

        class _Part:
            def __getattr__(self, name: str) -> Any:
                method = getattr(part, name)
                return method if name in _READS else mortal.counted(method)

        return _Part()

    def counted(self, method: Any) -> Any:
        async def step(*args: Any, **given: Any) -> Any:
            if not self._left:
                raise Died
            self._left -= 1
            return await method(*args, **given)

        return step


async def killed_at(shelf: Shelf, step: int) -> bool:
    """Sweeps until it is killed; answers whether it was."""
    mortal = Mortal(step)
    jobs, parts, objects = (mortal.part(part) for part in (shelf.due, shelf.parts, shelf.objects))
    try:
        await shelf.sweep(jobs=jobs, parts=parts, objects=objects).sweep()
    except Died:
        await shelf.let_the_lease_run_out()
        return True
    return False


async def test_a_sweep_that_was_killed_is_gone_on_with(shelf: Shelf) -> None:
    expected: list[str] = []
    shelf.after(90)
    for step in range(_MANY):
        added = [await shelf.add() for _ in range(2)]
        expected += added
        killed = await killed_at(shelf, step)
        archived = set(await shelf.archived_ids()) if await shelf.parts.of_day("acme", DAY_OF) else set[str]()
        assert {*await shelf.listed(), *archived} >= set(expected)  # at any time each is somewhere
        if killed:
            assert await shelf.sweep().sweep()
        assert await shelf.archived_ids() == sorted(expected), f"after step {step}"
        assert not await shelf.listed()
        assert not await shelf.parts.open()
        if not killed:
            break
    assert 5 < step < _MANY  # all of them were tried
    names = await shelf.parts.names("acme")
    assert len(await object_stores.keys_in(shelf.objects)) == len(names) + 1  # and nothing is left beside


async def test_a_removal_that_was_killed_is_gone_on_with(shelf: Shelf) -> None:
    await shelf.retain(archives=DAY)
    for step in range(_MANY):
        await shelf.add()
        shelf.after(90)
        await shelf.sweep().sweep()
        assert len(await shelf.archived_ids()) == 1
        shelf.after(92)
        killed = await killed_at(shelf, step)
        if killed:
            await shelf.sweep().sweep()
        assert await object_stores.keys_in(shelf.objects) == [], f"after step {step}"
        if not killed:
            break
    assert 2 < step < _MANY


async def test_what_was_put_by_one_that_was_killed_and_is_another_by_now_is_not_left_beside(shelf: Shelf) -> None:
    job_id = await shelf.add()
    shelf.after(90)
    # it dies when it has put the part; then the job's document is changed, as by a later version of Penstock
    assert await killed_at(shelf, 2)
    (put,) = await object_stores.keys_in(shelf.objects)
    await shelf.jobs.update_one({"_id": job_id}, {"$unset": {"timeline": ""}})
    await shelf.sweep().sweep()
    assert await shelf.archived_ids() == [job_id]
    keys = await object_stores.keys_in(shelf.objects)
    assert put not in keys
    assert len(keys) == 2
