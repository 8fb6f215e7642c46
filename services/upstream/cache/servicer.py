"""CacheService: forgets a tenant's answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.upstream.v1 import cache_pb2, cache_pb2_grpc

from services.upstream.cache.entries import Scope
from shared import ids, observability
from shared.errors import FieldViolation, InvalidArgument, Unavailable, UpstreamNotFound, shown
from shared.rpc.call import current_tenant

if TYPE_CHECKING:
    import grpc

    from services.upstream.cache.bodies import Bodies
    from services.upstream.cache.bound import Bound
    from services.upstream.cache.flights import Flights
    from services.upstream.cache.store import AnswerStore, Takes
    from services.upstream.catalogue import Catalogue

log = observability.logger()

#: The fields that name a connection, as callers write them.
_CONNECTION_FIELDS = {"connection_id": "connectionId", "token_id": "tokenId"}


class CacheServicer(cache_pb2_grpc.CacheServiceServicer):
    """Forgets, for whoever is the tenant.

    Args:
        catalogue: Knows which upstreams and methods there are.
        store: Has the answers.
        bodies: Has what of them is large.
        flights: Wakes those who wait for a call that is forgotten.
        bound: Notes what is left.
    """

    def __init__(
        self, catalogue: Catalogue, *, store: AnswerStore, bodies: Bodies, flights: Flights, bound: Bound
    ) -> None:
        self._catalogue = catalogue
        self._store = store
        self._bodies = bodies
        self._flights = flights
        self._bound = bound

    async def InvalidateCache(  # noqa: N802  gRPC's name
        self, request: cache_pb2.InvalidateCacheRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> cache_pb2.InvalidateCacheResponse:
        """Forgets the tenant's answers that fit all that is given."""
        del context
        entries = await self.forget(current_tenant(), self._scope(request))
        return cache_pb2.InvalidateCacheResponse(entries=entries)

    async def forget(self, tenant: str, wanted: Scope) -> int:
        """Forgets a tenant's answers that fit, wherever they are; answers with how many.

        Raises:
            Unavailable: The store is away; any of them may be forgotten.
        """
        count, last = 0, ""
        while True:
            step = await self._store.forget(tenant, wanted, after=last)
            count, last = count + step.count, step.last
            await self._flights.tell(step.waited)
            await self._bodies.delete(step.stale)
            if not last:
                break
        await self._note(step.takes)
        log.info("cache_invalidated", tenant=tenant, entries=count, upstream=wanted.upstream, method=wanted.method)
        return count

    def _scope(self, request: cache_pb2.InvalidateCacheRequest) -> Scope:
        """Which answers are meant.

        Raises:
            InvalidArgument: A field names nothing that there is.
        """
        violations = [*self._connection_faults(request), *self._method_faults(request.upstream, request.method)]
        if violations:
            raise InvalidArgument.of(violations)
        connection = request.connection_id or request.token_id  # pyright: ignore[reportDeprecated]  it goes on to work
        return Scope(connection=connection, upstream=request.upstream, method=request.method)

    def _connection_faults(self, request: cache_pb2.InvalidateCacheRequest) -> list[FieldViolation]:
        named = request.WhichOneof("connection")
        if named is None:
            return []
        connection: str = getattr(request, named)
        if ids.is_connection_id(connection):
            return []
        field = _CONNECTION_FIELDS[named]
        return [FieldViolation(field, f"{shown(connection)} is no id of a connection; one looks like con_0198c6f2-…")]

    def _method_faults(self, upstream: str, method: str) -> list[FieldViolation]:
        upstreams = self._catalogue.upstreams()
        if upstream:
            try:
                upstreams = [self._catalogue.upstream(upstream)]
            except UpstreamNotFound as error:
                return [FieldViolation("upstream", error.message)]
        if not method or any(each.method(method) is not None for each in upstreams):
            return []
        whose = f"the upstream {upstream}" if upstream else "no upstream"
        verb = "has no" if upstream else "has a"
        return [
            FieldViolation(
                "method", f"{whose} {verb} method {shown(method)}; GET /api/v1/upstreams lists what there is"
            )
        ]

    async def _note(self, takes: Takes) -> None:
        try:
            await self._bound.note(takes)
        except Unavailable as error:  # it is noted with the tenant's next answer; what was forgotten is
            log.warning("cache_not_noted", error=error.message)
