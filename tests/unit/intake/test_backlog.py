"""What of the older log matters to a view that is built anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from services.intake.backlog import Backlog
from services.intake.changes import BatchPlace, Change

NOW = datetime(2026, 1, 10, tzinfo=UTC)
HORIZON = NOW - timedelta(days=1)


def change(job: str, revision: int, *, age: timedelta = timedelta(days=3), ended: bool = False) -> Change:
    at = NOW - age
    return Change(
        tenant="acme",
        job_id=job,
        revision=revision,
        event=b"",
        at=at,
        job=b"job" if revision == 1 else None,
        finished_at=at if ended else None,
    )


def kept(*changes: Change) -> list[tuple[str, int]]:
    backlog = Backlog(HORIZON)
    backlog.add(changes)
    return [(change.job_id, change.revision) for change in backlog.take()]


def test_a_job_that_has_not_ended_is_kept_with_all_its_events() -> None:
    assert kept(change("a", 1), change("b", 1), change("a", 2)) == [("a", 1), ("a", 2), ("b", 1)]


def test_a_job_that_ended_long_ago_is_left_out() -> None:
    assert kept(change("a", 1), change("a", 2), change("a", 3, ended=True), change("b", 1)) == [("b", 1)]


def test_a_job_that_ended_a_short_while_ago_is_kept() -> None:
    end = change("a", 2, age=timedelta(hours=23), ended=True)
    assert kept(change("a", 1), end) == [("a", 1), ("a", 2)]


def test_what_comes_again_after_the_end_does_not_bring_a_job_back() -> None:
    events = [change("a", 1), change("a", 2), change("a", 3, ended=True), change("a", 1), change("a", 2)]
    assert kept(*events) == []


def test_events_without_their_submission_are_of_jobs_that_are_long_over() -> None:
    assert kept(change("a", 2), change("b", 1)) == [("b", 1)]


def test_ends_are_not_remembered_for_ever() -> None:
    backlog = Backlog(HORIZON)
    for hour in range(100):
        backlog.add([change(f"job {hour}", 2, age=timedelta(hours=150 - hour), ended=True)])
    assert len(backlog._ended) == len(backlog._ends) == 2
    assert len(backlog) == 0


def in_batch(job: str, index: int, size: int) -> Change:
    return replace(change(job, 1), place=BatchPlace(batch_id="batch", index=index, size=size))


def test_the_jobs_of_a_batch_are_kept_until_the_last_of_them_ended_long_ago() -> None:
    submissions = [in_batch("a", 0, 2), in_batch("b", 1, 2)]
    first, last = change("a", 3, ended=True), change("b", 3, ended=True)
    assert kept(*submissions, first) == [("a", 1), ("a", 3), ("b", 1)]
    assert kept(*submissions, first, first) == [("a", 1), ("a", 3), ("a", 3), ("b", 1)]
    assert kept(*submissions, first, last, change("c", 1), *submissions) == [("c", 1)]
    assert kept(*submissions, first, change("b", 3, age=timedelta(hours=1), ended=True)) == [
        ("a", 1),
        ("a", 3),
        ("b", 1),
        ("b", 3),
    ]
