"""Deliveries: what they hold, how an attempt can come out, and what follows from it."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

#: Between the attempts of a delivery: the example of Standard Webhooks 1.0.0, which gives up after three days.
STANDARD_PAUSES = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
#: So much of a pause, at random, is added or taken away: what failed together does not come again together.
JITTER = 0.2
#: Statuses whose `Retry-After` is obeyed; on others it says nothing about trying again.
_THROTTLED = frozenset({429, 502, 503, 504})


class State(StrEnum):
    """Where a delivery stands. What has ended is changed by a replay alone."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    #: A dead letter.
    FAILED = "FAILED"
    #: Its endpoint was disabled.
    SKIPPED = "SKIPPED"


class Reason(StrEnum):
    """How an attempt came out."""

    #: The receiver answered 2xx.
    OK = "OK"
    #: It answered with another status; redirects are not followed.
    RECEIVER_STATUS = "RECEIVER_STATUS"
    #: It answered 410: there is nobody any more.
    RECEIVER_GONE = "RECEIVER_GONE"
    #: It could not be reached, or broke the connection.
    RECEIVER_UNREACHABLE = "RECEIVER_UNREACHABLE"
    #: It did not answer in time.
    RECEIVER_TIMEOUT = "RECEIVER_TIMEOUT"
    #: Its answer is no HTTP.
    RECEIVER_PROTOCOL = "RECEIVER_PROTOCOL"
    #: The URL leads to an address that must not be called.
    ADDRESS_FORBIDDEN = "ADDRESS_FORBIDDEN"
    #: The job's secret does not open: the sealing key is not intake's.
    SECRET_UNREADABLE = "SECRET_UNREADABLE"  # noqa: S105  no secret
    #: The last attempt was begun and lost: who made it has died.
    ATTEMPT_LOST = "ATTEMPT_LOST"
    #: The endpoint was disabled; no attempt was made.
    ENDPOINT_DISABLED = "ENDPOINT_DISABLED"
    #: The endpoint is gone; no attempt was made.
    ENDPOINT_DELETED = "ENDPOINT_DELETED"
    #: A fault of Penstock itself; the log tells it.
    INTERNAL = "INTERNAL"


#: Upon which another attempt is in vain.
_FINAL = frozenset({Reason.RECEIVER_GONE, Reason.ADDRESS_FORBIDDEN, Reason.ATTEMPT_LOST, Reason.ENDPOINT_DELETED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What a receiver has answered with: its headers, and the first 16 KiB of its body."""

    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = field(default=b"", repr=False)
    truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt came out.

    Args:
        reason: In a word.
        status: The receiver's HTTP status, or 0 where there was none.
        retry_after: The pause that the receiver asked for.
        response: What it has answered with.
        detail: In words, where the reason does not say all.
    """

    reason: Reason
    status: int = 0
    retry_after: timedelta | None = None
    response: Response | None = None
    detail: str = ""

    @classmethod
    def of_status(cls, status: int, retry_after: timedelta | None = None) -> Outcome:
        """The outcome of an attempt that was answered."""
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return cls(reason=Reason.OK, status=status)
        if status == HTTPStatus.GONE:
            return cls(reason=Reason.RECEIVER_GONE, status=status)
        pause = retry_after if status in _THROTTLED else None
        return cls(reason=Reason.RECEIVER_STATUS, status=status, retry_after=pause)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One attempt, noted before the call went out; the rest when its outcome was known."""

    #: From 1; begins anew with each replay.
    number: int
    started_at: datetime
    #: None while it is being made, or where whoever made it has died.
    duration: timedelta | None = None
    #: None likewise.
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event bound for one receiver; times are whole milliseconds."""

    #: Made of the event and the receiver, so that an event that comes again makes no second delivery.
    id: str
    #: By which the receiver knows the event: the same in every attempt, and for every endpoint.
    webhook_id: str
    tenant: str
    #: The endpoint's id, or `<tenant>/<host>` of a callback; see `receiver_of`.
    receiver: str
    #: Empty for a callback.
    endpoint_id: str = ""
    #: The id of the job, batch, connection, endpoint or tenant that it tells of.
    about: str
    #: Of a callback alone; an endpoint has its own.
    url: str = field(default="", repr=False)
    #: Such as `job.succeeded`.
    event_type: str
    event_time: datetime
    #: The body: the same bytes in every attempt.
    payload: bytes = field(repr=False)
    #: A callback's own secret as intake sealed it; none where the tenant's signs.
    sealed_secret: bytes = field(default=b"", repr=False)
    #: The W3C trace context of the event, or an empty text.
    traceparent: str = ""
    #: What it stands in line with: its job's connection, where the endpoint orders by that; empty for no order.
    line: str = ""
    #: Where it stands among those: the event's sequence in the log of jobs.
    place: int = 0
    #: `msg_…`, the `webhook-id` of the POST in which it goes with others; empty before that, and where it goes alone.
    batch_id: str = ""
    created_at: datetime
    state: State = State.PENDING
    #: How many were begun since it was made, or replayed last.
    attempts: int = 0
    #: How often it was replayed.
    replays: int = 0
    #: When it is due. While an attempt is being made: when the next one is, should its outcome never be heard of.
    next_attempt_at: datetime
    #: Who makes an attempt of it now; empty for nobody.
    claim: str = ""
    #: How the newest attempt that came out did.
    last_reason: str = ""
    last_status: int = 0
    finished_at: datetime | None = None
    #: The newest attempts, the oldest first; `GetDelivery` alone reads them.
    log: tuple[AttemptRecord, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """How often and when a delivery is attempted.

    Args:
        pauses: Between the attempts.
    """

    pauses: tuple[timedelta, ...]

    @property
    def attempts(self) -> int:
        """How many attempts there are at most."""
        return len(self.pauses) + 1

    def pause(self, attempt: int, *, asked: timedelta | None = None) -> timedelta | None:
        """How long to wait after a failed attempt; None when it was the last.

        Args:
            attempt: Its number, from 1.
            asked: The pause that the receiver asked for: no shorter one is taken.
        """
        if attempt > len(self.pauses):
            return None
        factor = 1 + JITTER * (2 * random.random() - 1)  # noqa: S311  jitter needs no secrecy
        return max(self.pauses[attempt - 1] * factor, asked or timedelta())


def webhook_id(job_id: str, revision: int) -> str:
    """The id of a job's event, as receivers know it; it holds no full stop, which parts the signed text."""
    return f"{job_id}:{revision}"


def delivery_id(webhook_id: str, receiver: str) -> str:
    """The id of an event's delivery to a receiver."""
    return "dlv_" + hashlib.sha256(f"{webhook_id}\n{receiver}".encode()).hexdigest()[:32]


def receiver_of(tenant: str, *, endpoint_id: str = "", host: str = "") -> str:
    """Whom deliveries go to, as far as they share its places: an endpoint, or one host of a tenant's callbacks."""
    return endpoint_id or f"{tenant}/{host}"


def settled(delivery: Delivery, outcome: Outcome, *, schedule: RetrySchedule, now: datetime) -> Delivery:
    """The delivery as the outcome of its newest attempt leaves it."""
    told = replace(delivery, last_reason=outcome.reason, last_status=outcome.status)
    if outcome.reason is Reason.OK:
        return replace(told, state=State.DELIVERED, finished_at=to_milliseconds(now))
    pause = None if outcome.reason in _FINAL else schedule.pause(delivery.attempts, asked=outcome.retry_after)
    if pause is None:
        return replace(told, state=State.FAILED, finished_at=to_milliseconds(now))
    return replace(told, next_attempt_at=to_milliseconds(now + pause))


def to_milliseconds(time: datetime) -> datetime:
    """The time cut to whole milliseconds, as MongoDB keeps it."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
