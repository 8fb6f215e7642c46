"""Where the cache stands: behind the credential and before the call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from penstock.events.v1 import events_pb2
from prometheus_client import REGISTRY

from services.upstream.domain import Success
from shared.errors import ConnectionNotFound
from tests.fakes.credentials import CONNECTION, FakeCredentials
from tests.fakes.upstream_attempts import Connector, make

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.scheduler.v1 import scheduler_pb2

    from services.upstream.connector import CallRequest
    from services.upstream.domain import Outcome


class Serving:
    """Has an answer to everything."""

    def __init__(self) -> None:
        self.asked: list[CallRequest] = []

    async def answer(
        self, lease: scheduler_pb2.Call, request: CallRequest, call: Callable[[CallRequest], Awaitable[Outcome]]
    ) -> Outcome:
        self.asked.append(request)
        return Success(status=200, body=b"kept", from_cache=True)


def calls() -> float:
    labels = {"upstream": "shop", "method": "put", "reason": "OK"}
    return REGISTRY.get_sample_value("penstock_upstream_calls_total", labels) or 0


async def test_what_is_served_is_told_as_that_and_counts_as_no_call() -> None:
    connector, cache, before = Connector(), Serving(), calls()
    (attempt,) = await make(connector, "put", cache=cache)
    assert (attempt.result.from_cache, attempt.result.inline.text) == (True, "kept")
    assert attempt.health == events_pb2.Attempt.HEALTH_UNSPECIFIED
    assert not connector.requests
    assert calls() == before


@pytest.mark.parametrize(
    ("auth", "reason"),
    [
        (FakeCredentials(error=ConnectionNotFound("it was deleted")), "CONNECTION_NOT_FOUND"),
        (FakeCredentials(upstream="flickr"), "INVALID_ARGUMENT"),
    ],
)
async def test_a_job_whose_connection_may_not_be_used_is_not_served_though_an_answer_is_there(
    auth: FakeCredentials, reason: str
) -> None:
    cache = Serving()
    (attempt,) = await make(Connector(), "put", auth=auth, connection=CONNECTION, cache=cache)
    assert attempt.error.reason == reason
    assert not cache.asked


async def test_the_cache_is_told_the_version_of_the_secret_that_the_call_would_be_made_with() -> None:
    cache = Serving()
    for version in (1, 2):
        await make(Connector(), "put", auth=FakeCredentials(version=version), connection=CONNECTION, cache=cache)
    assert [each.credential.version for each in cache.asked if each.credential] == [1, 2]
