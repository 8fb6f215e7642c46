"""An attempt when a connector or the lease fails."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from penstock.events.v1 import events_pb2
from penstock.scheduler.v1 import scheduler_pb2

from services.upstream.cancels import Cancels
from services.upstream.domain import Outcome, Success
from shared.clock import SystemClock
from shared.errors import LeaseLost, PenstockError, PermissionDenied, Unavailable
from shared.objects import params_key
from tests.fakes.contents import ContentStore
from tests.fakes.upstream_attempts import Connector, Scheduler, make
from tests.waiting import eventually

if TYPE_CHECKING:
    from services.upstream.connector import CallRequest


class CanceledConnector(Connector):
    """Has its job canceled when it comes to a step."""

    def __init__(self, cancels: Cancels, at: str) -> None:
        super().__init__()
        self.cancels = cancels
        self.at = at

    async def call(self, request: CallRequest) -> Outcome:
        self.requests.append(request)
        self._step("before")
        if self.at == "before":
            await asyncio.Event().wait()
        request.progress.sent = True
        self._step("sent")
        if self.at == "sent":
            await asyncio.Event().wait()
        self._step("answered")
        return Success(status=200)

    def _step(self, name: str) -> None:
        if name == self.at:
            self.cancels.break_off("shop-1")


@pytest.mark.parametrize(("name", "idempotent"), [("put", True), ("post", False)])
async def test_a_fault_of_a_connector_is_told_by_an_id_alone(name: str, *, idempotent: bool) -> None:
    (attempt,) = await make(Connector(RuntimeError("a secret")), name)
    assert attempt.error.reason == "INTERNAL"
    assert "err_" in attempt.error.message
    assert "secret" not in attempt.error.message
    assert attempt.error.retryable is idempotent
    assert attempt.outcome_unknown is not idempotent


async def test_a_call_goes_by_what_its_method_was_when_the_job_was_accepted() -> None:
    scheduler = Scheduler(LeaseLost("gone"))
    connector = Connector()
    assert not await make(connector, "put", scheduler, idempotent=False)
    assert not connector.requests, "it had to begin first"
    assert await make(connector, "post", scheduler, idempotent=True)


@pytest.mark.parametrize("refusal", [LeaseLost("gone"), PermissionDenied("not you")])
async def test_a_call_that_may_not_begin_is_dropped(refusal: PenstockError) -> None:
    connector = Connector()
    assert not await make(connector, "post", Scheduler(refusal))
    assert not connector.requests


async def test_the_attempts_time_is_the_submissions_and_else_the_methods() -> None:
    connector = Connector()
    submitted = timedelta(seconds=90)
    await make(connector, "put")
    await make(connector, "put", attempt_timeout=submitted)
    assert [request.timeout for request in connector.requests] == [timedelta(seconds=7), submitted]


@pytest.mark.parametrize(
    ("name", "at", "unknown"),
    [("put", "before", False), ("put", "sent", False), ("post", "before", False), ("post", "sent", True)],
)
async def test_a_call_whose_job_is_canceled_is_broken_off_and_told(name: str, at: str, *, unknown: bool) -> None:
    cancels = Cancels()
    (attempt,) = await make(CanceledConnector(cancels, at), name, cancels=cancels)
    assert attempt.error.reason == "JOB_CANCELED"
    assert attempt.health == events_pb2.Attempt.HEALTH_UNSPECIFIED
    assert attempt.outcome_unknown is unknown
    assert not attempt.error.retryable
    assert ("may have taken effect" in attempt.error.message) is (at == "sent")


async def test_a_call_that_is_answered_as_its_job_is_canceled_is_told_as_it_came_out() -> None:
    cancels = Cancels()
    (attempt,) = await make(CanceledConnector(cancels, "answered"), "post", cancels=cancels)
    assert attempt.result.inline.status == 200
    assert attempt.health == events_pb2.Attempt.HEALTHY


async def test_a_call_whose_job_is_canceled_while_it_waits_to_begin_is_not_made() -> None:
    class Away(Scheduler):
        async def Begin(
            self,
            request: scheduler_pb2.BeginRequest,
            timeout: float | None = None,  # noqa: ASYNC109  the stub's
        ) -> scheduler_pb2.BeginResponse:
            cancels.break_off("shop-1")
            raise Unavailable("not now")

    cancels = Cancels()
    connector = Connector()
    (attempt,) = await make(connector, "post", Away(), cancels=cancels)
    assert attempt.error.reason == "JOB_CANCELED"
    assert not attempt.outcome_unknown
    assert not connector.requests
    assert attempt.finished_at.ToNanoseconds() >= attempt.started_at.ToNanoseconds() > 0


async def test_the_time_that_it_takes_to_begin_is_none_of_the_calls() -> None:
    class Noting(Scheduler):
        begun_at: datetime

        async def Begin(
            self,
            request: scheduler_pb2.BeginRequest,
            timeout: float | None = None,  # noqa: ASYNC109  the stub's
        ) -> scheduler_pb2.BeginResponse:
            self.begun_at = SystemClock().now()
            return scheduler_pb2.BeginResponse()

    scheduler = Noting()
    (attempt,) = await make(Connector(), "post", scheduler)
    assert attempt.started_at.ToDatetime(tzinfo=UTC) >= scheduler.begun_at


def stored(params: bytes = b"{}") -> dict[str, Any]:
    """The field of a submission whose params are stored."""
    return {"stored_params": events_pb2.StoredParams(size=len(params), sha256=hashlib.sha256(params).digest())}


async def test_a_call_has_the_params_that_are_stored_and_a_place_for_its_answer() -> None:
    params = b'{"a":1}'
    connector = Connector()
    store = ContentStore({params_key("acme", hashlib.sha256(params).digest()): params})
    (attempt,) = await make(connector, "put", store=store, **stored(params))
    assert attempt.WhichOneof("outcome") == "result"
    assert connector.requests[0].params == {"a": 1}
    assert connector.requests[0].result.key == "results/acme/shop-1/0"


@pytest.mark.parametrize("name", ["put", "post"])
async def test_a_call_whose_content_is_gone_fails_for_good_and_does_not_begin(name: str) -> None:
    connector = Connector()
    (attempt,) = await make(connector, name, Scheduler(PermissionDenied("it must not begin")), **stored())
    assert (attempt.error.reason, attempt.error.retryable, attempt.outcome_unknown) == ("CONTENT_GONE", False, False)
    assert not connector.requests


async def test_a_call_that_has_to_begin_and_cannot_have_its_content_is_left_to_its_lease_and_costs_no_attempt() -> None:
    connector = Connector()
    assert not await make(connector, "post", store=ContentStore(away_for=1000), **stored())
    assert not connector.requests


async def test_a_call_that_was_counted_with_its_lease_is_tried_again_sooner_than_that_ends() -> None:
    (attempt,) = await make(Connector(), "put", store=ContentStore(away_for=1000), **stored())
    assert (attempt.error.reason, attempt.error.retryable, attempt.outcome_unknown) == ("UNAVAILABLE", True, False)
    assert attempt.health == events_pb2.Attempt.HEALTH_UNSPECIFIED


async def test_a_job_that_is_canceled_while_its_content_is_waited_for_is_not_called() -> None:
    cancels, connector = Cancels(), Connector()
    making = asyncio.create_task(
        make(connector, "post", cancels=cancels, store=ContentStore(away_for=1000), **stored())
    )
    await eventually(lambda: "shop-1" in cancels._at_work)
    cancels.break_off("shop-1")
    (attempt,) = await making
    assert (attempt.error.reason, attempt.outcome_unknown) == ("JOB_CANCELED", False)
    assert not connector.requests


async def test_a_call_that_names_what_was_not_attached_is_refused() -> None:
    connector = Connector()
    (attempt,) = await make(connector, "put", params=b'{"file": "upl_1"}')
    assert attempt.error.reason == "INVALID_ARGUMENT"
    assert "upl_1" in attempt.error.message
    assert not connector.requests
