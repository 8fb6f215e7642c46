"""Which upstreams there are, and that what the catalogue says of their limits comes into force."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import pytest
from penstock.upstream.v1 import upstream_pb2

from services.scheduler.limits import Budget, Pause
from services.scheduler.settings import Settings
from services.scheduler.suspensions import Suspensions
from services.scheduler.upstreams import Upstreams
from shared.clock import SystemClock
from shared.errors import InvalidArgument, Unavailable, UpstreamNotFound
from tests.fakes.bucket import FakeBucket
from tests.fakes.queue_settings import Announced, SetQueue
from tests.fakes.tenant_notices import notice
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Catalogue:
    """The upstream service: a page for each upstream."""

    def __init__(self) -> None:
        self.concurrency = {"flickr": 2, "http": 0}
        self.away = False

    async def ListUpstreams(self, request: upstream_pb2.ListUpstreamsRequest) -> upstream_pb2.ListUpstreamsResponse:
        if self.away:
            raise Unavailable("the upstream service does not answer")
        names = sorted(self.concurrency)
        name = request.page_token or names[0]
        upstream = upstream_pb2.Upstream(name=name)
        upstream.limits.upstream.concurrency = self.concurrency[name]
        rest = names[names.index(name) + 1 :]
        return upstream_pb2.ListUpstreamsResponse(upstreams=[upstream], next_page_token=rest[0] if rest else "")


class Kept:
    """A keeper that notes whose queues it keeps."""

    def __init__(self) -> None:
        self.upstreams: list[str] = []

    async def run(self, upstream: str) -> None:
        self.upstreams.append(upstream)
        await asyncio.Event().wait()


class Around:
    """The upstreams, and what is around them."""

    def __init__(self) -> None:
        self.catalogue = Catalogue()
        self.keeper = Kept()
        self.queue = SetQueue()
        bucket, queue, signals = FakeBucket(), cast("Any", self.queue), Announced()
        self.suspensions = Suspensions(bucket=bucket, queue=queue, signals=signals)
        self.upstreams = Upstreams(
            cast("Any", self.catalogue),
            keeper=cast("Any", self.keeper),
            settings=Settings(bucket=bucket, queue=queue, signals=signals, clock=SystemClock()),
            suspensions=self.suspensions,
        )

    @property
    def concurrency(self) -> dict[str, int]:
        """What is in force."""
        return {upstream: rules.limits.upstream.concurrency for upstream, rules in sorted(self.queue.rules.items())}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.upstreams.run())
        yield
        task.cancel()
        await asyncio.wait({task})


@pytest.fixture
def around() -> Around:
    return Around()


async def test_every_upstream_is_kept_by_the_limits_of_the_catalogue(around: Around) -> None:
    async with around.running():
        await eventually(lambda: around.concurrency == {"flickr": 2, "http": 0})
        assert sorted(around.keeper.upstreams) == ["flickr", "http"]
        assert await around.upstreams.names() == ["flickr", "http"]


async def test_a_new_catalogue_comes_into_force_and_no_queue_is_kept_twice(around: Around) -> None:
    async with around.running():
        await eventually(lambda: around.concurrency == {"flickr": 2, "http": 0})
        around.catalogue.concurrency = {"flickr": 5, "http": 0, "mail": 1}
        await around.upstreams.find("mail")  # not known yet, so that the catalogue is asked
        await eventually(lambda: around.concurrency == {"flickr": 5, "http": 0, "mail": 1})
        assert sorted(around.keeper.upstreams) == ["flickr", "http", "mail"]


async def test_who_is_suspended_is_so_in_an_upstream_that_comes_later_too(around: Around) -> None:
    await around.suspensions.take([notice("acme", 1)])
    async with around.running():
        await eventually(lambda: set(around.queue.in_force) == {("flickr", "acme", ""), ("http", "acme", "")})
        around.catalogue.concurrency["mail"] = 1
        await around.upstreams.find("mail")
        await eventually(lambda: ("mail", "acme", "") in around.queue.in_force)


async def test_what_redis_did_not_take_is_tried_again(around: Around) -> None:
    async def away() -> None:
        raise Unavailable("Redis does not answer")

    around.queue.interrupt = away
    async with around.running():
        await eventually(lambda: around.concurrency == {"flickr": 2, "http": 0})


async def test_a_queue_that_was_rebuilt_has_all_of_it_brought_into_force_again(around: Around) -> None:
    async with around.running():
        await eventually(lambda: around.concurrency == {"flickr": 2, "http": 0})
        around.queue.rules.clear()
        around.queue.pauses["flickr", "acme", ""] = Pause(tenant="acme")  # taken back, and Redis lost that write
        around.upstreams.renew("flickr")
        await eventually(lambda: around.queue.rules and not around.queue.pauses)
        assert around.queue.rules["flickr"].limits.upstream == Budget(concurrency=2)


async def test_a_name_that_no_catalogue_has_is_refused_with_those_that_it_has(around: Around) -> None:
    with pytest.raises(UpstreamNotFound, match="there are: flickr, http"):
        await around.upstreams.find("flicker")
    with pytest.raises(InvalidArgument, match="it takes one of flickr, http"):
        await around.upstreams.require("flicker")
    await around.upstreams.find("flickr")
    await around.upstreams.require("http")


async def test_what_was_seen_is_known_while_the_catalogue_is_away(around: Around) -> None:
    await around.upstreams.find("flickr")
    around.catalogue.away = True
    await around.upstreams.find("http")
    assert await around.upstreams.names() == ["flickr", "http"]
    with pytest.raises(Unavailable):
        await around.upstreams.find("mail")
