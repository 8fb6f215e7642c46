"""What the parts of an endpoint may be. No violation shows a secret, and none repeats a text at length."""

from __future__ import annotations

import base64
import binascii
import math
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from yarl import URL

from services.webhooks.signing import SECRET_PREFIX
from shared import ids
from shared.addresses import ForbiddenAddressError
from shared.errors import FieldViolation, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from services.webhooks.endpoints.domain import Batching, EventFilter, ExponentialPauses, Rate
    from services.webhooks.endpoints.surroundings import EventTypes
    from shared.addresses import AddressGuard

MAX_DESCRIPTION_CHARACTERS = 500
#: Of types, upstreams and methods in a filter, each.
MAX_FILTER_TEXTS = 50
MAX_FILTER_METADATA = 16
#: Of a job's metadata: what is longer, no job has.
MAX_METADATA_KEY_CHARACTERS = 64
MAX_METADATA_VALUE_CHARACTERS = 256
MAX_METHOD_CHARACTERS = 200
#: Of a secret's key; Standard Webhooks 1.0.0 has these bounds.
SECRET_BYTES = (24, 64)
MAX_DELIVERIES = 100_000
PERIOD = (timedelta(seconds=1), timedelta(hours=1))
BATCH_EVENTS = (2, 100)
MAX_WAIT = timedelta(seconds=60)
PAUSE = (timedelta(seconds=1), timedelta(days=7))
MAX_PAUSES = 20
FACTOR = (1.0, 10.0)
ATTEMPTS = (2, MAX_PAUSES + 1)
MAX_GRACE = timedelta(days=7)

_METHOD = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*(?:\.\*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the rules ask of others.

    Args:
        guard: Decides which URLs may be called.
        event_types: What there is to filter by.
    """

    guard: AddressGuard
    event_types: EventTypes

    def url_violations(self, url: str) -> Iterator[FieldViolation]:
        """What is wrong with a URL; all of it may be secret but its host, so it is not shown."""
        if not url:
            yield FieldViolation("url", "is missing; give the https:// URL that events are posted to")
            return
        try:
            self.guard.check_url(url)
        except ForbiddenAddressError as error:
            yield FieldViolation("url", str(error))
            return
        parts = URL(url)
        if parts.scheme != "https" and not self.guard.lets_loopback(parts.raw_host or ""):
            yield FieldViolation(
                "url", "begins with http://, and anybody on the way could read it; give an https:// URL"
            )

    def filter_violations(self, filter_: EventFilter) -> Iterator[FieldViolation]:
        """What is wrong with a filter."""
        yield from _texts_violations("filter.eventTypes", filter_.event_types, self._event_type_problem)
        yield from _texts_violations("filter.upstreams", filter_.upstreams, _upstream_problem)
        yield from _texts_violations("filter.methods", filter_.methods, _method_problem)
        yield from _metadata_violations(filter_)

    def _event_type_problem(self, text: str) -> str | None:
        if self.event_types.known(text):
            return None
        return (
            f"{shown(text)} is no type of events, and no beginning of some; there are "
            f"{', '.join(self.event_types.names())}, and beginnings such as job.*"
        )


def description_violations(text: str) -> Iterator[FieldViolation]:
    """What is wrong with a description."""
    if len(text) > MAX_DESCRIPTION_CHARACTERS:
        yield FieldViolation(
            "description", f"has {len(text)} characters; at most {MAX_DESCRIPTION_CHARACTERS} are kept"
        )
    elif not text.replace("\n", "").isprintable():
        yield FieldViolation("description", f"{shown(text)} holds characters that cannot be shown; leave them out")


def secret_violations(secret: str) -> Iterator[FieldViolation]:
    """What is wrong with a secret that is given; an empty one is none."""
    least, most = SECRET_BYTES
    wanted = f"{SECRET_PREFIX} and {least} to {most} random bytes in base64"
    if not secret:
        return
    if not secret.startswith(SECRET_PREFIX):
        yield FieldViolation("secret", f"does not begin with {SECRET_PREFIX}; it takes {wanted}, or leave it out")
        return
    try:
        length = len(base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True))
    except (binascii.Error, ValueError):
        yield FieldViolation("secret", f"is no base64 behind {SECRET_PREFIX}; it takes {wanted}, or leave it out")
        return
    if not least <= length <= most:
        yield FieldViolation("secret", f"has {length} bytes; it takes {wanted}, or leave it out")


def rate_violations(rate: Rate) -> Iterator[FieldViolation]:
    """What is wrong with a rate."""
    if not 1 <= rate.deliveries <= MAX_DELIVERIES:
        yield FieldViolation("rateLimit.deliveries", f"is {rate.deliveries}; it takes 1 to {MAX_DELIVERIES:,}")
    yield from _time_violations("rateLimit.period", rate.period, PERIOD)


def batching_violations(batching: Batching) -> Iterator[FieldViolation]:
    """What is wrong with a batching."""
    least, most = BATCH_EVENTS
    if not least <= batching.max_events <= most:
        yield FieldViolation(
            "batching.maxEvents", f"is {batching.max_events}; it takes {least} to {most}, or 0 for no batching"
        )
    yield from _time_violations("batching.maxWait", batching.max_wait, (timedelta(), MAX_WAIT))


def pauses_violations(pauses: Sequence[timedelta]) -> Iterator[FieldViolation]:
    """What is wrong with pauses that are given one by one."""
    if len(pauses) > MAX_PAUSES:
        yield FieldViolation("retry.pauses", f"are {len(pauses)}; there may be {MAX_PAUSES}")
        return
    for index, pause in enumerate(pauses):
        yield from _time_violations(f"retry.pauses[{index}]", pause, PAUSE)


def exponential_violations(pauses: ExponentialPauses) -> Iterator[FieldViolation]:
    """What is wrong with pauses that grow."""
    path = "retry.exponential"
    yield from _time_violations(f"{path}.initial", pauses.initial, PAUSE)
    yield from _time_violations(f"{path}.maximum", pauses.maximum, PAUSE)
    if pauses.initial > pauses.maximum:
        yield FieldViolation(
            f"{path}.maximum",
            f"is {_span(pauses.maximum)}, less than initial, {_span(pauses.initial)}; give a longer one",
        )
    least, most = FACTOR
    if not (math.isfinite(pauses.factor) and least <= pauses.factor <= most):
        yield FieldViolation(f"{path}.factor", f"is {pauses.factor:g}; it takes {least:g} to {most:g}")
    fewest, many = ATTEMPTS
    if not fewest <= pauses.max_attempts <= many:
        yield FieldViolation(f"{path}.maxAttempts", f"is {pauses.max_attempts}; it takes {fewest} to {many}")


def grace_violations(grace: timedelta) -> Iterator[FieldViolation]:
    """What is wrong with how long an old secret goes on signing."""
    yield from _time_violations("grace", grace, (timedelta(), MAX_GRACE))


def _texts_violations(
    path: str, texts: Sequence[str], problem: Callable[[str], str | None]
) -> Iterator[FieldViolation]:
    if len(texts) > MAX_FILTER_TEXTS:
        yield FieldViolation(path, f"are {len(texts)}; there may be {MAX_FILTER_TEXTS}")
        return
    for index, text in enumerate(texts):
        if found := problem(text):
            yield FieldViolation(f"{path}[{index}]", found)


def _upstream_problem(text: str) -> str | None:
    if ids.is_slug(text):
        return None
    return f"{shown(text)} is not an upstream's name: a lower-case slug, such as flickr"


def _method_problem(text: str) -> str | None:
    if len(text) <= MAX_METHOD_CHARACTERS and _METHOD.fullmatch(text) is not None:
        return None
    return f"{shown(text)} is no method's name, and no beginning of some; write flickr.photos.search or flickr.photos.*"


def _metadata_violations(filter_: EventFilter) -> Iterator[FieldViolation]:
    if len(filter_.metadata) > MAX_FILTER_METADATA:
        yield FieldViolation(
            "filter.metadata", f"has {len(filter_.metadata)} entries; it may have {MAX_FILTER_METADATA}"
        )
        return
    for key, value in filter_.metadata.items():
        path = f"filter.metadata[{shown(key)}]"
        if not 0 < len(key) <= MAX_METADATA_KEY_CHARACTERS:
            yield FieldViolation(
                path, f"has a key of {len(key)} characters; those of jobs have 1 to {MAX_METADATA_KEY_CHARACTERS}"
            )
        if len(value) > MAX_METADATA_VALUE_CHARACTERS:
            yield FieldViolation(
                path, f"has {len(value)} characters; those of jobs have {MAX_METADATA_VALUE_CHARACTERS} at most"
            )


def _time_violations(path: str, time: timedelta, bounds: tuple[timedelta, timedelta]) -> Iterator[FieldViolation]:
    least, most = bounds
    if not least <= time <= most:
        yield FieldViolation(path, f"is {_span(time)}; it takes {_span(least)} to {_span(most)}")


def _span(time: timedelta) -> str:
    """As proto3 JSON writes it."""
    return f"{time.total_seconds():.9g}s"
