"""How figures are written down: the collection `stats` of the database `history`, one document for each bucket.

A document's id is `<tenant>/<rollup>/<name>/<level>/<start>`, and what else its group is told by: the buckets of a
group that follow each other are one range of ids, and so is all that there is of a tenant, or of a connection. What it
counts grows by plain increments. `jobs`, those that have ended, is there for the index by which the heaviest of a span
are found; `expires_at` ends the document.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from pymongo import UpdateOne

from services.history.stats.domain import Bucket, Figures, Group, Level, Rollup
from services.history.stats.histogram import Histogram

if TYPE_CHECKING:
    from services.history.stats.domain import Stretch
    from shared.mongo import Document

DATABASE = "history"
COLLECTION = "stats"
_HISTOGRAMS = ("wait", "run", "total")
_START = "%Y%m%dT%H%M"
#: Follows `/` in the order of texts: the end of what begins with a prefix.
_AFTER_SLASH = "0"


def addition(bucket: Bucket, figures: Figures) -> UpdateOne:
    """Adds figures to a bucket."""
    group = bucket.group
    increments: Document = {
        "jobs": figures.ended.total(),
        "submitted": figures.submitted,
        "cache_hits": figures.cache_hits,
        "attempts": figures.attempts,
    }
    increments |= {f"ended.{state}": count for state, count in figures.ended.items()}
    increments |= {f"errors.{_key(reason)}": count for reason, count in figures.errors.items()}
    longest: Document = {}
    for name in _HISTOGRAMS:
        histogram: Histogram = getattr(figures, name)
        increments |= {f"{name}.{number}": count for number, count in histogram.counts.items()}
        longest[f"{name}_us"] = histogram.longest_us
    set_once = {
        "tenant": group.tenant,
        "rollup": group.rollup,
        "span": _span(bucket.level, bucket.start),
        "upstream": group.upstream,
        "method": group.method,
        "connection_id": group.connection_id,
        "expires_at": bucket.start + bucket.level.kept,
    }
    update: Document = {"$inc": increments, "$max": longest, "$setOnInsert": set_once}
    return UpdateOne({"_id": _id(bucket)}, update, upsert=True)


def bucket_of(document: Document) -> tuple[Bucket, Figures]:
    """A bucket and what was counted in it, as far as the document tells."""
    level, start = _level_and_start(document["span"])
    group = _group(document["tenant"], document["upstream"], document["method"], document["connection_id"])
    figures = Figures(
        submitted=document.get("submitted", 0),
        ended=Counter(document.get("ended", {})),
        cache_hits=document.get("cache_hits", 0),
        attempts=document.get("attempts", 0),
        errors=Counter({unquote(key): count for key, count in document.get("errors", {}).items()}),
        wait=_histogram(document, "wait"),
        run=_histogram(document, "run"),
        total=_histogram(document, "total"),
    )
    return Bucket(group, level, start), figures


def ids_in(group: Group, stretch: Stretch) -> Document:
    """The ids of a group's buckets in a stretch; a method may be of several upstreams, a connection has many calls."""
    prefix = _prefix(group)
    return {
        "$gte": f"{prefix}{_span(stretch.level, stretch.start)}",
        "$lt": f"{prefix}{_span(stretch.level, stretch.end)}",
    }


def all_of(tenant: str, connection_id: str) -> Document:
    """Asks for all that there is of a tenant, or of one of its connections."""
    prefixes = [_key(tenant)]
    if connection_id:
        prefixes = [f"{_key(tenant)}/{rollup}/{_key(connection_id)}" for rollup in (Rollup.CONNECTION, Rollup.CALL)]
    return {"$or": [{"_id": {"$gte": f"{prefix}/", "$lt": f"{prefix}{_AFTER_SLASH}"}} for prefix in prefixes]}


def narrower(group: Group) -> Document:
    """What must hold of the group's documents beside their ids, or of those that are a part of it."""
    names = {"upstream": group.upstream, "method": group.method, "connection_id": group.connection_id}
    return {field: name for field, name in names.items() if name}


def _histogram(document: Document, name: str) -> Histogram:
    counts: dict[str, int] = document.get(name, {})
    longest: Any = document.get(f"{name}_us", 0)
    return Histogram({int(number): count for number, count in counts.items()}, longest)


def _id(bucket: Bucket) -> str:
    group = bucket.group
    told = f"{_prefix(group)}{_span(bucket.level, bucket.start)}"
    if group.rollup is Rollup.CALL:
        return f"{told}/{_key(group.upstream)}/{_key(group.method)}"
    return f"{told}/{_key(group.upstream)}" if group.rollup in {Rollup.METHOD, Rollup.CONNECTION} else told


def _prefix(group: Group) -> str:
    return f"{_key(group.tenant)}/{group.rollup}/{_key(_name(group))}/"


def _name(group: Group) -> str:
    return group.connection_id or group.method or group.upstream


def _span(level: Level, start: datetime) -> str:
    return f"{level}/{start.strftime(_START)}"


@lru_cache(maxsize=10_000)  # one answer has thousands of buckets of few spans and groups
def _level_and_start(span: str) -> tuple[Level, datetime]:
    level, _, start = span.partition("/")
    return Level(level), datetime.strptime(start, _START).replace(tzinfo=UTC)


@lru_cache(maxsize=10_000)
def _group(tenant: str, upstream: str, method: str, connection_id: str) -> Group:
    return Group(tenant=tenant, upstream=upstream, method=method, connection_id=connection_id)


@lru_cache(maxsize=10_000)
def _key(text: str) -> str:
    """A text as a part of an id, or as a field's name: without `/`, `.` and `$`."""
    return quote(text, safe="").replace(".", "%2E")
