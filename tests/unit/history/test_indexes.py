"""What the indexes of history take for granted."""

from __future__ import annotations

from penstock.jobs.v1 import jobs_pb2

from services.history.jobs.indexes import _FAILURES


def test_the_states_of_a_job_that_ended_without_success_come_before_the_others_by_name() -> None:
    states = {name for name, number in jobs_pb2.Job.State.items() if number}
    failures = {"CANCELED", "EXPIRED", "FAILED", "OUTCOME_UNKNOWN"}
    assert {state for state in states if state < _FAILURES["$lt"]} == failures
    assert states - failures == {"QUEUED", "RUNNING", "RETRYING", "SUCCEEDED"}
