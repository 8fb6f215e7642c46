"""An attempt for a job that names a connection: its credential, and what becomes of it when that is refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import structlog

from services.upstream.cancels import Cancels
from services.upstream.credentials import BearerSecret
from services.upstream.domain import ConnectionUse, Failure, Outcome, Reason, Success
from shared.errors import ConnectionNeedsReauth, ConnectionNotFound, Internal, PermissionDenied, Unavailable
from tests.fakes.credentials import CONNECTION, FakeCredentials
from tests.fakes.upstream_attempts import Connector, Scheduler, make
from tests.waiting import eventually

if TYPE_CHECKING:
    from services.upstream.connector import CallRequest
    from shared.errors import PenstockError

REFUSAL = Failure(
    reason=Reason.UPSTREAM_STATUS,
    message="the shop answered 401 Unauthorized",
    upstream_status=401,
    credential_refused=True,
)
WAITING = ConnectionNeedsReauth("authorize it anew", metadata={"jobs_wait": "true"})
FAILING = ConnectionNeedsReauth("authorize it anew", metadata={"jobs_wait": "false"})


class Strict(Connector):
    """Refuses the first so many calls, each of which it answers with 401."""

    def __init__(self, refusals: int, failure: Failure = REFUSAL) -> None:
        super().__init__()
        self.refusals = refusals
        self.failure = failure

    async def call(self, request: CallRequest) -> Outcome:
        self.requests.append(request)
        request.progress.sent = True
        return self.failure if len(self.requests) <= self.refusals else Success(status=200)

    @property
    def tokens(self) -> list[str]:
        secrets = [request.credential.secret for request in self.requests if request.credential is not None]
        return [secret.token for secret in secrets if isinstance(secret, BearerSecret)]


async def test_a_job_is_called_with_its_connections_credential_and_others_with_none() -> None:
    connector, auth = Strict(0), FakeCredentials()
    await make(connector, "put", auth=auth, connection=CONNECTION)
    await make(connector, "put", auth=auth)
    assert connector.tokens == ["token-1"]
    assert [request.credential is None for request in connector.requests] == [False, True]


@pytest.mark.parametrize("name", ["put", "post"])
@pytest.mark.parametrize(
    ("error", "reason", "retryable", "uncounted"),
    [
        (ConnectionNotFound("it is gone"), "CONNECTION_NOT_FOUND", False, False),
        (FAILING, "CONNECTION_NEEDS_REAUTH", False, False),
        (WAITING, "CONNECTION_NEEDS_REAUTH", True, True),
        (Unavailable("auth is away"), "UNAVAILABLE", True, True),
        (Internal("an internal error occurred; report it with the id err_1"), "INTERNAL", True, False),
    ],
)
async def test_a_call_without_a_credential_does_not_go_out(
    name: str, error: PenstockError, reason: str, *, retryable: bool, uncounted: bool
) -> None:
    connector = Connector()
    scheduler = Scheduler(PermissionDenied("it must not begin"))
    (attempt,) = await make(connector, name, scheduler, auth=FakeCredentials(error=error), connection=CONNECTION)
    assert (attempt.error.reason, attempt.error.retryable, attempt.uncounted) == (reason, retryable, uncounted)
    assert not attempt.outcome_unknown
    assert not connector.requests


async def test_a_job_without_the_connection_that_its_upstream_asks_for_is_refused() -> None:
    connector = Connector()
    connector.upstream = replace(connector.upstream, connection_use=ConnectionUse.REQUIRED)
    (attempt,) = await make(connector, "put")
    assert attempt.error.reason == "INVALID_ARGUMENT"
    assert "is called with a connection" in attempt.error.message
    assert not connector.requests


async def test_a_job_with_a_connection_that_its_upstream_has_no_use_for_is_refused() -> None:
    connector, auth = Connector(), FakeCredentials()
    connector.upstream = replace(connector.upstream, connection_use=ConnectionUse.NONE)
    (attempt,) = await make(connector, "put", auth=auth, connection=CONNECTION)
    assert attempt.error.reason == "INVALID_ARGUMENT"
    assert not connector.requests
    assert not auth.asked


async def test_a_job_with_a_connection_of_another_upstream_is_refused() -> None:
    connector = Connector()
    (attempt,) = await make(connector, "put", auth=FakeCredentials(upstream="flickr"), connection=CONNECTION)
    assert attempt.error.reason == "INVALID_ARGUMENT"
    assert "is for flickr" in attempt.error.message
    assert not connector.requests


@pytest.mark.parametrize("name", ["put", "post"])
async def test_a_refused_credential_is_reported_and_the_call_made_once_more_with_a_fresh_one(name: str) -> None:
    connector, auth = Strict(1), FakeCredentials()
    (attempt,) = await make(connector, name, auth=auth, connection=CONNECTION)
    assert attempt.result.inline.status == 200
    assert connector.tokens == ["token-1", "token-2"]
    [report] = auth.reported
    assert (report.version, report.reason) == (1, "the shop answered 401 Unauthorized")
    assert not report.certain, "a status alone may be about the one thing that was asked for"
    assert connector.requests[1].timeout < connector.requests[0].timeout


async def test_an_upstream_that_says_so_in_its_own_words_leaves_no_doubt() -> None:
    connector, auth = Strict(1, replace(REFUSAL, upstream_code="98")), FakeCredentials()
    await make(connector, "put", auth=auth, connection=CONNECTION)
    assert [report.certain for report in auth.reported] == [True]


async def test_a_call_is_not_made_again_with_what_was_refused() -> None:
    connector, auth = Strict(9), FakeCredentials(has_others=False)
    (attempt,) = await make(connector, "put", auth=auth, connection=CONNECTION)
    assert (attempt.error.reason, attempt.error.upstream_status) == ("UPSTREAM_STATUS", 401)
    assert connector.tokens == ["token-1"]


async def test_a_fresh_credential_that_is_refused_too_is_reported_and_not_called_with_a_third_time() -> None:
    connector, auth = Strict(9), FakeCredentials()
    (attempt,) = await make(connector, "post", auth=auth, connection=CONNECTION)
    assert (attempt.error.reason, attempt.error.upstream_status) == ("UPSTREAM_STATUS", 401)
    assert [report.version for report in auth.reported] == [1, 2]
    assert connector.tokens == ["token-1", "token-2"]


@pytest.mark.parametrize(
    ("error", "reason", "retryable", "uncounted"),
    [
        (FAILING, "CONNECTION_NEEDS_REAUTH", False, False),
        (WAITING, "CONNECTION_NEEDS_REAUTH", True, True),
        (ConnectionNotFound("it is gone"), "CONNECTION_NOT_FOUND", False, False),
        (Unavailable("the provider is away"), "UNAVAILABLE", True, False),
        (PermissionDenied("not you"), "UNAVAILABLE", True, False),
    ],
)
async def test_a_refused_credential_without_a_fresh_one_says_what_becomes_of_the_job(
    error: PenstockError, reason: str, *, retryable: bool, uncounted: bool
) -> None:
    connector = Strict(9)
    auth = FakeCredentials(report_error=error)
    (attempt,) = await make(connector, "post", auth=auth, connection=CONNECTION)
    assert (attempt.error.reason, attempt.error.retryable, attempt.uncounted) == (reason, retryable, uncounted)
    assert attempt.error.upstream_status == 401
    assert "the shop answered 401" in attempt.error.message
    assert len(connector.requests) == 1


async def test_a_call_that_may_have_taken_effect_is_not_made_again_though_its_credential_is_refused() -> None:
    connector, auth = Strict(9, replace(REFUSAL, outcome_unknown=True)), FakeCredentials()
    (attempt,) = await make(connector, "post", auth=auth, connection=CONNECTION)
    assert attempt.outcome_unknown
    assert len(connector.requests) == 1
    assert len(auth.reported) == 1


async def test_both_calls_have_the_time_of_one() -> None:
    class Hanging(Strict):
        async def call(self, request: CallRequest) -> Outcome:
            outcome = await super().call(request)
            if isinstance(outcome, Success):
                await asyncio.Event().wait()
            return outcome

    fields = {"attempt_timeout": timedelta(seconds=0.2)}
    (attempt,) = await make(Hanging(1), "put", auth=FakeCredentials(), connection=CONNECTION, **fields)
    assert (attempt.error.reason, attempt.error.retryable) == ("UPSTREAM_TIMEOUT", True)
    (attempt,) = await make(Hanging(1), "post", auth=FakeCredentials(), connection=CONNECTION, **fields)
    assert attempt.outcome_unknown


async def test_a_job_that_is_canceled_while_its_refusal_is_reported_has_done_nothing() -> None:
    cancels, auth = Cancels(), FakeCredentials()
    auth.open_to_reports.clear()
    making = asyncio.create_task(make(Strict(1), "post", cancels=cancels, auth=auth, connection=CONNECTION))
    await eventually(lambda: auth.reported)
    cancels.break_off("shop-1")
    (attempt,) = await making
    assert (attempt.error.reason, attempt.outcome_unknown) == ("JOB_CANCELED", False)


async def test_no_secret_is_in_what_is_logged_or_told() -> None:
    with structlog.testing.capture_logs() as logs:
        for error in (None, FAILING, Unavailable("the provider is away")):
            auth = FakeCredentials(report_error=error)
            (attempt,) = await make(Strict(9), "post", auth=auth, connection=CONNECTION)
            assert "token-" not in str(attempt)
    assert logs
    assert "token-" not in str(logs)
