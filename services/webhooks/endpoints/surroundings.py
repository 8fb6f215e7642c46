"""What endpoints need of the rest of the service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from penstock.webhooks.v1 import deliveries_pb2

    from services.webhooks.deliveries.domain import Outcome
    from services.webhooks.deliveries.stats import Figures


class EventType(Protocol):
    """A type of events; `services.webhooks.collecting.event_types.catalogue.EventType` is one."""

    @property
    def name(self) -> str:
        """Such as `job.succeeded`."""
        ...

    @property
    def description(self) -> str:
        """When there is such an event."""
        ...

    @property
    def schema(self) -> Mapping[str, Any]:
        """JSON Schema of the body that tells of it."""
        ...

    @property
    def example(self) -> Mapping[str, Any]:
        """Such a body."""
        ...


class EventTypes(Protocol):
    """All types of events; `services.webhooks.collecting.event_types.catalogue.EventTypes` is one."""

    def names(self) -> Sequence[str]:
        """Their names, in order."""
        ...

    def types(self) -> Sequence[EventType]:
        """All of them, in the order of their names."""
        ...

    def sample(self, name: str) -> bytes:
        """The example of a type's body, as it is sent; raises `KeyError` where there is no such type."""
        ...

    def known(self, pattern: str) -> bool:
        """Whether a filter's text stands for any of them."""
        ...


class Announcer(Protocol):
    """Has receivers worked; `services.webhooks.collecting.storing.Storing` is one."""

    async def announce(self, due: Mapping[str, datetime]) -> None:
        """Notes that receivers are to be looked at from these times on, and says so here and to other replicas.

        Raises:
            Unavailable: MongoDB is away; it may be noted.
        """
        ...


class Signals(Protocol):
    """Sends what may be lost; `shared.bus.Bus` is one."""

    async def signal(self, subject: str, payload: bytes = b"") -> None:
        """Publishes to whoever listens now; raises `Unavailable`."""
        ...


class Poster(Protocol):
    """Sends; `services.webhooks.delivering.sender.Sender` is one."""

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """Posts a body; whatever the receiver does is an outcome."""
        ...


class EndpointStatistics(Protocol):
    """Says how endpoints fare; `services.webhooks.deliveries.stats.EndpointStatistics` is one.

    Whoever asks has seen that the endpoint is the tenant's. Both raise `Unavailable`.
    """

    async def figures(self, tenant: str, endpoint_id: str, *, period: timedelta) -> Figures:
        """How an endpoint has fared, from the hour on in which the period begins."""
        ...

    async def skipped(self, tenant: str, endpoint_id: str) -> int:
        """How many of its deliveries are skipped."""
        ...


class Replays(Protocol):
    """Has many deliveries made again."""

    async def begin_skipped(self, tenant: str, endpoint_id: str) -> deliveries_pb2.Replay:
        """Begins to have those made again that were skipped of an endpoint; raises `Unavailable`."""
        ...
