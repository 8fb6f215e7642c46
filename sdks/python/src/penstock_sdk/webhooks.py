"""What Penstock posts to endpoints and callbacks, verified: Standard Webhooks 1.0.0.

A message is signed over `{webhook-id}.{webhook-timestamp}.{body}`, the body byte for byte, in two ways: `v1` is
HMAC-SHA256 with a secret, `v1a` is Ed25519 (RFC 8032), of which a receiver holds the public half alone. One signature
that fits is enough, of whichever key of the receiver: while a secret is rotated there are several of each kind.

    event = verify(body, headers, os.environ["WEBHOOK_SECRET"])
    for each in event.events:
        match each.subject:
            case Job(state="SUCCEEDED") as job: ...

Delivery is at least once: an event whose `id` was there before is done.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from penstock_sdk import encoding, models
from penstock_sdk.errors import PenstockError
from penstock_sdk.signatures import Keys, UnusableSecret

__all__ = [
    "EVENTS_BATCH",
    "TOLERANCE",
    "Event",
    "SignatureInvalid",
    "UnusableSecret",
    "WrongBody",
    "WrongHeader",
    "WrongSignature",
    "WrongTime",
    "verify",
]

#: How far off a message's time may be, as docs/webhooks.md has it: who has recorded one cannot send it again tomorrow.
TOLERANCE = timedelta(minutes=5)
#: The type of a message that has several events (an endpoint's `batching`).
EVENTS_BATCH = "events.batch"

_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
#: By the event's type, or by what stands before its full stop.
_SUBJECTS: Mapping[str, type[Any]] = {
    "batch": models.Batch,
    "connection.deleted": models.ConnectionDeleted,
    "connection.needs_reauth": models.ConnectionNeedsReauth,
    "connection.restored": models.ConnectionRestored,
    "endpoint": models.EndpointDisabled,
    "job": models.Job,
    "tenant.resumed": models.TenantResumed,
    "tenant.suspended": models.TenantSuspended,
}


class SignatureInvalid(PenstockError):
    """A message is not to be believed: answer with 401, and do nothing about it."""


class WrongHeader(SignatureInvalid):
    """A header of the signature is missing, came twice, or cannot be read."""


class WrongTime(SignatureInvalid):
    """The message is older than is taken, or from the future; or this machine's clock is wrong."""


class WrongSignature(SignatureInvalid):
    """No signature fits: the key is another one's, or the body is not what was sent."""


class WrongBody(SignatureInvalid):
    """The body is not the bytes that came, or is signed and yet no event."""


class Headers(Protocol):
    """The headers of a request, as any framework has them; names in whatever case."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Names and values."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What has happened.

    Args:
        id: The same however often it is delivered.
        type: Such as `job.succeeded`; docs/events.md lists them.
        timestamp: When it happened.
        data: The body's `data`, as it came.
        members: The events that came together; none where the message has one event alone.
    """

    id: str
    type: str
    timestamp: datetime
    data: Mapping[str, Any] = field(repr=False)
    members: tuple[Event, ...] = field(default=(), repr=False)

    @property
    def events(self) -> tuple[Event, ...]:
        """The events of the message in their order: those that came together, or this one alone."""
        return self.members if self.type == EVENTS_BATCH else (self,)

    @property
    def subject(self) -> Any:
        """What it is about: a Job, a Batch, a ConnectionNeedsReauth …; None where the type is not known yet."""
        kind = _SUBJECTS.get(self.type) or _SUBJECTS.get(self.type.partition(".")[0])
        return None if kind is None else encoding.decode(kind, self.data)

    @property
    def job(self) -> models.Job | None:
        """The job that has ended; None where it is about something else."""
        subject = self.subject
        return subject if isinstance(subject, models.Job) else None

    @property
    def batch(self) -> models.Batch | None:
        """The batch that has ended, without its jobs; None where it is about something else."""
        subject = self.subject
        return subject if isinstance(subject, models.Batch) else None


def verify(
    body: bytes | str,
    headers: Headers,
    secrets: str | Iterable[str],
    *,
    tolerance: timedelta = TOLERANCE,
    now: datetime | None = None,
) -> Event:
    """The event of a message, once it is known to be Penstock's and of now.

    Args:
        body: As it came, byte for byte: not what a framework has made of it.
        headers: Of the request.
        secrets: `whsec_…`, the text of a job's `callbackSecret`, or `whpk_…`, which takes the extra `ed25519`; several
            while one takes the other's place.
        tolerance: How far off the message's time may be.
        now: The time, where it is not this machine's; aware.

    Raises:
        WrongHeader: A header is missing, came twice, or cannot be read.
        WrongTime: It is too old, or from the future.
        WrongSignature: No signature fits.
        WrongBody: The body is no bytes, or no event.
        UnusableSecret: One of the secrets cannot be used.
    """
    keys = Keys.of([secrets] if isinstance(secrets, str) else secrets or ())
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, (bytes, bytearray, memoryview)):  # pyright: ignore[reportUnnecessaryIsInstance]  untyped callers
        raise WrongBody(
            f"body is a {type(body).__name__}, and has to be the bytes that came: `request.get_data()` in Flask, "
            "`request.body` in Django, `await request.body()` in Starlette and FastAPI"
        )
    message = bytes(body)
    webhook_id, timestamp, signatures = _signed_headers(headers)
    _check_time(timestamp, tolerance=tolerance, now=now or datetime.now(UTC))
    start = f"{webhook_id}.{timestamp}.".encode()
    entries = [(kind, text) for kind, _, text in (each.partition(",") for each in signatures.split())]
    if not keys.fit(entries, start + message):
        raise _misfit(keys, entries, start=start, body=message)
    return _event(message, webhook_id)


def _signed_headers(headers: Headers) -> tuple[str, str, str]:
    """The id, the time and the signatures."""
    found: dict[str, str] = {}
    for name, value in headers.items():
        key = name.lower()
        if not key.startswith("webhook-"):
            continue
        if found.setdefault(key, value) != value:
            raise WrongHeader(f"{key} came twice, with different values")
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        if not found.get(name, "").strip():
            raise WrongHeader(f"{name} is missing: this was not sent by Penstock, or a proxy has taken it away")
    webhook_id, timestamp, signatures = (found[f"webhook-{part}"].strip() for part in ("id", "timestamp", "signature"))
    if not _TIMESTAMP.fullmatch(timestamp):
        raise WrongHeader(f"webhook-timestamp is {timestamp[:40]!r}, and has to be a number of Unix seconds")
    return webhook_id, timestamp, signatures


def _check_time(timestamp: str, *, tolerance: timedelta, now: datetime) -> None:
    age = timedelta(seconds=round(now.timestamp()) - int(timestamp))
    if abs(age) > tolerance:
        off = f"{abs(age)} {'old' if age > timedelta() else 'ahead'}"
        raise WrongTime(
            f"webhook-timestamp {timestamp} is {off}, and may be {tolerance} off at most: the message was sent before, "
            "or this machine's clock is wrong"
        )


def _misfit(keys: Keys, entries: Iterable[tuple[str, str]], *, start: bytes, body: bytes) -> SignatureInvalid:
    """Why no signature fits, as far as that can be told."""
    kinds = {kind for kind, _ in entries} & {"v1", "v1a"}
    if not kinds:
        return WrongHeader("webhook-signature has no signature of a kind that is known: v1 and v1a are")
    if not kinds & keys.kinds:
        needed = "a secret, whsec_…," if kinds == {"v1"} else "a public key, whpk_…,"
        return WrongSignature(f"the message is signed by {kinds.pop()} alone, which {needed} checks: none was given")
    if keys.fit(entries, start + _rewritten(body)):
        return WrongBody("the body was parsed as JSON and written again: verify the bytes that came, before all else")
    odd = "; one begins with whsec_ and goes on with what is no base64: was it cut?" if keys.odd else ""
    return WrongSignature(
        "no signature fits: the secret is another endpoint's or was rotated, or the body is not what was sent, "
        f"byte for byte ({len(body)} bytes){odd}"
    )


def _rewritten(body: bytes) -> bytes:
    """A body as the service writes it, for one that was parsed and written again on its way."""
    try:
        return json.dumps(json.loads(body), ensure_ascii=False, separators=(",", ":")).encode()
    except (ValueError, RecursionError):  # no JSON, so it was not that
        return body


def _event(body: bytes, webhook_id: str) -> Event:
    try:
        message = json.loads(body)
        if message["type"] != EVENTS_BATCH:
            return _single(message, webhook_id)
        members = tuple(_single(each, each["id"]) for each in message["data"]["events"])
        return _single(message, webhook_id, members=members)
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise WrongBody(
            f"the body is signed, and yet no event ({error!r}): an event is an object with type, timestamp and data"
        ) from error


def _single(message: Mapping[str, Any], event_id: Any, *, members: tuple[Event, ...] = ()) -> Event:
    kind, data = message["type"], message["data"]
    if not (isinstance(kind, str) and isinstance(event_id, str) and isinstance(data, Mapping)):
        raise TypeError("type and id are texts, data is an object")
    timestamp = datetime.fromisoformat(message["timestamp"])
    return Event(id=event_id, type=kind, timestamp=timestamp, data=data, members=members)
