"""GetStats as messages: what is asked for, and what is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from penstock.history.v1 import stats_pb2

from services.history.stats.domain import Group
from services.history.stats.ranges import range_of
from shared import ids
from shared.errors import FieldViolation, InvalidArgument, shown
from shared.times import time_of, timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from services.history.stats.domain import Figures, Report, Stretch
    from services.history.stats.histogram import Histogram

_PERCENTILES = (0.5, 0.95, 0.99)


def asked_of(request: stats_pb2.GetStatsRequest, *, tenant: str, now: datetime) -> tuple[Group, Stretch]:
    """Whose figures are asked for, of which range.

    Raises:
        InvalidArgument: With field paths: the request asks for what cannot be told.
    """
    faults: list[FieldViolation] = []
    if request.upstream and not ids.is_slug(request.upstream):
        faults.append(FieldViolation("upstream", f"is {shown(request.upstream)}, which no upstream is named"))
    if request.connection_id and not ids.is_connection_id(request.connection_id):
        problem = f"is {shown(request.connection_id)}, which is no connection's id; send one, con_…"
        faults.append(FieldViolation("connectionId", problem))
    try:
        whole = _range(request, now=now)
    except InvalidArgument as error:  # told with the others
        raise InvalidArgument.of([*faults, *error.violations]) from None
    if faults:
        raise InvalidArgument.of(faults)
    group = Group(tenant=tenant, upstream=request.upstream, method=request.method, connection_id=request.connection_id)
    return group, whole


def message_of(report: Report) -> stats_pb2.Stats:
    """The report."""
    return stats_pb2.Stats(
        start_time=timestamp(report.range.start),
        end_time=timestamp(report.range.end),
        interval=_duration(report.range.level.length),
        total=_bucket(report.range.start, report.total),
        buckets=[_bucket(start, figures) for start, figures in report.series.items()],
        top_upstreams=_shares(report.top_upstreams),
        top_methods=_shares(report.top_methods),
        top_connections=_shares(report.top_connections),
        errors=dict(report.total.errors),
    )


def _range(request: stats_pb2.GetStatsRequest, *, now: datetime) -> Stretch:
    return range_of(
        time_of(request.start_time, "startTime") if request.HasField("start_time") else None,
        time_of(request.end_time, "endTime") if request.HasField("end_time") else None,
        _interval(request.interval) if request.HasField("interval") else None,
        now=now,
    )


def _interval(message: Duration) -> timedelta:
    try:
        return message.ToTimedelta()
    except (ValueError, OverflowError):
        raise InvalidArgument.field("interval", "is no time; it takes 60s, 3600s or 86400s") from None


def _bucket(start: datetime, figures: Figures) -> stats_pb2.StatsBucket:
    return stats_pb2.StatsBucket(
        start_time=timestamp(start),
        submitted=figures.submitted,
        ended=dict(figures.ended),
        cache_hits=figures.cache_hits,
        attempts=figures.attempts,
        wait=_latency(figures.wait),
        run=_latency(figures.run),
        total=_latency(figures.total),
    )


def _shares(parts: Mapping[str, Figures]) -> list[stats_pb2.StatsShare]:
    return [
        stats_pb2.StatsShare(name=name, ended=dict(figures.ended), total=_latency(figures.total))
        for name, figures in parts.items()
    ]


def _latency(histogram: Histogram) -> stats_pb2.Latency | None:
    """None where nothing was counted: no job has taken no time."""
    count = histogram.count
    if not count:
        return None
    p50, p95, p99 = map(_duration, histogram.percentiles(*_PERCENTILES))
    return stats_pb2.Latency(count=count, p50=p50, p95=p95, p99=p99, max=_duration(histogram.longest))


def _duration(time: timedelta) -> Duration:
    message = Duration()
    message.FromTimedelta(time)
    return message
