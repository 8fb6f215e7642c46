"""What was asked, what was answered, and whether that was right."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from penstock.jobs.v1 import jobs_pb2

from shared import errors
from tests.integration.intake.idempotency.bench import Crashed
from tests.integration.intake.idempotency.ledger import SUBMITTED, WINDOW, Ledger, Verdict
from tests.integration.intake.idempotency.log import first_sight
from tests.integration.intake.idempotency.way import CRASHES, SUCCEEDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.integration.intake.idempotency.bench import Bench
    from tests.integration.intake.idempotency.ledger import Asked
    from tests.integration.intake.idempotency.way import Fate

_ERRORS = {
    Verdict.IN_FLIGHT: errors.IdempotencyKeyInFlight,
    Verdict.REUSED: errors.IdempotencyKeyReused,
    Verdict.FULL: errors.QueueFull,
    Verdict.NO_RECORD: errors.Unavailable,
    Verdict.INVALID: errors.InvalidArgument,
    Verdict.REBUILDING: errors.Unavailable,
}


class Witness:
    """Keeps the ledger, and holds every answer to it.

    Args:
        bench: What is witnessed.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.ledger = Ledger(bench.cap)
        #: Jobs whose admission was lost while they were on their way.
        self.exposed: set[str] = set()

    @property
    def now(self) -> int:
        return self._bench.hand.now_ms

    def is_late(self, asked: Asked) -> bool:
        """Whether the request would not be good any more if it came for the first time."""
        return asked.body == 0 and self.now >= self._bench.late_from

    def verdict(self, asked: Asked, *, known: bool) -> tuple[Verdict, str]:
        """What a request comes to, on a replica that knows its server or does not."""
        if not self.is_late(asked):
            return self.ledger.judge(asked, self.now) if known else (Verdict.REBUILDING, "")
        verdict, job_id = self.ledger.judge_late(asked, self.now)
        if verdict is Verdict.INVALID and asked.key and not known:
            return Verdict.REBUILDING, ""
        return verdict, job_id

    def admission_unanswered(self, asked: Asked, verdict: Verdict, answer: Any, *, takes_effect: bool) -> None:
        """Redis did not answer, having admitted the request or not."""
        assert isinstance(answer, errors.Unavailable), answer
        if takes_effect and verdict is Verdict.NEW:
            self.ledger.admit(asked, self._bench.hand.minted, self.now)
        # A lapsed one is not taken up: the script was to be asked a second time.

    def published(self, asked: Asked, job_id: str, fate: Fate, failing: Mapping[str, bool], answer: Any) -> None:
        """A request was admitted, and such was the fate of its publish."""
        if fate in CRASHES:
            assert isinstance(answer, Crashed), answer
        elif fate in SUCCEEDS:
            assert isinstance(answer, jobs_pb2.Job), answer
            assert (answer.id, answer.state) == (job_id, jobs_pb2.Job.QUEUED)
            if failing.get("accept", True):
                self.ledger.accept(asked, job_id, self.now)
        else:
            assert isinstance(answer, errors.Unavailable), answer
            assert answer.metadata == {"dependency": "nats", "job": job_id}
            if failing.get("release", True):
                self.ledger.release(asked, job_id, self.now)

    def answered(self, verdict: Verdict, asked: Asked, job_id: str, answer: Any) -> None:
        """A request was not admitted: it was replayed or refused."""
        if verdict is Verdict.REPLAYED:
            assert isinstance(answer, jobs_pb2.Job), (asked, answer)
            assert answer.id == job_id
            self._is_in_the_log(asked, job_id)
            self.ledger.accept(asked, job_id, self.now)
            return
        assert type(answer) is _ERRORS[verdict], (verdict, asked, answer)
        if verdict in {Verdict.IN_FLIGHT, Verdict.REUSED, Verdict.NO_RECORD}:
            assert answer.metadata == {"job": job_id}
        if verdict is Verdict.REBUILDING:
            assert answer.metadata == {"dependency": "redis", "state": "rebuilding"}

    def answered_at_once(self, heard: Sequence[tuple[Asked, bool, Any]]) -> None:
        """Requests under one key came at the same time: one of them came first.

        Args:
            heard: Each with whether its replica knew the server, and its answer.
        """
        first = self._first(heard)
        if first is not None:
            self.ledger.admit(*first, self.now)
            self.ledger.accept(*first, self.now)
        for asked, known, answer in heard:
            verdict, job_id = self.verdict(asked, known=known)
            if first is not None and verdict is Verdict.REPLAYED and not isinstance(answer, jobs_pb2.Job):
                verdict = Verdict.IN_FLIGHT
            self.answered(verdict, asked, job_id, answer)

    def _first(self, heard: Sequence[tuple[Asked, bool, Any]]) -> tuple[Asked, str] | None:
        """The request that made the key's job, and that job; None where no new one can have been made."""
        judged = [(asked, *self.verdict(asked, known=known), answer) for asked, known, answer in heard]
        may = [
            (asked, job_id, answer)
            for asked, verdict, job_id, answer in judged
            if verdict in {Verdict.NEW, Verdict.TAKEN_UP}
        ]
        if not may:
            return None
        made = [(asked, answer.id) for asked, _, answer in may if isinstance(answer, jobs_pb2.Job)]
        assert made, may
        assert all(job_id in {"", made[0][1]} for _, job_id, _ in may)
        return made[0]

    def _is_in_the_log(self, asked: Asked, job_id: str) -> None:
        """Nobody is told of a job that is not on disk, is another tenant's, or was made from another request."""
        told = self._bench.log.told
        assert asked in [each.asked for each in told if each.job_id == job_id and each.revision == SUBMITTED]

    def lost(self, left: Ledger, on_the_way: set[str]) -> None:
        """Redis has lost what is not in the ledger that is left."""
        self.exposed |= on_the_way - {key.job_id for key in left.keys.values()}
        self.ledger = left.copy()

    def check_jobs(self) -> None:
        """A key has one job within its window, but for what is not made good."""
        made: dict[tuple[str, str], set[str]] = defaultdict(set)
        for told in self._bench.log.told:
            if told.revision == SUBMITTED and told.asked.key:
                made[told.asked.tenant, told.asked.key].add(told.job_id)
        for jobs in made.values():
            sightings = sorted((first_sight(job_id), job_id) for job_id in jobs)
            for (before, one), (after, other) in pairwise(sightings):
                assert after - before >= WINDOW or {one, other} & self.exposed, (one, other)
