"""What the upstream service holds of a tenant or a connection, as it is exported and erased."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.holdings.v1 import holdings_pb2_grpc

from services.upstream.cache.entries import Scope
from shared.holdings import SERVICE, Erased, HoldingServicer, Page, Shelf
from shared.holdings.objects import JobObjectsShelf, ObjectShelf
from shared.holdings.redis import RedisShelf
from shared.objects import OF_UPSTREAM

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from typing import Protocol

    import grpc

    from shared import kv
    from shared.holdings import Subject
    from shared.objects import Objects

    class Forgetting(Protocol):
        """Forgets answers; `services.upstream.cache.servicer.CacheServicer` is one."""

        async def forget(self, tenant: str, wanted: Scope) -> int:
            """Forgets a tenant's answers that fit, wherever they are; answers with how many."""
            ...


def servicer(
    redis: kv.Client, objects: Objects, cache: Forgetting
) -> tuple[Callable[[Any, grpc.aio.Server], None], HoldingServicer, str]:
    """HoldingService, as the server takes it.

    Args:
        redis: Keeps the cache.
        objects: Keeps results, and what is large of the cache.
        cache: Forgets answers.
    """
    results, cached = OF_UPSTREAM
    shelves: Sequence[Shelf] = (
        CacheShelf(redis, cache),
        ObjectShelf("objects.cache", objects, cached),
        JobObjectsShelf("objects.results", objects, results),
    )
    return holdings_pb2_grpc.add_HoldingServiceServicer_to_server, HoldingServicer(shelves), SERVICE


class CacheShelf(RedisShelf):
    """Cached answers, a connection's too. All of them go, however new: they can be had again.

    Args:
        client: Connected, or to be.
        cache: Forgets them, and what is large of them.
    """

    def __init__(self, client: kv.Client, cache: Forgetting) -> None:
        super().__init__("redis.cache", client, lambda tenant: f"{{cache:{tenant}}}:")
        self._cache = cache

    async def export(self, subject: Subject, after: str) -> Page:
        """See `Shelf`: what is here is a copy of results."""
        del subject, after
        return Page()

    async def erase(self, subject: Subject, *, before: datetime) -> Erased:
        """See `Shelf`. To forget is to note what is left, so of who has nothing nothing is forgotten."""
        if not await self.holds_any(subject.tenant):
            return Erased()
        wanted = Scope(connection=subject.connection_id, upstream="", method="")
        forgotten = await self._cache.forget(subject.tenant, wanted)
        rest = await super().erase(subject, before=before)
        return Erased(removed=forgotten + rest.removed)
