"""Making, showing, changing and deleting endpoints: the rules of `orders` over a store.

The document of an endpoint is the truth. What follows from a change of it (that what waits for one that was disabled is
skipped, for one that was deleted ends as failed, for one with another URL goes there) is done by whoever works its
receiver, who looks at the document before anything is begun. A change is told so that this is soon; where that is lost,
it is when the next delivery is due.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from services.webhooks.deliveries.domain import to_milliseconds
from services.webhooks.endpoints import orders, rules
from services.webhooks.endpoints.domain import Endpoint
from services.webhooks.errors import EndpointLimitReached, EndpointNotFound
from shared import ids, observability
from shared.errors import InvalidArgument, Unavailable, shown
from shared.sealing import SealBrokenError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from services.webhooks.endpoints.changes import Changes
    from services.webhooks.endpoints.orders import ChangeOrder, EndpointOrder
    from services.webhooks.endpoints.rules import Rules
    from services.webhooks.endpoints.secrets import EndpointSecrets
    from services.webhooks.endpoints.store import EndpointStore
    from shared.clock import Clock
    from shared.identity import Principal
    from shared.paging import Position

log = observability.logger()


class Endpoints:
    """The endpoints of all tenants.

    Args:
        store: Where they are kept.
        secrets: Makes and opens what they keep secret.
        rules: What their parts may be.
        changes: Tells of those that were made.
        limit: How many a tenant may have.
        grace: How long an old secret signs beside its successor, unless that is asked for otherwise.
        clock: The time.
    """

    def __init__(
        self,
        *,
        store: EndpointStore,
        secrets: EndpointSecrets,
        rules: Rules,
        changes: Changes,
        limit: int,
        grace: timedelta,
        clock: Clock,
    ) -> None:
        self._store = store
        self._secrets = secrets
        self._rules = rules
        self._changes = changes
        self._limit = limit
        self._grace = grace
        self._clock = clock

    async def create(self, order: EndpointOrder, *, maker: Principal) -> Endpoint:
        """Makes an endpoint.

        Raises:
            InvalidArgument: The order is wrong.
            EndpointLimitReached: The maker's tenant has as many as it may have.
            Unavailable: MongoDB is away.
        """
        violations = list(order.violations(self._rules))
        if violations:
            raise InvalidArgument.of(violations)
        endpoint_id, tenant, now = ids.new_endpoint_id(), maker.tenant, to_milliseconds(self._clock.now())
        endpoint = Endpoint(
            id=endpoint_id,
            tenant=tenant,
            url=order.url,
            description=order.description,
            filter=order.filter,
            header_names=orders.names_of(order.headers),
            sealed_headers=self._secrets.seal_headers(tenant, endpoint_id, order.headers),
            order=order.order,
            rate=order.rate,
            batching=order.batching,
            retry=order.retry.schedule(),
            exponential=order.retry.exponential,
            keys=(self._secrets.make_keys(tenant, endpoint_id, now=now, secret=order.secret),),
            created_at=now,
            updated_at=now,
        )
        if not order.enabled:
            endpoint = orders.disabled(endpoint, now=now)
        if not await self._store.add(endpoint, limit=self._limit):
            raise EndpointLimitReached(
                f"the tenant {tenant!r} has {self._limit} endpoints, and may have no more; delete some that are not "
                "used, or have the operator raise PENSTOCK_MAX_ENDPOINTS",
                metadata={"tenant": tenant, "limit": str(self._limit)},
            )
        log.info("endpoint_created", endpoint=endpoint_id, by=maker.id)
        return endpoint

    async def endpoints(
        self, tenant: str, *, limit: int, after: Position | None, enabled: bool | None
    ) -> Sequence[Endpoint]:
        """The tenant's endpoints, newest first: all, or those asked for."""
        return await self._store.endpoints(tenant, limit=limit, after=after, enabled=enabled)

    async def endpoint(self, tenant: str, endpoint_id: str) -> Endpoint:
        """One of the tenant's endpoints.

        Raises:
            InvalidArgument: The id is none.
            EndpointNotFound: There is none of this id.
        """
        _check_id(endpoint_id)
        return _found(endpoint_id, await self._store.endpoint(tenant, endpoint_id))

    async def change(self, endpoint_id: str, order: ChangeOrder, *, by: Principal) -> Endpoint:
        """Changes one of the tenant's endpoints.

        Raises:
            InvalidArgument: The id is none, or the order is wrong.
            EndpointNotFound: There is none of this id.
            Unavailable: MongoDB is away.
        """
        _check_id(endpoint_id)
        violations = list(order.violations(self._rules))
        if violations:
            raise InvalidArgument.of(violations)
        now = to_milliseconds(self._clock.now())
        sealed = self._secrets.seal_headers(by.tenant, endpoint_id, order.headers or {})
        changed = _found(
            endpoint_id,
            await self._store.change(
                by.tenant, endpoint_id, lambda each: order.applied(each, sealed_headers=sealed, now=now)
            ),
        )
        log.info("endpoint_changed", endpoint=endpoint_id, revision=changed.revision, by=by.id)
        await self._changes.tell(endpoint_id)
        return changed

    async def enable(self, endpoint_id: str, *, by: Principal) -> Endpoint:
        """Enables one of the tenant's endpoints; one that is enabled stays as it is.

        Raises:
            InvalidArgument: The id is none.
            EndpointNotFound: There is none of this id.
            Unavailable: MongoDB is away.
        """
        return await self.change(endpoint_id, orders.ChangeOrder(enabled=True), by=by)

    async def delete(self, endpoint_id: str, *, by: Principal) -> Endpoint:
        """Deletes one of the tenant's endpoints, with its secrets; answers with it as it was.

        Raises:
            InvalidArgument: The id is none.
            EndpointNotFound: There is none of this id.
            Unavailable: MongoDB is away.
        """
        _check_id(endpoint_id)
        deleted = _found(endpoint_id, await self._store.delete(by.tenant, endpoint_id))
        log.info("endpoint_deleted", endpoint=endpoint_id, by=by.id)
        await self._changes.tell(endpoint_id)
        return deleted

    async def rotate(self, endpoint_id: str, *, grace: timedelta | None, secret: str, by: Principal) -> Endpoint:
        """Gives an endpoint other keys; those that it has now sign too until the grace is over, older ones no more.

        Args:
            endpoint_id: Which.
            grace: How long; the mesh's own where it is None.
            secret: The new one; a random one where it is empty.
            by: Who asks.

        Raises:
            InvalidArgument: The id, the grace or the secret is none.
            EndpointNotFound: There is none of this id.
            Unavailable: MongoDB is away.
        """
        _check_id(endpoint_id)
        grace = self._grace if grace is None else grace
        violations = [*rules.grace_violations(grace), *rules.secret_violations(secret)]
        if violations:
            raise InvalidArgument.of(violations)
        now = to_milliseconds(self._clock.now())
        newest = self._secrets.make_keys(by.tenant, endpoint_id, now=now, secret=secret)

        def rotated(endpoint: Endpoint) -> Endpoint:
            before = (replace(endpoint.keys[0], expires_at=now + grace),) if grace else ()
            return replace(endpoint, keys=(newest, *before), updated_at=now)

        changed = _found(endpoint_id, await self._store.change(by.tenant, endpoint_id, rotated))
        log.info("endpoint_secret_rotated", endpoint=endpoint_id, grace_s=grace.total_seconds(), by=by.id)
        await self._changes.tell(endpoint_id)
        return changed

    def secret(self, endpoint: Endpoint) -> str:
        """An endpoint's newest secret.

        Raises:
            Unavailable: It does not open: the sealing key is another one, which an operator may put right.
        """
        try:
            return self._secrets.secret(endpoint)
        except SealBrokenError as error:
            log.error("secret_unreadable", endpoint=endpoint.id, error=str(error))  # noqa: TRY400  told in full
            raise Unavailable(
                f"the secret of the endpoint {endpoint.id} does not open; have the operator look at "
                "PENSTOCK_SEALING_KEY, or rotate the secret with a grace of 0s",
                metadata={"endpoint": endpoint.id},
            ) from None


def _check_id(endpoint_id: str) -> None:
    if not ids.is_endpoint_id(endpoint_id):
        raise InvalidArgument.field("endpointId", f"{shown(endpoint_id)} is no id of an endpoint, ep_…")


def _found(endpoint_id: str, endpoint: Endpoint | None) -> Endpoint:
    if endpoint is None:
        raise EndpointNotFound(
            f"there is no endpoint {endpoint_id}; list them, or make one", metadata={"endpoint": endpoint_id}
        )
    return endpoint
