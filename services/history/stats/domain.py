"""What statistics speak of: levels of time, groups of jobs, and the figures of a group in a span of time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from services.history.stats.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.history.jobs.domain import Mark

#: How far back anybody may ask, and by the minute.
LOOK_BACK = timedelta(days=90)
LOOK_BACK_BY_MINUTE = timedelta(hours=48)
_MINUTE, _HOUR, _DAY, _WEEK = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)


class Level(StrEnum):
    """How long the buckets are, UTC. Each job is counted on every level, so that a range is a few of the longest."""

    MINUTE = "m"
    HOUR = "h"
    DAY = "d"
    #: From Monday on; nobody asks by it, and long ranges add up from a tenth of the buckets.
    WEEK = "w"

    @property
    def length(self) -> timedelta:
        """Of a bucket."""
        return _LENGTHS[self]

    @property
    def kept(self) -> timedelta:
        """From a bucket's beginning on: until nobody may ask for its last moment, and an hour, or a day, more."""
        return _KEPT[self]

    def start(self, time: datetime) -> datetime:
        """When the bucket begins that holds a time."""
        if self is Level.MINUTE:
            return time.replace(second=0, microsecond=0)
        if self is Level.HOUR:
            return time.replace(minute=0, second=0, microsecond=0)
        day = time.replace(hour=0, minute=0, second=0, microsecond=0)
        return day if self is Level.DAY else day - timedelta(days=day.weekday())

    def end(self, time: datetime) -> datetime:
        """When the bucket ends that holds the moment before a time."""
        start = self.start(time)
        return start if start == time else start + self.length


_LENGTHS = {Level.MINUTE: _MINUTE, Level.HOUR: _HOUR, Level.DAY: _DAY, Level.WEEK: _WEEK}
_KEPT = {
    Level.MINUTE: LOOK_BACK_BY_MINUTE + _HOUR,
    Level.HOUR: LOOK_BACK + 2 * _DAY,  # by the day, a range begins with the first of its days
    Level.DAY: LOOK_BACK + 2 * _DAY,
    Level.WEEK: LOOK_BACK + _WEEK + _DAY,
}
#: By which figures can be asked for.
ASKED_BY = (Level.MINUTE, Level.HOUR, Level.DAY)


class Rollup(StrEnum):
    """What the jobs of a group have in common beside their tenant."""

    ALL = "all"
    UPSTREAM = "upstream"
    METHOD = "method"
    CONNECTION = "connection"
    #: Their method and their connection.
    CALL = "call"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Jobs of a tenant that are counted together; an empty name stands for any."""

    tenant: str
    upstream: str = ""
    method: str = ""
    connection_id: str = ""

    @property
    def rollup(self) -> Rollup:
        """The narrowest of which one group holds them all."""
        if self.connection_id:
            return Rollup.CALL if self.method else Rollup.CONNECTION
        if self.method:
            return Rollup.METHOD
        return Rollup.UPSTREAM if self.upstream else Rollup.ALL


@dataclass(frozen=True, slots=True)
class Bucket:
    """A group in a span of time."""

    group: Group
    level: Level
    start: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a job ended."""

    state: str
    from_cache: bool
    #: Calls that were begun for it.
    attempts: int
    #: A name of `ErrorReason`; empty where it succeeded.
    reason: str
    #: From acceptance to the beginning of the last attempt; None where there was none.
    wait: timedelta | None
    #: The last attempt; None where another thing than that has ended the job.
    run: timedelta | None
    #: From acceptance to the end.
    total: timedelta


@dataclass(slots=True)
class Figures:
    """What was counted of a group in a span of time."""

    submitted: int = 0
    #: By state.
    ended: Counter[str] = field(default_factory=Counter[str])
    cache_hits: int = 0
    attempts: int = 0
    #: By reason.
    errors: Counter[str] = field(default_factory=Counter[str])
    wait: Histogram = field(default_factory=Histogram)
    run: Histogram = field(default_factory=Histogram)
    total: Histogram = field(default_factory=Histogram)

    def add(self, end: End) -> None:
        """Counts the end of a job."""
        self.ended[end.state] += 1
        self.cache_hits += end.from_cache
        self.attempts += end.attempts
        if end.reason:
            self.errors[end.reason] += 1
        if end.wait is not None:
            self.wait.add(end.wait)
        if end.run is not None:
            self.run.add(end.run)
        self.total.add(end.total)

    def merge(self, other: Figures) -> None:
        """Counts what was counted elsewhere."""
        self.submitted += other.submitted
        self.ended.update(other.ended)
        self.cache_hits += other.cache_hits
        self.attempts += other.attempts
        self.errors.update(other.errors)
        for mine, theirs in ((self.wait, other.wait), (self.run, other.run), (self.total, other.total)):
            mine.merge(theirs.counts, theirs.longest_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkedJob:
    """A job of which something may be uncounted."""

    job_id: str
    tenant: str
    upstream: str
    method: str
    connection_id: str
    #: The job as first answered, serialised.
    job: bytes
    #: Its newest event without the result's content, serialised.
    event: bytes
    #: What is marked, as it was read.
    uncounted: tuple[Mark, ...]
    #: What was counted of it before, whatever is marked.
    counted: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Buckets of one level that follow each other, from the beginning of the first to the end of the last."""

    level: Level
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is told of a range."""

    #: The buckets' level, the beginning of the first and the end of the last.
    range: Stretch
    total: Figures
    #: Those that are not empty, by their beginning, the oldest first.
    series: Mapping[datetime, Figures]
    #: Those with the most jobs that have ended first.
    top_upstreams: Mapping[str, Figures]
    top_methods: Mapping[str, Figures]
    top_connections: Mapping[str, Figures]
