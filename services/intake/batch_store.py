"""Where intake keeps batches in the hot view: the Protocol, and Redis behind it.

    {intake:<tenant>}:batch:<id>   hash    size, job:<index> (its id); and once the log has shown them: made_at (us) and
                                           callback (whom to tell of the end) with the first job, end:<index> (the state
                                           it ended in), ended_at (the last of them, ms)

An admission makes the record; all that is in it comes again with the log's events, in any order, so that a record that
was lost is made anew by the rebuild.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from services.intake.changes import FinishedBatch
from services.intake.domain import State
from services.intake.layout import FINISHED_LIFETIME, UNFINISHED_LIFETIME, batch_key
from shared import kv

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from services.intake.changes import BatchNote

_NOTE = kv.Script(Path(__file__).parent / "lua" / "batch.lua")
_SUBMITTED, _ENDED = "submitted", "ended"
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


class BatchStore(Protocol):
    """Keeps batches. Every method takes the tenant, and shows nothing of another's."""

    async def job_ids(self, tenant: str, batch_id: str) -> tuple[str, ...] | None:
        """The jobs of a batch, in order; None where the tenant has none of this id here, or not all of it is here.

        Raises:
            Unavailable: The store is away.
        """
        ...

    async def note(self, notes: Sequence[BatchNote]) -> list[FinishedBatch]:
        """Notes what the log has said of batches; answers with those whose last job has ended.

        One that had finished before is among them when something is noted of it again.

        Raises:
            Unavailable: The store is away. Any of them may be noted.
        """
        ...


class RedisBatchStore:
    """Keeps them in Redis.

    Args:
        client: Connected.
    """

    def __init__(self, client: kv.Client) -> None:
        self._client = client

    async def job_ids(self, tenant: str, batch_id: str) -> tuple[str, ...] | None:
        """See `BatchStore`."""
        async with kv.translated():
            fields: dict[bytes, bytes] = await cast("Any", self._client.hgetall(batch_key(tenant, batch_id)))
        found = [fields.get(b"job:%d" % index) for index in range(int(fields.get(b"size", 0)))]
        known = tuple(job_id.decode() for job_id in found if job_id is not None)
        return known if known and len(known) == len(found) else None

    async def note(self, notes: Sequence[BatchNote]) -> list[FinishedBatch]:
        """See `BatchStore`."""
        by_batch: dict[tuple[str, str], list[BatchNote]] = {}
        for note in notes:
            by_batch.setdefault((note.tenant, note.batch_id), []).append(note)
        kept: list[kv.Argument] = [
            int(lifetime.total_seconds() * 1000) for lifetime in (UNFINISHED_LIFETIME, FINISHED_LIFETIME)
        ]
        answers: list[list[bytes] | None] = await _NOTE.run_many(
            self._client,
            [
                ([batch_key(tenant, batch_id)], [*kept, *_arguments(noted)])
                for (tenant, batch_id), noted in by_batch.items()
            ],
        )
        return [
            _finished(tenant, batch_id, dict(zip(answer[::2], answer[1::2], strict=True)))
            for (tenant, batch_id), answer in zip(by_batch, answers, strict=True)
            if answer is not None
        ]


def _arguments(notes: Iterable[BatchNote]) -> Iterable[kv.Argument]:
    for note in notes:
        if note.state is None:
            made_us = (note.at - _EPOCH) // _MICROSECOND
            yield from (_SUBMITTED, note.index, note.job_id, note.size, made_us, note.callback or b"")
        else:
            yield from (_ENDED, note.index, note.state, int(note.at.timestamp() * 1000), "", "")


def _finished(tenant: str, batch_id: str, fields: Mapping[bytes, bytes]) -> FinishedBatch:
    ends = (fields[b"end:%d" % index] for index in range(int(fields[b"size"])))
    return FinishedBatch(
        tenant=tenant,
        id=batch_id,
        ends=tuple(State(state.decode()) for state in ends),
        created_at=_EPOCH + int(fields[b"made_at"]) * _MICROSECOND,
        finished_at=datetime.fromtimestamp(int(fields[b"ended_at"]) / 1000, UTC),
        callback=fields[b"callback"],
    )
