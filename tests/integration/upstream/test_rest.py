"""A connector that is a file: the worked example of docs/connectors.md at a far end that answers as told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from yarl import URL

from services.upstream.connector import CallRequest
from services.upstream.credentials import BearerSecret, Credential
from services.upstream.domain import Health, Reason
from services.upstream.rest import connector
from shared.clock import SystemClock
from tests.contract.connectors import worked_example
from tests.contract.connectors.scripted import Reply, ScriptedFarEnd, scripted_far_end
from tests.fakes.contents import ContentStore
from tests.integration.upstream.outcomes import failure, fate, success

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.upstream.connector import Connector
    from services.upstream.domain import Outcome
    from services.upstream.http_client import HttpClient

CREDENTIAL = Credential(connection_id="con_1", version=1, secret=BearerSecret(token="c4n4ry"))


@dataclass
class Shop:
    """Calls of the shop."""

    connector: Connector
    far: ScriptedFarEnd

    async def __call__(self, method: str, /, job_id: str = "shop-1", **params: Any) -> Outcome:
        found = self.connector.upstream.method(f"shop.orders.{method}")
        assert found is not None
        return await self.connector.call(
            CallRequest(
                job_id=job_id,
                tenant="acme",
                method=found,
                params=params,
                timeout=timedelta(seconds=5),
                result=ContentStore().place(),
                credential=CREDENTIAL,
            )
        )


@pytest.fixture
async def shop(client: HttpClient) -> AsyncIterator[Shop]:
    async with scripted_far_end() as far:
        yield Shop(worked_example.connector(client, SystemClock(), {"api": URL(f"{far.url}/v1/")}), far)


def says(status: int, code: str, **headers: str) -> Reply:
    body = json.dumps({"error": {"code": code, "message": "as it says itself"}}).encode()
    return Reply(status=status, headers={"Content-Type": "application/json", **headers}, body=body)


async def test_params_go_where_the_file_says(shop: Shop) -> None:
    shop.far.answer = Reply(body=b"{}")
    success(await shop("get", order_id="o/1"))
    success(await shop("search", customer="ada & co", limit=5.0))
    success(await shop("create", items=["cat food"], note="ü"))
    success(await shop("remind", order_id="o-1"))
    assert [(asked.verb, asked.path) for asked in shop.far.asked] == [
        ("GET", "/v1/orders/o/1"),  # as aiohttp shows it decoded
        ("GET", "/v1/orders"),
        ("POST", "/v1/orders"),
        ("POST", "/v1/orders/o-1/reminders"),
    ]
    assert json.loads(shop.far.asked[2].body) == {"items": ["cat food"], "note": "ü"}
    assert all(asked.headers["Authorization"] == "Bearer c4n4ry" for asked in shop.far.asked)


async def test_every_attempt_of_a_job_has_the_key_by_which_the_upstream_knows_it(shop: Shop) -> None:
    shop.far.answer = Reply(body=b"{}")
    for job_id in ("shop-1", "shop-1", "shop-2"):
        success(await shop("create", job_id=job_id, items=["x"]))
    success(await shop("remind", order_id="o-1"))
    first, again, other, none = (asked.headers.get("Idempotency-Key") for asked in shop.far.asked)
    assert first == again
    assert first != other
    assert none is None


@pytest.mark.parametrize(
    ("method", "reply", "expected"),
    [
        ("get", says(404, "not_found"), ("there is no such order", False, Health.HEALTHY, False)),
        ("remind", says(429, "rate_limited"), ("fewer calls", True, Health.THROTTLED, False)),
        ("remind", says(400, "maintenance"), ("under maintenance", True, Health.FAILING, False)),
        ("get", says(401, "token_expired"), ("expired", False, Health.HEALTHY, True)),
        # what no table has goes by the status
        ("get", says(401, "who_are_you"), ("'as it says itself'", False, Health.HEALTHY, True)),
        ("get", says(503, "tea_time"), ("'as it says itself'", True, Health.FAILING, False)),
        ("remind", says(500, "oops"), ("'as it says itself'", False, Health.FAILING, False)),
        ("remind", says(503, "tea_time"), ("'as it says itself'", True, Health.FAILING, False)),
        ("get", says(400, "c4n4ry"), ("with code ***", False, Health.HEALTHY, False)),
    ],
)
async def test_a_refusal_is_told_by_its_code(
    shop: Shop, method: str, reply: Reply, expected: tuple[str, bool, Health, bool]
) -> None:
    shop.far.answer = reply
    failed = failure(await shop(method, order_id="o-1"))
    word, retryable, health, refused = expected
    assert (failed.reason, failed.upstream_status) == (Reason.UPSTREAM_REFUSED, reply.status)
    assert word in failed.message
    assert (failed.retryable, failed.health, failed.credential_refused) == (retryable, health, refused)
    assert "c4n4ry" not in repr(failed)


async def test_a_401_without_words_refuses_the_token(shop: Shop) -> None:
    shop.far.answer = Reply(status=401)
    failed = failure(await shop("get", order_id="o-1"))
    assert (failed.reason, failed.credential_refused) == (Reason.UPSTREAM_STATUS, True)


async def test_a_pause_goes_with_a_refusal(shop: Shop) -> None:
    shop.far.answer = says(429, "rate_limited", **{"Retry-After": "9"})
    failed = failure(await shop("get", order_id="o-1"))
    assert failed.retry_after == timedelta(seconds=9)
    assert [(quota.remaining, quota.reset_after) for quota in failed.quotas] == [(0, timedelta(seconds=9))]


async def test_a_large_body_of_an_error_is_not_read_to_its_end(shop: Shop) -> None:
    """Nor stored: the answer has come with its status, which tells enough."""
    shop.far.answer = Reply(status=400, body=b"x" * 1024 * 1024)
    failed = failure(await shop("remind", order_id="o-1"))
    assert (failed.reason, failed.upstream_status, failed.outcome_unknown) == (Reason.UPSTREAM_STATUS, 400, False)


@pytest.mark.parametrize("how", ["drip", "cut_within", "endless"])
async def test_a_body_of_an_error_that_never_comes_leaves_its_status(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(connector, "_ERROR_WAIT", timedelta(seconds=0.2))
    shop.far.answer, shop.far.status = how, 503
    failed = failure(await shop("remind", order_id="o-1"))
    assert (failed.reason, failed.upstream_status) == (Reason.UPSTREAM_STATUS, 503)
    assert (failed.retryable, failed.outcome_unknown) == (True, False)


async def test_a_path_that_would_be_another_one_is_refused(shop: Shop) -> None:
    assert fate(await shop("get", order_id="..")) == (Reason.INVALID_ARGUMENT, False, False)
    assert not shop.far.asked


async def test_a_query_that_is_too_long_is_refused_where_it_may_not_be_posted(shop: Shop) -> None:
    outcome = await shop("search", customer="x" * 3000)
    assert fate(outcome) == (Reason.INVALID_ARGUMENT, False, False)
    assert "2048" in failure(outcome).message
    assert not shop.far.asked
