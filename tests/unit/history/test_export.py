"""Exports: how many pages they read and when, and how they end."""

from __future__ import annotations

import json
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from services.history.jobs.domain import Filter
from services.history.listing.export import Exporter
from shared.errors import DeadlineExceeded, JobNotFound, Unavailable
from tests.bench import recorded
from tests.fakes.history_store import FakeHistory

if TYPE_CHECKING:
    from services.history.listing.store import Listed

PAGE = 4


class Lists(FakeHistory):
    """Counts the pages that are read, and may be away."""

    def __init__(self) -> None:
        super().__init__()
        self.read = 0
        self.away = False

    async def page(self, *arguments: Any, **named: Any) -> list[Listed]:
        if self.away:
            raise Unavailable("MongoDB does not answer")
        self.read += 1
        return await super().page(*arguments, **named)


@pytest.fixture
async def lists() -> Lists:
    lists = Lists()
    drawn = recorded.Generator(jobs=40, until=datetime.now(UTC)).drawn()
    await lists.apply([recorded.entry_of_drawn(each) for each in drawn])
    return lists


class World:
    """The time, and whether the replica stops."""

    seconds = 0.0
    stops = False


def exporter_of(lists: Lists, world: World | None = None) -> Exporter:
    world = world or World()
    return Exporter(
        lists,
        stopping=lambda: world.stops,
        longest=timedelta(minutes=5),
        page=PAGE,
        monotonic=lambda: world.seconds,
    )


def messages(exporter: Exporter, *, after: Any = None, remaining_s: float | None = None) -> Any:
    tenant = recorded.TENANTS[0]
    return aclosing(exporter.messages(tenant, Filter(), after=after, oldest_first=True, remaining_s=remaining_s))


async def lines_of(exporter: Exporter, **options: Any) -> list[dict[str, Any]]:
    async with messages(exporter, **options) as export:
        return [json.loads(line) async for message in export for line in message.data.splitlines()]


async def test_an_export_has_all_jobs_in_order_whatever_the_pages(lists: Lists) -> None:
    everything = await FakeHistory.page(lists, recorded.TENANTS[0], Filter(), after=None, limit=99, oldest_first=True)
    expected = [position.id for position, _ in everything]
    assert len(expected) > 3 * PAGE
    exporter = exporter_of(lists)
    assert [job["id"] for job in await lines_of(exporter)] == expected
    for done in (1, PAGE, len(expected) - PAGE, len(expected)):  # at the end of a page, and at that of the list
        after = await exporter.after(recorded.TENANTS[0], expected[done - 1])
        assert [job["id"] for job in await lines_of(exporter, after=after)] == expected[done:]


async def test_a_job_that_another_tenant_has_is_none_to_go_on_after(lists: Lists) -> None:
    [(position, _)] = await FakeHistory.page(lists, recorded.TENANTS[0], Filter(), after=None, limit=1)
    assert await exporter_of(lists).after(recorded.TENANTS[0], "") is None
    with pytest.raises(JobNotFound):
        await exporter_of(lists).after("other", position.id)


async def test_no_page_is_read_before_the_lines_of_the_one_before_are_sent(lists: Lists) -> None:
    async with messages(exporter_of(lists)) as export:
        opening = await anext(export)
        assert (opening.content_type, opening.data) == ("application/x-ndjson", b"")
        for read in (1, 2, 3):
            assert (await anext(export)).data.count(b"\n") == PAGE
            assert lists.read == read


async def test_what_is_not_whole_ends_with_an_error_and_what_is_whole_does_not(lists: Lists) -> None:
    world = World()
    for change, error in (({"seconds": 300.0}, DeadlineExceeded), ({"stops": True}, Unavailable)):
        async with messages(exporter_of(lists, world)) as export:
            await anext(export)
            vars(world).update(change)
            await anext(export)  # what was read is sent, so that the client comes further
            with pytest.raises(error, match=r"not whole: .*after_job_id"):
                await anext(export)
        vars(world).clear()
    lists.away = True
    async with messages(exporter_of(lists)) as export:
        with pytest.raises(Unavailable):
            await anext(export)  # nothing was sent yet: it is refused as any call is
    lists.away = False
    world.seconds = 300.0  # from the beginning: all is told as long as it is one message
    [(last, _)] = await FakeHistory.page(lists, recorded.TENANTS[0], Filter(), after=None, limit=1)
    assert await lines_of(exporter_of(lists, world), after=last, remaining_s=0.1) == []
