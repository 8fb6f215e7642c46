"""Submissions as the queue knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.scheduler.domain import NewJob, Priority
from services.scheduler.submissions import new_job
from shared import ids

if TYPE_CHECKING:
    from collections.abc import Callable

Event = events_pb2.JobEvent


def submitted() -> Event:
    job_id = ids.new_job_id("http")
    event = Event(type=Event.SUBMITTED, job_id=job_id, tenant="acme", upstream="http", revision=1)
    job = event.submission.job
    job.id, job.upstream, job.connection_id, job.priority = job_id, "http", "con_1", jobs_pb2.Job.HIGH
    job.expires_at.FromMilliseconds(2_000)
    job.not_before.FromMilliseconds(1_500)
    submission = event.submission
    submission.method_class, submission.idempotent, submission.callback_url = "upload", True, "https://c.example"
    submission.attempt_timeout.FromMilliseconds(7_000)
    submission.retry.max_attempts = 5
    submission.retry.initial_backoff.FromMilliseconds(250)
    submission.retry.max_backoff.FromMilliseconds(9_000)
    return event


def test_a_submission_is_read_whole() -> None:
    event = submitted()
    assert new_job(event, "http", sequence=9) == NewJob(
        id=event.job_id,
        tenant="acme",
        lane="con_1",
        priority=Priority.HIGH,
        method_class="upload",
        idempotent=True,
        sequence=9,
        not_before_ms=1_500,
        expires_at_ms=2_000,
        max_attempts=5,
        initial_backoff_ms=250,
        max_backoff_ms=9_000,
        timeout_ms=7_000,
        has_callback=True,
    )


def test_what_a_submission_leaves_open_has_a_default() -> None:
    event = submitted()
    for field in ("retry", "attempt_timeout", "callback_url", "idempotent"):
        event.submission.ClearField(field)
    for field in ("connection_id", "priority", "not_before"):
        event.submission.job.ClearField(field)
    job = new_job(event, "http", sequence=1)
    assert (job.lane, job.priority, job.not_before_ms) == ("-", Priority.NORMAL, 0)
    assert (job.max_attempts, job.initial_backoff_ms, job.max_backoff_ms) == (3, 1_000, 300_000)
    assert (job.timeout_ms, job.has_callback, job.idempotent) == (30_000, False, False)


def test_a_class_that_is_not_known_counts_as_the_most_careful_one() -> None:
    event = submitted()
    event.submission.method_class = "teleport"
    assert new_job(event, "http", sequence=1).method_class == "write"


def other_type(event: Event) -> None:
    event.type = Event.STARTED


def without_submission(event: Event) -> None:
    event.ClearField("submission")


def other_job(event: Event) -> None:
    event.submission.job.id = ids.new_job_id("http")


def other_upstream(event: Event) -> None:
    event.job_id = event.submission.job.id = ids.new_job_id("flickr")


def no_id(event: Event) -> None:
    event.job_id = event.submission.job.id = "http-1"


def no_tenant(event: Event) -> None:
    event.tenant = ""


def tenant_that_breaks_keys(event: Event) -> None:
    event.tenant = "acme:1"


def never_expires(event: Event) -> None:
    event.submission.job.ClearField("expires_at")


@pytest.mark.parametrize(
    "spoil",
    [
        other_type,
        without_submission,
        other_job,
        other_upstream,
        no_id,
        no_tenant,
        tenant_that_breaks_keys,
        never_expires,
    ],
)
def test_a_submission_that_contradicts_itself_is_refused(spoil: Callable[[Event], None]) -> None:
    event = submitted()
    spoil(event)
    with pytest.raises(ValueError, match=r"it is no|its "):
        new_job(event, "http", sequence=1)
