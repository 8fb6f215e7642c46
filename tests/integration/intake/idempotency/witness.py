"""What was asked, what was answered, and whether that was right."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from penstock.jobs.v1 import batches_pb2, jobs_pb2

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
        #: What was on its way when its admission was lost.
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
        verdict, made = self.ledger.judge_late(asked, self.now)
        looks = verdict is Verdict.INVALID or (verdict is Verdict.NO_RECORD and asked.jobs)
        if looks and asked.key and not known:
            return Verdict.REBUILDING, ""
        return verdict, made

    def admission_unanswered(self, asked: Asked, verdict: Verdict, answer: Any, *, takes_effect: bool) -> None:
        """Redis did not answer, having admitted the request or not."""
        assert isinstance(answer, errors.Unavailable), answer
        if takes_effect and verdict is Verdict.NEW:
            self.ledger.admit(asked, self._bench.hand.minted, self.now)
        # A lapsed one is not taken up: the script was to be asked a second time.

    def published(self, asked: Asked, made: str, fate: Fate, failing: Mapping[str, bool], answer: Any) -> None:
        """A request was admitted, and such was the fate of its publish."""
        if fate in CRASHES:
            assert isinstance(answer, Crashed), answer
        elif fate in SUCCEEDS:
            jobs = self._jobs_of(answer, asked, made)
            assert {job.state for job in jobs} == {jobs_pb2.Job.QUEUED}
            if failing.get("accept", True):
                self.ledger.accept(asked, made, self.now)
        else:
            assert isinstance(answer, errors.Unavailable), answer
            assert answer.metadata == {"dependency": "nats", asked.kind: made}
            if failing.get("release", True):
                self.ledger.release(asked, made, self.now)

    def answered(self, verdict: Verdict, asked: Asked, made: str, answer: Any) -> None:
        """A request was not admitted: it was replayed or refused."""
        if verdict is Verdict.REPLAYED:
            self._jobs_of(answer, asked, made)
            self._is_in_the_log(asked, made)
            self.ledger.accept(asked, made, self.now)
            return
        assert type(answer) is _ERRORS[verdict], (verdict, asked, answer)
        if verdict in {Verdict.IN_FLIGHT, Verdict.REUSED, Verdict.NO_RECORD}:
            assert answer.metadata == {"batch" if made.startswith("batch_") else "job": made}
        if verdict is Verdict.REBUILDING:
            assert answer.metadata == {"dependency": "redis", "state": "rebuilding"}

    def _jobs_of(self, answer: Any, asked: Asked, made: str) -> Sequence[jobs_pb2.Job]:
        """The answer's jobs, which are those of what was made."""
        assert isinstance(answer, batches_pb2.Batch if asked.jobs else jobs_pb2.Job), (asked, answer)
        assert answer.id == made
        jobs = answer.jobs if asked.jobs else [answer]
        assert [job.id for job in jobs] == asked.job_ids(made)
        return jobs

    def answered_at_once(self, heard: Sequence[tuple[Asked, bool, Any]]) -> None:
        """Requests under one key came at the same time: one of them came first.

        Args:
            heard: Each with whether its replica knew the server, and its answer.
        """
        before = [self.verdict(asked, known=known) for asked, known, _ in heard]
        first = self._first([(asked, *found, answer) for (asked, _, answer), found in zip(heard, before, strict=True)])
        if first is not None:
            self.ledger.admit(*first, self.now)
            self.ledger.accept(*first, self.now)
        for (asked, known, answer), (had_come, _) in zip(heard, before, strict=True):
            verdict, made = self.verdict(asked, known=known)
            if first is not None and had_come is Verdict.FULL and isinstance(answer, errors.QueueFull):
                verdict = had_come  # it came before the first, and was too large
            elif first is not None and verdict is Verdict.REPLAYED and isinstance(answer, errors.PenstockError):
                verdict = Verdict.IN_FLIGHT
            self.answered(verdict, asked, made, answer)

    @staticmethod
    def _first(judged: Sequence[tuple[Asked, Verdict, str, Any]]) -> tuple[Asked, str] | None:
        """The request that came first, and what it made; None where nothing new can have been made."""
        may = [
            (asked, made, answer)
            for asked, verdict, made, answer in judged
            if verdict in {Verdict.NEW, Verdict.TAKEN_UP}
        ]
        if not may:
            return None
        accepted = [(asked, answer.id) for asked, _, answer in may if not isinstance(answer, Exception)]
        assert accepted, may
        assert all(made in {"", accepted[0][1]} for _, made, _ in may)
        return accepted[0]

    def _is_in_the_log(self, asked: Asked, made: str) -> None:
        """Nobody is told of what is not on disk, is another tenant's, or was made from another request."""
        told = [each for each in self._bench.log.told if each.made == made and each.revision == SUBMITTED]
        assert {each.asked for each in told} == {asked}

    def lost(self, left: Ledger, on_the_way: set[str]) -> None:
        """Redis has lost what is not in the ledger that is left."""
        self.exposed |= on_the_way - {key.made for key in left.keys.values()}
        self.ledger = left.copy()

    def check_log(self) -> None:
        """A key has made one thing within its window, but for what is not made good; and batches are whole."""
        by_key: dict[tuple[str, str], set[str]] = defaultdict(set)
        jobs: dict[str, set[str]] = defaultdict(set)
        for told in self._bench.log.told:
            if told.revision == SUBMITTED:
                by_key[told.asked.tenant, told.asked.key].add(told.made)
                jobs[told.made].add(told.job_id)
        assert all(len(jobs[told.made]) == (told.asked.jobs or 1) for told in self._bench.log.told)
        for made in (made for (_, key), made in by_key.items() if key):
            sightings = sorted((first_sight(each), each) for each in made)
            for (before, one), (after, other) in pairwise(sightings):
                assert after - before >= WINDOW or {one, other} & self.exposed, (one, other)
