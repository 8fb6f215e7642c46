from __future__ import annotations

import pytest
from penstock.errors.v1 import errors_pb2
from penstock.jobs.v1 import jobs_pb2

from services.upstream.domain import Kind, Reason, lost
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
