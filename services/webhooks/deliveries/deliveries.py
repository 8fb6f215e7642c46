"""What tenants ask of deliveries: to be shown them, and to have them made again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from services.webhooks import metrics
from services.webhooks.deliveries.domain import to_milliseconds
from services.webhooks.errors import DeliveryAtWork, DeliveryNotFound, EndpointDisabled, EndpointNotFound
from shared import observability
from shared.errors import shown

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from services.webhooks.deliveries.domain import Delivery, RetrySchedule
    from services.webhooks.deliveries.filters import DeliveryFilter
    from services.webhooks.deliveries.replay import Replay
    from services.webhooks.deliveries.replays import Announcer, Replays
    from services.webhooks.deliveries.store import DeliveryStore
    from services.webhooks.endpoints.domain import Endpoint
    from shared.clock import Clock
    from shared.paging import Position

log = observability.logger()


class Endpoints(Protocol):
    """Knows endpoints; `services.webhooks.endpoints.store.EndpointStore` is one. Both raise `Unavailable`."""

    async def endpoint(self, tenant: str, endpoint_id: str) -> Endpoint | None:
        """A tenant's endpoint by its id."""
        ...

    async def by_ids(self, endpoint_ids: Collection[str]) -> Mapping[str, Endpoint]:
        """These endpoints, in one round trip; what is gone is not among them."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A delivery, with what its endpoint has to say of it.

    Args:
        url: Where it goes; empty where its endpoint is gone.
        max_attempts: How many may follow upon each other.
    """

    delivery: Delivery
    url: str
    max_attempts: int


class Deliveries:
    """The deliveries of tenants. What asks the stores raises `Unavailable`.

    Args:
        store: Keeps them.
        endpoints: To whom they go.
        replays: Makes many again.
        announcer: Has what was put back made.
        schedule: When what has failed is tried again whose endpoint has no schedule of its own.
        clock: The time.
    """

    def __init__(
        self,
        *,
        store: DeliveryStore,
        endpoints: Endpoints,
        replays: Replays,
        announcer: Announcer,
        schedule: RetrySchedule,
        clock: Clock,
    ) -> None:
        self._store = store
        self._endpoints = endpoints
        self._replays = replays
        self._announcer = announcer
        self._schedule = schedule
        self._clock = clock

    async def page(self, tenant: str, wanted: DeliveryFilter, *, limit: int, after: Position | None) -> Sequence[Shown]:
        """A tenant's deliveries that are meant, newest first, those that come after the position, without content."""
        found = await self._store.deliveries(tenant, wanted, limit=limit, after=after)
        return await self._shown(found)

    async def delivery(self, tenant: str, delivery_id: str) -> Shown:
        """One delivery, with its content and its log.

        Raises:
            DeliveryNotFound: There is no such delivery for this tenant.
        """
        (found,) = await self._shown([await self._found(tenant, delivery_id)])
        return found

    async def replay(self, tenant: str, delivery_id: str) -> Shown:
        """Has one delivery made again; on return that is on disk. Who is not answered may ask once more.

        Raises:
            DeliveryNotFound: There is no such delivery for this tenant.
            EndpointNotFound: Its endpoint is gone.
            EndpointDisabled: Nothing is delivered to its endpoint.
            DeliveryAtWork: It is being attempted, or goes with others that are not delivered yet.
        """
        known = await self._found(tenant, delivery_id)
        if known.endpoint_id:
            await self._check_endpoint(tenant, known.endpoint_id)
        now = to_milliseconds(self._clock.now())
        back = await self._store.put_back(tenant, delivery_id, now=now)
        if back is None:
            raise DeliveryAtWork(
                f"the delivery {delivery_id} is being attempted, or goes with others that are not delivered yet; "
                "replay it when that has come out",
                metadata={"delivery": delivery_id},
            )
        await self._announcer.announce({back.receiver: now})
        metrics.REPLAYED.labels("one").inc()
        log.info("delivery_replayed", delivery=delivery_id, tenant=tenant, replays=back.replays)
        (shown_,) = await self._shown([back])
        return shown_

    async def begin_replay(self, tenant: str, wanted: DeliveryFilter, *, max_per_second: int) -> Replay:
        """Begins to have many deliveries made again.

        Raises:
            EndpointNotFound: There is no such endpoint as they are to be of.
            EndpointDisabled: Nothing is delivered to it.
            RateLimited: As many of the tenant's replays run as may.
        """
        if wanted.endpoint_id:
            await self._check_endpoint(tenant, wanted.endpoint_id)
        return await self._replays.begin(tenant, wanted, max_per_second=max_per_second)

    async def _found(self, tenant: str, delivery_id: str) -> Delivery:
        found = await self._store.delivery(tenant, delivery_id)
        if found is None:
            raise DeliveryNotFound(
                f"there is no delivery {shown(delivery_id)}; it may have ended longer ago than deliveries are kept",
                metadata={"delivery": delivery_id},
            )
        return found

    async def _check_endpoint(self, tenant: str, endpoint_id: str) -> None:
        endpoint = await self._endpoints.endpoint(tenant, endpoint_id)
        if endpoint is None:
            raise EndpointNotFound(
                f"there is no endpoint {endpoint_id}; if it was deleted, nothing can be delivered to it any more",
                metadata={"endpoint": endpoint_id},
            )
        if not endpoint.enabled:
            raise EndpointDisabled(
                f"the endpoint {endpoint_id} is disabled; enable it first: POST /api/v1/endpoints/{endpoint_id}:enable",
                metadata={"endpoint": endpoint_id},
            )

    async def _shown(self, deliveries: Sequence[Delivery]) -> list[Shown]:
        """The deliveries with what their endpoints say, which are asked for in one round trip."""
        named = {each.endpoint_id for each in deliveries if each.endpoint_id}
        known = await self._endpoints.by_ids(named) if named else {}
        found: list[Shown] = []
        for each in deliveries:
            endpoint = known.get(each.endpoint_id)
            schedule = endpoint.retry if endpoint is not None and endpoint.retry is not None else self._schedule
            url = endpoint.url if endpoint is not None else each.url
            found.append(Shown(delivery=each, url=url, max_attempts=schedule.attempts))
        return found
