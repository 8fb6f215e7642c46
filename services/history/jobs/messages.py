"""Jobs as messages, as lists and answers have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.events.v1 import events_pb2
from penstock.jobs.v1 import jobs_pb2

from services.history.jobs.attempts import attempts_of
from shared import views

if TYPE_CHECKING:
    from services.history.jobs.domain import Record


def basic(record: Record) -> jobs_pb2.Job:
    """The job without its attempts (the view BASIC)."""
    job = jobs_pb2.Job.FromString(record.job)
    views.apply(events_pb2.JobEvent.FromString(record.event), job)
    if record.result is not None:
        job.result.MergeFromString(record.result)
    return job


def full(record: Record) -> jobs_pb2.Job:
    """The job with its attempts (the view FULL); of one that has no timeline yet, with what its newest event tells."""
    job = basic(record)
    job.attempts.extend(attempts_of(record.timeline or (record.event,)))
    return job
