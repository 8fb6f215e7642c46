from __future__ import annotations

import pytest
from penstock.errors.v1 import errors_pb2
from penstock.jobs.v1 import jobs_pb2

from services.upstream.domain import Failure, Health, Kind, QuotaScope, Reason, Success, canceled, lost
from services.upstream.outcomes import _HEALTH, _SCOPES
from services.upstream.servicer import _KINDS


@pytest.mark.parametrize(
    ("idempotent", "sent", "retryable", "unknown"),
    [(True, False, True, False), (True, True, True, False), (False, False, True, False), (False, True, False, True)],
)
def test_only_a_call_that_may_have_been_made_and_may_not_be_repeated_is_unknown(
    *, idempotent: bool, sent: bool, retryable: bool, unknown: bool
) -> None:
    failure = lost(Reason.UPSTREAM_TIMEOUT, "late", idempotent=idempotent, sent=sent)
    assert (failure.retryable, failure.outcome_unknown) == (retryable, unknown)
    assert ("not known" in failure.message) is unknown


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_is_in_the_contract(reason: Reason) -> None:
    assert errors_pb2.ErrorReason.Value(reason) > 0
    assert jobs_pb2.JobError(reason=reason).reason == reason.value


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_is_in_the_contract(kind: Kind) -> None:
    assert kind in _KINDS


@pytest.mark.parametrize("health", list(Health))
def test_every_health_is_in_the_contract(health: Health) -> None:
    assert health in _HEALTH


@pytest.mark.parametrize("scope", list(QuotaScope))
def test_every_scope_is_in_the_contract(scope: QuotaScope) -> None:
    assert _SCOPES[scope] > 0


@pytest.mark.parametrize(
    ("status", "health"),
    [
        (200, Health.HEALTHY),
        (204, Health.HEALTHY),
        (304, Health.HEALTHY),
        (429, Health.THROTTLED),
        (503, Health.FAILING),
    ],
)
def test_an_answer_that_succeeded_says_by_its_status_how_the_upstream_is(status: int, health: Health) -> None:
    assert Success(status=status).health is health


@pytest.mark.parametrize(
    ("reason", "status", "health"),
    [
        (Reason.UPSTREAM_STATUS, 400, Health.HEALTHY),
        (Reason.UPSTREAM_STATUS, 404, Health.HEALTHY),
        (Reason.UPSTREAM_STATUS, 429, Health.THROTTLED),
        (Reason.UPSTREAM_STATUS, 499, Health.HEALTHY),
        (Reason.UPSTREAM_STATUS, 500, Health.FAILING),
        (Reason.UPSTREAM_STATUS, 503, Health.FAILING),
        (Reason.UPSTREAM_STATUS, 599, Health.FAILING),
        (Reason.UPSTREAM_TIMEOUT, 0, Health.FAILING),
        (Reason.UPSTREAM_UNREACHABLE, 0, Health.FAILING),
        (Reason.UPSTREAM_PROTOCOL, 0, Health.FAILING),
        (Reason.UPSTREAM_PROTOCOL, 200, Health.FAILING),
        (Reason.RESULT_TOO_LARGE, 0, Health.HEALTHY),
        (Reason.INVALID_ARGUMENT, 0, Health.NOTHING),
        (Reason.ADDRESS_FORBIDDEN, 0, Health.NOTHING),
        (Reason.INTERNAL, 0, Health.NOTHING),
        (Reason.JOB_CANCELED, 0, Health.NOTHING),
    ],
)
def test_a_failure_says_by_its_status_and_reason_how_the_upstream_is(
    reason: Reason, status: int, health: Health
) -> None:
    assert Failure(reason=reason, message="", upstream_status=status).health is health


def test_a_connector_may_know_better_than_the_rule() -> None:
    assert Success(status=200, judged=Health.THROTTLED).health is Health.THROTTLED
    failure = Failure(reason=Reason.UPSTREAM_STATUS, message="", upstream_status=500, judged=Health.NOTHING)
    assert failure.health is Health.NOTHING


@pytest.mark.parametrize(
    ("idempotent", "sent", "unknown"),
    [(True, False, False), (True, True, False), (False, False, False), (False, True, True)],
)
def test_a_canceled_call_is_unknown_where_it_was_sent_and_may_not_be_repeated(
    *, idempotent: bool, sent: bool, unknown: bool
) -> None:
    failure = canceled(idempotent=idempotent, sent=sent)
    assert (failure.reason, failure.retryable, failure.outcome_unknown) == (Reason.JOB_CANCELED, False, unknown)
    assert ("may have taken effect" in failure.message) is sent
