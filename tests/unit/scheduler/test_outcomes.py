"""What attempts say, as the queue is told it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.scheduler.domain import Finished, Late, State
from services.scheduler.outcomes import Outcomes
from shared import ids, streams
from tests.fakes.queue_settings import Announced
from tests.fakes.tenant_notices import incoming

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.scheduler.domain import Outcome

FAILED = jobs_pb2.JobError(reason="CONNECTION_NEEDS_REAUTH", retryable=True)
REFUSED = jobs_pb2.JobError(reason="CONNECTION_NEEDS_REAUTH", upstream_status=401, retryable=True)
ANSWERED = jobs_pb2.JobResult(size=1)


class Told:
    """A queue that notes what it is told, and a log that nothing comes to."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    async def finish(self, upstream: str, outcomes: Sequence[Outcome]) -> Finished:
        self.outcomes += outcomes
        return Finished(answers=tuple(Late(state=State.CANCELED) for _ in outcomes), opened=(), room=False)

    async def write(self, upstream: str, entries: Sequence[object]) -> None:
        assert not entries, "what came too late is no event"


@pytest.mark.parametrize(
    ("attempt", "uncounted", "unspent"),
    [
        (events_pb2.Attempt(result=ANSWERED), False, False),
        (events_pb2.Attempt(result=jobs_pb2.JobResult(size=1, from_cache=True)), False, True),
        (events_pb2.Attempt(error=FAILED), False, False),
        (events_pb2.Attempt(error=FAILED, uncounted=True), True, True),
        (events_pb2.Attempt(error=REFUSED, uncounted=True), True, False),
    ],
    ids=["answered", "from the cache", "failed", "uncounted", "uncounted, and refused by the upstream"],
)
async def test_what_did_not_go_out_spends_nothing(
    attempt: events_pb2.Attempt, *, uncounted: bool, unspent: bool
) -> None:
    told: Any = Told()
    attempt.job_id = ids.new_job_id("http")
    message = incoming(streams.attempt_subject("http"), attempt.SerializeToString())
    await Outcomes(queue=told, log=told, signals=cast("Any", Announced())).take("http", [message])
    assert [(each.uncounted, each.unspent) for each in told.outcomes] == [(uncounted, unspent)]
