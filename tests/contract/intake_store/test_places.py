"""How many unfinished jobs every job store lets a tenant have, and what it says when they are too many."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from services.intake.domain import Admission, Outcome
from shared import ids
from tests.contract.intake_store.conftest import admit, change, submitted

if TYPE_CHECKING:
    from services.intake.store import JobStore

SHORT = timedelta(milliseconds=30)


async def test_no_more_jobs_are_pending_than_allowed(store: JobStore) -> None:
    first = [await admit(store, max_pending=3) for _ in range(3)]
    refused = await admit(store, key="k", max_pending=3)
    assert (refused.outcome, refused.pending) == (Outcome.FULL, 3)
    assert await store.read("acme", refused.id) is None
    await store.apply([change(first[0].id, 2, ended=True)])
    assert (await admit(store, key="k", max_pending=3)).outcome is Outcome.ADMITTED  # the key was not used up


async def test_hundred_jobs_at_once_fill_the_places_and_no_more(store: JobStore) -> None:
    admissions = await asyncio.gather(*(admit(store, max_pending=40) for _ in range(100)))
    outcomes = Counter(admission.outcome for admission in admissions)
    assert outcomes == {Outcome.ADMITTED: 40, Outcome.FULL: 60}


async def test_a_job_that_was_given_up_does_not_count_until_the_log_shows_it(store: JobStore) -> None:
    first = await admit(store, max_pending=1)
    await store.release("acme", first.id, [first.id], idempotency_key="")
    second = await admit(store, max_pending=1)
    assert second.outcome is Outcome.ADMITTED
    await store.apply([submitted(first.id)])
    assert (await admit(store, max_pending=2)).pending == 2


async def test_giving_up_what_the_log_has_shown_changes_nothing(store: JobStore) -> None:
    first = await admit(store)
    await store.apply([submitted(first.id)])
    await store.release("acme", first.id, [first.id], idempotency_key="")
    assert (await admit(store, max_pending=1)).outcome is Outcome.FULL


async def test_when_all_tenants_have_too_many_nothing_new_is_admitted_and_what_is_known_is_told(
    store: JobStore,
) -> None:
    first = await admit(store, key="k")
    await store.accept("acme", first.id, idempotency_key="k")
    refused = await admit(store, key="l", closed=True)
    assert (refused.outcome, refused.pending) == (Outcome.CLOSED, 1)
    assert (await admit(store, max_pending=1, closed=True)).outcome is Outcome.FULL  # the nearer reason
    assert await admit(store, key="k", closed=True) == Admission(outcome=Outcome.KNOWN, id=first.id)
    assert (await admit(store, key="l")).outcome is Outcome.ADMITTED


async def test_a_refusal_tells_how_fast_jobs_end(store: JobStore) -> None:
    jobs = [(await admit(store)).id for _ in range(5)]
    nothing = (await admit(store, max_pending=1)).drain
    assert (nothing.ended, nothing.silence) == (0, None)
    ends = [change(job_id, 2, ended=True) for job_id in jobs[:3]]
    applied = await store.apply([submitted(jobs[4]), *ends, *ends])
    assert [each.ended for each in applied] == [False, True, True, True, False, False, False]
    await store.apply([change(jobs[3], 2, ended=True, age=timedelta(minutes=5))])  # caught up with, and not of now
    drain = (await admit(store, max_pending=1)).drain
    assert drain.ended == 3
    assert timedelta(seconds=50) <= drain.window <= timedelta(seconds=60)
    assert drain.silence is not None
    assert drain.silence < timedelta(seconds=30)
    await store.apply([change(ids.new_job_id("http"), 2, tenant="other", ended=True)])
    assert (await admit(store, max_pending=1)).drain.ended == 3
