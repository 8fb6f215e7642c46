"""Outcomes of calls, taken apart."""

from __future__ import annotations

from services.upstream.domain import Failure, Outcome, Reason, Success


def success(outcome: Outcome) -> Success:
    assert isinstance(outcome, Success), outcome
    return outcome


def failure(outcome: Outcome) -> Failure:
    assert isinstance(outcome, Failure), outcome
    return outcome


def fate(outcome: Outcome) -> tuple[Reason, bool, bool]:
    failed = failure(outcome)
    return failed.reason, failed.retryable, failed.outcome_unknown
