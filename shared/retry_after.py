"""`Retry-After` (RFC 9110, 10.2.3): the pause that a server asks for."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

#: As long as a job lives unless it asks for more.
MAX_PAUSE = timedelta(hours=24)
_SECONDS = re.compile(r"[0-9]+")
#: Beyond these digits a number of seconds exceeds every maximum, and at some length the time to read it.
_MAX_DIGITS = 9


def parse(value: str, now: datetime) -> timedelta | None:
    """The pause, from zero to `MAX_PAUSE`; None where the value is neither seconds nor an HTTP date.

    Args:
        value: The header's value.
        now: From when a date is counted, in UTC.
    """
    text = value.strip()
    if _SECONDS.fullmatch(text):
        digits = text.lstrip("0") or "0"
        return MAX_PAUSE if len(digits) > _MAX_DIGITS else min(timedelta(seconds=int(digits)), MAX_PAUSE)
    until = http_date(text)
    return None if until is None else min(max(until - now, timedelta()), MAX_PAUSE)


def http_date(value: str) -> datetime | None:
    """The time that an HTTP date (RFC 9110, 5.6.7) tells, in any of its three forms; None for anything else."""
    try:
        time = parsedate_to_datetime(value)
    except (ValueError, OverflowError, IndexError):  # what is malformed says nothing
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time  # an HTTP date is GMT
