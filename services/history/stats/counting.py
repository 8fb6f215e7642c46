"""From jobs to figures: what there is to count of a job, and in which buckets it counts.

A submission counts where the job was accepted, an end where it finished, by the times that the job itself tells; a time
below zero, as clocks that differ may make one, is zero.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC
from typing import TYPE_CHECKING

from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.history.jobs.domain import Mark
from services.history.stats.domain import Bucket, End, Figures, Group, Level

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from google.protobuf.timestamp_pb2 import Timestamp

    from services.history.stats.domain import MarkedJob

#: Ended by an attempt's end. A job that expired or was canceled may have waited for long after its last one.
_ENDED_BY_ATTEMPT = frozenset({jobs_pb2.Job.SUCCEEDED, jobs_pb2.Job.FAILED, jobs_pb2.Job.OUTCOME_UNKNOWN})


def counted(jobs: Iterable[MarkedJob], *, now: datetime) -> Mapping[Bucket, Figures]:
    """What is to be added to which buckets; buckets that nobody may ask for any more are left out.

    Args:
        jobs: Of which what is marked, and was not counted, is counted.
        now: The time.
    """
    by_minute: dict[tuple[Group, datetime], Figures] = defaultdict(Figures)
    for each in jobs:
        job = jobs_pb2.Job.FromString(each.job)
        group = Group(tenant=each.tenant, upstream=each.upstream, method=each.method, connection_id=each.connection_id)
        accepted = _time(job.created_at)
        due = set(each.uncounted).difference(each.counted)
        if Mark.SUBMISSION in due:
            by_minute[group, Level.MINUTE.start(accepted)].submitted += 1
        if Mark.END in due:
            event = events_pb2.JobEvent.FromString(each.event)
            finished = _time(event.finished_at if event.HasField("finished_at") else event.time)
            by_minute[group, Level.MINUTE.start(finished)].add(_end(event, accepted=accepted, finished=finished))
    return _on_every_level(by_minute, now=now)


def marked_at(job: MarkedJob) -> datetime:
    """Since when the job has waited to be counted."""
    if Mark.END in job.uncounted:
        event = events_pb2.JobEvent.FromString(job.event)
        return _time(event.finished_at if event.HasField("finished_at") else event.time)
    return _time(jobs_pb2.Job.FromString(job.job).created_at)


def _on_every_level(by_minute: Mapping[tuple[Group, datetime], Figures], *, now: datetime) -> Mapping[Bucket, Figures]:
    figures: dict[Bucket, Figures] = defaultdict(Figures)
    for (group, minute), each in by_minute.items():
        groups = dict.fromkeys(_wider(group))  # of a call without a connection, its method is the narrowest
        for level in Level:
            start = level.start(minute)
            if start + level.kept <= now:
                continue
            for wider in groups:
                figures[Bucket(wider, level, start)].merge(each)
    return figures


def _wider(group: Group) -> list[Group]:
    """The groups that hold it, and the group itself."""
    tenant, upstream, method = group.tenant, group.upstream, group.method
    return [
        Group(tenant=tenant),
        Group(tenant=tenant, upstream=upstream),
        Group(tenant=tenant, upstream=upstream, method=method),
        Group(tenant=tenant, upstream=upstream, connection_id=group.connection_id),
        group,
    ]


def _end(event: events_pb2.JobEvent, *, accepted: datetime, finished: datetime) -> End:
    started = _time(event.started_at) if event.HasField("started_at") else None
    by_attempt = event.state in _ENDED_BY_ATTEMPT
    succeeded = event.state == jobs_pb2.Job.SUCCEEDED
    return End(
        state=jobs_pb2.Job.State.Name(event.state),
        from_cache=succeeded and event.result.from_cache,
        attempts=event.attempt,
        reason="" if succeeded else event.error.reason,
        wait=None if started is None else started - accepted,
        run=finished - started if started is not None and by_attempt else None,
        total=finished - accepted,
    )


def _time(message: Timestamp) -> datetime:
    return message.ToDatetime(tzinfo=UTC)
