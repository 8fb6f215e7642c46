"""Endpoints: what they hold, and which events pass their filters."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from services.webhooks.deliveries.domain import RetrySchedule

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

_MILLISECOND = timedelta(milliseconds=1)


class Order(StrEnum):
    """How the deliveries of an endpoint stand to each other."""

    NONE = "NONE"
    BY_CONNECTION = "BY_CONNECTION"


class DisabledReason(StrEnum):
    """Why an endpoint is called no more."""

    #: Somebody has asked for it.
    ASKED = "ASKED"
    #: It has answered 410.
    GONE = "GONE"
    #: It has failed for too long without any success.
    FAILING = "FAILING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What filters look at.

    Args:
        type: Such as `job.succeeded`.
        upstream: Of the job or connection; empty for what is about neither.
        method: Of the job; empty for what is about none.
        metadata: Of the job.
    """

    type: str
    upstream: str = ""
    method: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events; each part lets all pass where it is empty.

    A text that ends with `.*` stands for all that begin so.
    """

    event_types: tuple[str, ...] = ()
    upstreams: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])

    def may_pass(self, event_type: str, upstream: str) -> bool:
        """Whether an event can pass of which no more is known yet."""
        return _fits(self.event_types, event_type) and (not self.upstreams or upstream in self.upstreams)

    def passes(self, event: Event) -> bool:
        """Whether the event passes every part."""
        return (
            self.may_pass(event.type, event.upstream)
            and _fits(self.methods, event.method)
            and self.metadata.items() <= event.metadata.items()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """So many POSTs in a period."""

    deliveries: int
    period: timedelta = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batching:
    """At most so many events in one POST; the first waits so long for others."""

    max_events: int
    max_wait: timedelta = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeys:
    """A secret and a key pair, with which an endpoint's messages are signed; one generation of them.

    Args:
        sealed_secret: For `v1`: the text `whsec_…`, sealed; the context is (tenant, endpoint).
        sealed_private_key: For `v1a`: 32 bytes (Ed25519), sealed likewise.
        public_key: `whpk_…`, which anybody may see.
        created_at: When they were made.
        expires_at: They sign no more from then on; None for the newest.
    """

    sealed_secret: bytes = field(repr=False)
    sealed_private_key: bytes = field(repr=False)
    public_key: str
    created_at: datetime
    expires_at: datetime | None = None

    def signs(self, now: datetime) -> bool:
        """Whether they sign what is sent now."""
        return self.expires_at is None or now < self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class ExponentialPauses:
    """Pauses of which each is a multiple of the one before.

    Args:
        initial: The first.
        factor: Of the next to the one before.
        maximum: None is longer.
        max_attempts: In all; there is one pause less.
    """

    initial: timedelta
    factor: float = 2.0
    maximum: timedelta = timedelta(hours=24)
    max_attempts: int

    def schedule(self) -> RetrySchedule:
        """The pauses one by one, in whole milliseconds."""
        pauses: list[timedelta] = []
        pause = min(self.initial, self.maximum)
        for _ in range(self.max_attempts - 1):
            pauses.append(pause)
            pause = min(pause * self.factor, self.maximum)
        return RetrySchedule(tuple(timedelta(milliseconds=each // _MILLISECOND) for each in pauses))


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A receiver of a tenant's events; times are whole milliseconds."""

    id: str
    tenant: str
    url: str = field(repr=False)
    description: str = ""
    filter: EventFilter = EventFilter()
    #: Names in lower case, in the order of their names.
    header_names: tuple[str, ...] = ()
    #: JSON of their names and values, sealed; the context is (tenant, endpoint). Empty where there are none.
    sealed_headers: bytes = field(default=b"", repr=False)
    order: Order = Order.NONE
    rate: Rate | None = None
    batching: Batching | None = None
    #: None for the mesh's own.
    retry: RetrySchedule | None = None
    #: What that was made of; None where its pauses were given one by one.
    exponential: ExponentialPauses | None = None
    #: The newest first; two at most.
    keys: tuple[SigningKeys, ...]
    enabled: bool = True
    disabled_reason: DisabledReason | None = None
    disabled_at: datetime | None = None
    #: Since when every attempt has failed; None where the newest did not.
    failing_since: datetime | None = None
    #: Grows with each change.
    revision: int = 1
    created_at: datetime
    updated_at: datetime

    def signing_keys(self, now: datetime) -> tuple[SigningKeys, ...]:
        """Those that sign now, the newest first."""
        return tuple(keys for keys in self.keys if keys.signs(now))


def _fits(patterns: tuple[str, ...], text: str) -> bool:
    return not patterns or any(
        text.startswith(pattern[:-1]) if pattern.endswith(".*") else text == pattern for pattern in patterns
    )
