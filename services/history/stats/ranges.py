"""Which range is asked for, by which buckets it is told, and of which buckets it is made."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from services.history.stats.domain import ASKED_BY, LOOK_BACK, LOOK_BACK_BY_MINUTE, Level, Stretch
from shared.errors import FieldViolation, InvalidArgument

if TYPE_CHECKING:
    from datetime import datetime

#: The range, where its beginning is not told.
DEFAULT_RANGE = timedelta(hours=24)
#: Where the interval is not told, it is such that there are so many at most.
MAX_CHOSEN = 100


def range_of(start: datetime | None, end: datetime | None, interval: timedelta | None, *, now: datetime) -> Stretch:
    """The buckets that are asked for: from the one that holds the start on, up to the one that holds the end.

    Args:
        start: 24 h before the end unless told.
        end: Now unless told; no later than that.
        interval: Of the buckets; chosen unless told.
        now: The time.

    Raises:
        InvalidArgument: It ends before it begins, goes back too far, or has no such buckets.
    """
    until = now if end is None else min(end, now)
    earliest = now - LOOK_BACK
    since = max(until - DEFAULT_RANGE, earliest) if start is None else start
    faults: list[FieldViolation] = []
    if until <= earliest:
        faults.append(FieldViolation("endTime", f"is {_shown(until)}; figures go back 90 days, to {_shown(earliest)}"))
    elif since >= until:
        told = "now" if until == now else "endTime"
        faults.append(
            FieldViolation("startTime", f"is {_shown(since)}; give one before {told}, which is {_shown(until)}")
        )
    elif since < earliest:
        problem = f"is {_shown(since)}; figures go back 90 days: give {_shown(earliest)} or a later one"
        faults.append(FieldViolation("startTime", problem))
    by_minute = since >= now - LOOK_BACK_BY_MINUTE
    if interval is not None:
        faults += _interval_faults(interval, by_minute=by_minute)
    if faults:
        raise InvalidArgument.of(faults)
    level = _chosen(since, until, by_minute=by_minute) if interval is None else _level(interval)
    return _whole(level or Level.DAY, since, until)


def cover(whole: Stretch) -> list[Stretch]:
    """The same range by the longest buckets that it is made of, in no order."""
    levels = list(Level)
    longer = levels[levels.index(whole.level) + 1 :]
    if not longer:
        return [whole]
    first, last = longer[0].end(whole.start), longer[0].start(whole.end)
    if first >= last:
        return [whole]
    edges = (Stretch(whole.level, whole.start, first), Stretch(whole.level, last, whole.end))
    return [*(edge for edge in edges if edge.start < edge.end), *cover(Stretch(longer[0], first, last))]


def _interval_faults(interval: timedelta, *, by_minute: bool) -> list[FieldViolation]:
    level = _level(interval)
    if level is None:
        problem = f"is {interval.total_seconds():g}s; it takes 60s, 3600s or 86400s"
    elif level is Level.MINUTE and not by_minute:
        problem = "is 60s, and figures by the minute go back 48 hours: give 3600s or 86400s, or a later startTime"
    else:
        return []
    return [FieldViolation("interval", problem)]


def _level(interval: timedelta) -> Level | None:
    return next((level for level in ASKED_BY if level.length == interval), None)


def _chosen(start: datetime, end: datetime, *, by_minute: bool) -> Level:
    """The shortest of which there are not too many."""
    levels = ASKED_BY if by_minute else (Level.HOUR, Level.DAY)
    for level in levels:
        whole = _whole(level, start, end)
        if whole.end - whole.start <= MAX_CHOSEN * level.length:
            return level
    return Level.DAY


def _whole(level: Level, start: datetime, end: datetime) -> Stretch:
    return Stretch(level, level.start(start), level.end(end))


def _shown(time: datetime) -> str:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")
