"""What has happened, whom it is told to, and the deliveries that this makes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from services.webhooks.deliveries.domain import Delivery, Reason, State, delivery_id, receiver_of
from services.webhooks.endpoints.domain import Order

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from services.webhooks.endpoints.domain import Endpoint

#: An endpoint is not sent what happened before it was made. One server's clock says when that was, another's when the
#: endpoint was made: they may be so far apart before an event is lost to an endpoint that was there. With clocks that
#: are together, what came so shortly before it is sent too.
CLOCK_SKEW = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What has happened, as receivers are told; times are whole milliseconds."""

    #: By which receivers know it.
    webhook_id: str
    tenant: str
    #: The id of the job, batch, connection, endpoint or tenant that it is about.
    about: str
    #: Such as `job.succeeded`.
    event_type: str
    time: datetime
    #: The body that tells of it: made once, however many are told.
    payload: bytes = field(repr=False)
    #: The W3C trace context that it is part of, or an empty text.
    traceparent: str = ""
    #: The job's connection; empty for none.
    connection_id: str = ""
    #: The sequence in the log of jobs; 0 for what is not of that.
    place: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """Who is told beside the endpoints: a job or batch has named it."""

    url: str = field(repr=False)
    #: Whose places it shares with the tenant's other callbacks.
    host: str
    #: As intake sealed it; empty where the tenant's own secret signs.
    sealed_secret: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """A fact, and whom it is told to."""

    fact: Fact
    callback: Callback | None = None
    endpoints: tuple[Endpoint, ...] = ()

    @property
    def size(self) -> int:
        """How many deliveries it makes."""
        return len(self.endpoints) + (self.callback is not None)

    def deliveries(self, now: datetime) -> Iterator[Delivery]:
        """The deliveries, each due now; those to disabled endpoints are skipped, to be replayed later."""
        callback = self.callback
        if callback is not None:
            receiver = receiver_of(self.fact.tenant, host=callback.host)
            yield self._delivery(now, receiver, url=callback.url, sealed_secret=callback.sealed_secret)
        for endpoint in self.endpoints:
            yield self._delivery(
                now,
                receiver_of(self.fact.tenant, endpoint_id=endpoint.id),
                endpoint_id=endpoint.id,
                line=self.fact.connection_id if endpoint.order is Order.BY_CONNECTION else "",
                enabled=endpoint.enabled,
            )

    def _delivery(
        self,
        now: datetime,
        receiver: str,
        *,
        url: str = "",
        sealed_secret: bytes = b"",
        endpoint_id: str = "",
        line: str = "",
        enabled: bool = True,
    ) -> Delivery:
        fact = self.fact
        return Delivery(
            id=delivery_id(fact.webhook_id, receiver),
            webhook_id=fact.webhook_id,
            tenant=fact.tenant,
            receiver=receiver,
            endpoint_id=endpoint_id,
            about=fact.about,
            url=url,
            event_type=fact.event_type,
            event_time=fact.time,
            payload=fact.payload,
            sealed_secret=sealed_secret,
            traceparent=fact.traceparent,
            line=line,
            place=fact.place,
            created_at=now,
            state=State.PENDING if enabled else State.SKIPPED,
            next_attempt_at=now,
            last_reason="" if enabled else Reason.ENDPOINT_DISABLED,
            finished_at=None if enabled else now,
        )


class Audience:
    """Whom the events of a batch may reach.

    Args:
        of_tenants: The endpoints of their tenants, by tenant.
    """

    def __init__(self, of_tenants: Mapping[str, Sequence[Endpoint]]) -> None:
        self._of_tenants = of_tenants
        self._by_filter: dict[tuple[str, str, str], list[Endpoint]] = {}

    def of(self, tenant: str, *, event_type: str, upstream: str, time: datetime) -> list[Endpoint]:
        """The endpoints that an event may reach, by what is known of it at first sight."""
        kind = (tenant, event_type, upstream)
        found = self._by_filter.get(kind)
        if found is None:
            found = self._by_filter[kind] = [
                endpoint
                for endpoint in self._of_tenants.get(tenant, ())
                if endpoint.filter.may_pass(event_type, upstream)
            ]
        latest = time + CLOCK_SKEW
        return [endpoint for endpoint in found if endpoint.created_at <= latest]
