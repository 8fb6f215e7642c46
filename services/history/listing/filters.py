"""Which jobs a caller means: the same parts in every request, judged in one place."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from penstock.history.v1 import history_pb2
from penstock.jobs.v1 import jobs_pb2

from services.history.jobs.domain import Filter
from shared import ids
from shared.errors import FieldViolation, InvalidArgument, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

#: What says which jobs.
Asked = history_pb2.ListJobsRequest | history_pb2.ExportJobsRequest | history_pb2.JobFilter

#: By the number, as the filters take them; the zero values are "any" and no filter.
_STATES = {number: name for name, number in jobs_pb2.Job.State.items() if number}
_PRIORITIES = {number: name for name, number in jobs_pb2.Job.Priority.items() if number}
#: All that a job can have.
MAX_LABELS = 10
#: Times are kept in whole milliseconds, cut off: of a finer bound the next one means the same jobs.
_BELOW_A_MILLISECOND = timedelta(microseconds=999)


def filter_of(asked: Asked, *, indexed: Collection[str] | None, within: str = "") -> Filter:
    """Which jobs a caller asks for.

    Args:
        asked: The request, or the part of it that says so.
        indexed: The keys of metadata by which the tenant's jobs can be found; None where that was judged before.
        within: What the paths of its fields begin with.

    Raises:
        InvalidArgument: A field holds what no job can have; every such field is named.
    """
    faults = [*_faults(asked), *_label_faults(asked.metadata, indexed)]
    after = _time_of(asked, "created_after", "createdAfter", faults)
    before = _time_of(asked, "created_before", "createdBefore", faults)
    if after is not None and before is not None and before <= after:
        faults.append(FieldViolation("createdBefore", "is not later than createdAfter; nothing lies between"))
    if faults:
        raise InvalidArgument.of([FieldViolation(within + fault.field, fault.description) for fault in faults])
    return Filter(
        upstream=asked.upstream,
        method=asked.method,
        connection_id=asked.connection_id or asked.token_id,  # pyright: ignore[reportDeprecated]  it goes on to work
        batch_id=asked.batch_id,
        priority=_PRIORITIES.get(asked.priority, ""),
        states=tuple(sorted({_STATES[state] for state in asked.state})),
        labels=tuple(sorted(set(asked.metadata))),
        created_after=after,
        created_before=before,
    )


def _faults(asked: Asked) -> Iterator[FieldViolation]:
    if asked.upstream and not ids.is_slug(asked.upstream):
        yield FieldViolation("upstream", f"is {shown(asked.upstream)}, which no upstream is named")
    connection = asked.connection_id or asked.token_id  # pyright: ignore[reportDeprecated]  it goes on to work
    if connection and not ids.is_connection_id(connection):
        name = "connectionId" if asked.connection_id else "tokenId"
        yield FieldViolation(name, f"is {shown(connection)}, which is no connection's id; send one, con_…")
    if asked.batch_id and not ids.is_batch_id(asked.batch_id):
        yield FieldViolation("batchId", f"is {shown(asked.batch_id)}, which is no batch's id; send one, batch_…")
    for index, state in enumerate(asked.state):
        if state not in _STATES:
            yield FieldViolation(f"state[{index}]", f"is {state}; it takes {', '.join(_STATES.values())}")
    if asked.priority and asked.priority not in _PRIORITIES:
        yield FieldViolation("priority", f"is {asked.priority}; it takes {', '.join(_PRIORITIES.values())}")


def _label_faults(labels: Collection[str], indexed: Collection[str] | None) -> Iterator[FieldViolation]:
    if len(labels) > MAX_LABELS:
        yield FieldViolation("metadata", f"is given {len(labels)} times; at most {MAX_LABELS}, which must all match")
        return
    for index, label in enumerate(labels):
        if "=" not in label:
            yield FieldViolation(f"metadata[{index}]", f"is {shown(label)}; write it as key=value")
        elif indexed is not None and not any(label.startswith(f"{key}=") for key in indexed):
            known = f"it takes {', '.join(map(shown, sorted(indexed)))}" if indexed else "no key is"
            way_out = "UpdateRetention takes keys into indexedMetadata, for jobs that are accepted from then on"
            yield FieldViolation(
                f"metadata[{index}]",
                f"is of the key {shown(label.partition('=')[0])}, which is not indexed; {known}; {way_out}",
            )


def _time_of(asked: Asked, name: str, json_name: str, faults: list[FieldViolation]) -> datetime | None:
    if not asked.HasField(name):  # pyright: ignore[reportArgumentType]  each kind of request has both times
        return None
    try:
        time = getattr(asked, name).ToDatetime(tzinfo=UTC) + _BELOW_A_MILLISECOND
    except (ValueError, OverflowError):
        hint = "is no time between the years 1 and 9999; write it as in 2027-01-31T12:00:00Z"
        faults.append(FieldViolation(json_name, hint))
        return None
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
