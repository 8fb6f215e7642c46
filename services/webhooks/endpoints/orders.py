"""What somebody may order: an endpoint to be made, or to be changed. No violation shows a secret."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from services.webhooks.deliveries.domain import RetrySchedule
from services.webhooks.endpoints import rules as rules_
from services.webhooks.endpoints.domain import DisabledReason, EventFilter, ExponentialPauses, Order
from services.webhooks.endpoints.headers import header_violations
from shared.errors import FieldViolation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime, timedelta

    from services.webhooks.endpoints.domain import Batching, Endpoint, Rate
    from services.webhooks.endpoints.rules import Rules

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Given(Generic[T]):
    """What was given, which may be that there is to be none."""

    value: T | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryOrder:
    """When failed deliveries are to be tried again; by the mesh's own schedule where neither is given.

    Args:
        pauses: One by one.
        exponential: Or growing.
    """

    pauses: tuple[timedelta, ...] = ()
    exponential: ExponentialPauses | None = None

    def schedule(self) -> RetrySchedule | None:
        """The schedule; None for the mesh's own."""
        if self.exponential is not None:
            return self.exponential.schedule()
        return RetrySchedule(self.pauses) if self.pauses else None

    def violations(self) -> Iterator[FieldViolation]:
        """What is wrong with it."""
        if self.exponential is not None and self.pauses:
            yield FieldViolation("retry", "has both pauses and exponential; give one of them")
            return
        yield from rules_.pauses_violations(self.pauses)
        if self.exponential is not None:
            yield from rules_.exponential_violations(self.exponential)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointOrder:
    """An endpoint to be made.

    Args:
        headers: Its own, by name.
        secret: Empty for a random one.
    """

    url: str = field(repr=False)
    description: str = ""
    filter: EventFilter = field(default_factory=EventFilter)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    order: Order = Order.NONE
    rate: Rate | None = None
    batching: Batching | None = None
    retry: RetryOrder = RetryOrder()
    enabled: bool = True
    secret: str = field(default="", repr=False)

    def violations(self, rules: Rules) -> Iterator[FieldViolation]:
        """What is wrong with it."""
        yield from rules.url_violations(self.url)
        yield from rules_.description_violations(self.description)
        yield from rules.filter_violations(self.filter)
        yield from header_violations(self.headers)
        if self.rate is not None:
            yield from rules_.rate_violations(self.rate)
        if self.batching is not None:
            yield from rules_.batching_violations(self.batching)
        yield from self.retry.violations()
        yield from rules_.secret_violations(self.secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeOrder:
    """A change of an endpoint; what is None stays."""

    url: str | None = field(default=None, repr=False)
    description: str | None = None
    filter: EventFilter | None = None
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    order: Order | None = None
    rate: Given[Rate] | None = None
    batching: Given[Batching] | None = None
    retry: RetryOrder | None = None
    enabled: bool | None = None

    def violations(self, rules: Rules) -> Iterator[FieldViolation]:
        """What is wrong with it, whatever endpoint it is for."""
        if self.url is not None:
            yield from rules.url_violations(self.url)
        if self.description is not None:
            yield from rules_.description_violations(self.description)
        if self.filter is not None:
            yield from rules.filter_violations(self.filter)
        if self.headers is not None:
            yield from header_violations(self.headers)
        if self.rate is not None and self.rate.value is not None:
            yield from rules_.rate_violations(self.rate.value)
        if self.batching is not None and self.batching.value is not None:
            yield from rules_.batching_violations(self.batching.value)
        if self.retry is not None:
            yield from self.retry.violations()

    def applied(self, endpoint: Endpoint, *, sealed_headers: bytes, now: datetime) -> Endpoint:
        """The endpoint as this leaves it; the same where it is so already.

        Args:
            endpoint: As it is.
            sealed_headers: The headers that were given, sealed.
            now: The time.
        """
        after = replace(endpoint, **self._settings())
        if self.headers is not None:
            after = replace(after, header_names=names_of(self.headers), sealed_headers=sealed_headers)
        elif after.url != endpoint.url:  # or who may change endpoints could have them sent to a host of their own
            after = replace(after, header_names=(), sealed_headers=b"")
        if after.url != endpoint.url:
            after = replace(after, failing_since=None)
        if self.enabled is not None:
            after = enabled(after) if self.enabled else disabled(after, now=now)
        return after if after == endpoint else replace(after, updated_at=now)

    def _settings(self) -> dict[str, object]:
        """What takes the place of what there is, as it is."""
        given: dict[str, object] = {
            name: value
            for name in ("url", "description", "filter", "order")
            if (value := getattr(self, name)) is not None
        }
        if self.rate is not None:
            given["rate"] = self.rate.value
        if self.batching is not None:
            given["batching"] = self.batching.value
        if self.retry is not None:
            given |= {"retry": self.retry.schedule(), "exponential": self.retry.exponential}
        return given


def names_of(headers: Mapping[str, str]) -> tuple[str, ...]:
    """The names of headers, as an endpoint shows them."""
    return tuple(sorted(name.lower() for name in headers))


def enabled(endpoint: Endpoint) -> Endpoint:
    """The endpoint, enabled; what was held against it is forgotten."""
    if endpoint.enabled:
        return endpoint
    return replace(endpoint, enabled=True, disabled_reason=None, disabled_at=None, failing_since=None)


def disabled(endpoint: Endpoint, *, now: datetime) -> Endpoint:
    """The endpoint, disabled since somebody has asked for it; one that is already stays as it is."""
    if not endpoint.enabled:
        return endpoint
    return replace(endpoint, enabled=False, disabled_reason=DisabledReason.ASKED, disabled_at=now)
