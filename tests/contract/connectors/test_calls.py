"""Calls of every method of each connector, and what becomes of them when the far end behaves as far ends do."""

from __future__ import annotations

import asyncio
import logging
import socket
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import structlog

from services.upstream.domain import ConnectionUse, Failure, Health, Outcome, Reason, Success
from services.upstream.rest.data import CredentialKind
from tests.contract.connectors.conftest import MAX_RESULT_BYTES
from tests.contract.connectors.scripted import Reply
from tests.contract.connectors.specimens import CANARY, SECRETS
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from services.upstream.domain import Method
    from tests.contract.connectors.conftest import Bench

#: Enough for all of a connector's methods to have gone out together, on a loaded machine too.
SOON_S = 2.0


@pytest.fixture(autouse=True)
def no_secret_in_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever is logged in a test, in this process's own form or by libraries at the levels that are written."""
    caplog.set_level(logging.WARNING)
    with structlog.testing.capture_logs() as lines:
        yield
    assert CANARY not in repr(lines)
    assert CANARY not in caplog.text


def failure(outcome: Outcome, method: Method) -> Failure:
    assert isinstance(outcome, Failure), (method.name, outcome)
    assert CANARY not in repr(outcome), method.name
    assert outcome.message, method.name
    assert not (outcome.retryable and outcome.outcome_unknown), method.name
    return outcome


def expect_lost(outcome: Outcome, method: Method, *reasons: Reason) -> None:
    """What may be repeated is; of anything else nobody knows."""
    failed = failure(outcome, method)
    assert failed.reason in reasons, (method.name, failed)
    assert failed.retryable is method.idempotent, (method.name, failed)
    assert failed.outcome_unknown is not method.idempotent, (method.name, failed)
    assert failed.health is Health.FAILING, (method.name, failed)


async def test_every_method_can_succeed_and_shows_its_credential(bench: Bench) -> None:
    for method in bench.methods:
        bench.far.answer = bench.specimen.good(method)
        asked_before = len(bench.far.asked)
        outcome, progress = await bench.call(method)
        assert isinstance(outcome, Success), (method.name, outcome)
        assert outcome.health is Health.HEALTHY, method.name
        assert progress.sent, method.name
        assert len(bench.far.asked) == asked_before + 1, "one call is one request"
        assert CANARY not in repr(outcome), method.name
        if bench.specimen.credential not in {None, CredentialKind.BASIC}:
            assert CANARY in repr(bench.far.asked[-1].headers), method.name
        assert CANARY not in bench.far.asked[-1].path, method.name


async def test_a_refused_connection_has_sent_nothing_and_may_be_tried_again(bench: Bench) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        bench.far.url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    bench.connector = bench.specimen.make(bench.client, bench.far.url)
    for method in bench.methods:
        outcome, progress = await bench.call(method)
        failed = failure(outcome, method)
        assert (failed.reason, failed.retryable) == (Reason.UPSTREAM_UNREACHABLE, True), method.name
        assert not progress.sent, method.name


@pytest.mark.parametrize("how", ["held", "drip"])
async def test_a_slow_answer_costs_the_calls_own_time(bench: Bench, how: str) -> None:
    bench.far.answer = how
    methods = list(bench.methods_with_bodies)
    async with asyncio.timeout(150):
        outcomes = await asyncio.gather(*(bench.call(method, within=SOON_S) for method in methods))
    for method, (outcome, progress) in zip(methods, outcomes, strict=True):
        expect_lost(outcome, method, Reason.UPSTREAM_TIMEOUT)
        assert progress.sent, method.name
    await eventually(lambda: bench.far.hung_up == len(methods), what="the end of the connections")


@pytest.mark.parametrize("how", ["cut_before", "cut_within", "garbage"])
async def test_a_broken_answer_leaves_unknown_what_may_not_be_repeated(bench: Bench, how: str) -> None:
    bench.far.answer = how
    for method in bench.methods_with_bodies:
        outcome, progress = await bench.call(method)
        expect_lost(outcome, method, Reason.UPSTREAM_UNREACHABLE, Reason.UPSTREAM_PROTOCOL)
        assert progress.sent, method.name


async def test_an_answer_that_is_none_of_the_upstreams_is_no_success(bench: Bench) -> None:
    if bench.specimen.unreadable is None:
        assert bench.specimen.name == "http", "any other upstream has a form of answers"
        return
    bench.far.answer = bench.specimen.unreadable
    for method in bench.methods_with_bodies:
        outcome, _ = await bench.call(method)
        expect_lost(outcome, method, Reason.UPSTREAM_PROTOCOL)


async def test_an_endless_answer_is_not_read_to_its_end(bench: Bench) -> None:
    bench.far.answer = "endless"
    methods = list(bench.methods_with_bodies)
    for method in methods:
        outcome, _ = await bench.call(method)
        failed = failure(outcome, method)
        assert (failed.reason, failed.retryable) == (Reason.RESULT_TOO_LARGE, False), method.name
    await eventually(lambda: bench.far.hung_up == len(methods), what="the end of the connections")
    assert bench.far.sent_bytes < len(methods) * (MAX_RESULT_BYTES + 64 * 1024**2)
    assert [key for key in bench.store.contents if key.startswith("results/")] == []


@pytest.mark.parametrize(
    ("status", "again", "health"),
    [
        (400, "never", Health.HEALTHY),
        (404, "never", Health.HEALTHY),
        (429, "always", Health.THROTTLED),
        (500, "idempotent", Health.FAILING),
        (502, "idempotent", Health.FAILING),
        (503, "always", Health.FAILING),
        (504, "idempotent", Health.FAILING),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>a proxy's page</html>"])
async def test_a_status_of_an_error_is_one(bench: Bench, status: int, again: str, health: Health, body: bytes) -> None:
    bench.far.answer = Reply(status=status, headers={"Content-Type": "text/html", "Retry-After": "7"}, body=body)
    for method in bench.methods:
        outcome, _ = await bench.call(method)
        failed = failure(outcome, method)
        assert (failed.reason, failed.upstream_status) == (Reason.UPSTREAM_STATUS, status), method.name
        assert failed.retryable is (again == "always" or (again == "idempotent" and method.idempotent)), method.name
        assert failed.health is health, method.name
        assert not failed.outcome_unknown, method.name
        assert failed.retry_after == timedelta(seconds=7), method.name
        assert "proxy" not in failed.message, method.name


async def test_a_refused_credential_is_told_as_such(bench: Bench) -> None:
    if bench.specimen.credential is None:
        assert bench.connector.upstream.connection_use is ConnectionUse.NONE
        return
    for method in bench.methods:
        bench.far.answer = bench.specimen.refused(method)
        outcome, _ = await bench.call(method)
        failed = failure(outcome, method)
        assert failed.credential_refused, method.name
        assert not failed.outcome_unknown, method.name


async def test_a_call_without_a_credential_goes_out_only_where_it_may(bench: Bench) -> None:
    for method in bench.methods:
        bench.far.answer = bench.specimen.good(method)
        outcome = await bench.connector.call(bench.request(method, anonymous=True))
        if bench.connector.upstream.connection_use is ConnectionUse.REQUIRED:
            assert failure(outcome, method).reason is Reason.INVALID_ARGUMENT
            assert not bench.far.asked
        else:
            assert isinstance(outcome, Success), method.name
            assert "Authorization" not in bench.far.asked[-1].headers


async def test_a_credential_for_other_hosts_does_not_go_out(bench: Bench) -> None:
    if bench.credential is None:
        assert bench.connector.upstream.connection_use is ConnectionUse.NONE
        return
    elsewhere = replace(bench.credential, hosts=frozenset({"elsewhere.example"}))
    for method in bench.methods:
        request = bench.request(method, credential=elsewhere)
        failed = failure(await bench.connector.call(request), method)
        assert (failed.reason, failed.retryable) == (Reason.CONNECTION_FORBIDDEN, False), method.name
        assert not request.progress.sent, method.name
    assert not bench.far.asked


async def test_a_credential_of_a_kind_that_it_does_not_take_does_not_go_out(bench: Bench) -> None:
    taken = getattr(bench.connector, "_data", None)
    if bench.credential is None or taken is None:
        assert bench.specimen.name == "http", "it takes every kind"
        return
    method = next(bench.methods)
    for kind in set(SECRETS) - taken.credentials:
        other = replace(bench.credential, secret=SECRETS[kind])
        failed = failure(await bench.connector.call(bench.request(method, credential=other)), method)
        assert failed.reason is Reason.CONNECTION_FORBIDDEN
    assert not bench.far.asked


async def test_a_call_that_is_broken_off_lets_go_of_its_connection(bench: Bench) -> None:
    bench.far.answer = "held"
    methods = list(bench.methods)
    requests = [bench.request(method, within=60) for method in methods]
    calls = [asyncio.create_task(bench.connector.call(request)) for request in requests]
    await eventually(lambda: len(bench.far.asked) == len(methods), what="the requests")
    for call in calls:
        call.cancel()
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in ended)
    assert all(request.progress.sent for request in requests)
    await eventually(lambda: bench.far.hung_up == len(methods), what="the end of the connections")
