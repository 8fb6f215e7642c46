"""Trials: which message goes out, and how many at a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from standardwebhooks import Webhook

from services.webhooks.deliveries.domain import Outcome, Reason
from services.webhooks.endpoints.secrets import EndpointSigner
from services.webhooks.endpoints.trials import MOST_AT_ONCE, MOST_OF_A_TENANT, Trials
from shared.clock import SystemClock
from shared.errors import InvalidArgument, RateLimited
from tests.fakes.endpoints import SECRET, endpoint_secrets, make_endpoint
from tests.fakes.event_types import event_types
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass
class FakePoster:
    """Keeps what it was to send, and answers when it is let."""

    sent: list[tuple[str, bytes, Mapping[str, str]]] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)
    outcome: Outcome = field(default_factory=lambda: Outcome.of_status(204))

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        self.sent.append((url, body, headers))
        await self.open.wait()
        return self.outcome


@pytest.fixture
def poster() -> FakePoster:
    return FakePoster()


@pytest.fixture
def trials(poster: FakePoster) -> Trials:
    signer = EndpointSigner(endpoint_secrets())
    return Trials(poster, signer=signer, event_types=event_types(), clock=SystemClock())


async def test_the_example_goes_out_signed_under_an_id_that_tells_it_from_events(
    trials: Trials, poster: FakePoster
) -> None:
    poster.open.set()
    endpoint = make_endpoint(enabled=False)
    webhook_id, attempt = await trials.make(endpoint, "")
    [(url, body, headers)] = poster.sent
    assert url == endpoint.url
    assert headers["webhook-id"] == webhook_id
    assert webhook_id.startswith("test_")
    message = Webhook(SECRET).verify(body, dict(headers))
    assert message == {"type": "job.succeeded", "timestamp": "2026-12-31T00:00:00.123Z", "data": {"id": "Grüße"}}
    assert (attempt.number, attempt.outcome) == (1, poster.outcome)
    assert attempt.duration is not None
    assert abs((datetime.now(UTC) - attempt.started_at).total_seconds()) < 60


async def test_another_example_may_be_asked_for_and_none_that_there_is_not(trials: Trials, poster: FakePoster) -> None:
    poster.open.set()
    await trials.make(make_endpoint(), "batch.finished")
    assert b'"type":"batch.finished"' in poster.sent[0][1]
    for wrong in ("job.*", "events.batch", "job.done"):
        with pytest.raises(InvalidArgument, match=r"eventType: .* is no type of events; there are batch\.finished"):
            await trials.make(make_endpoint(), wrong)
    assert len(poster.sent) == 1


async def test_secrets_that_do_not_open_are_an_outcome(poster: FakePoster) -> None:
    signer = EndpointSigner(endpoint_secrets(bytes(32)))
    trials = Trials(poster, signer=signer, event_types=event_types(), clock=SystemClock())
    _, attempt = await trials.make(make_endpoint(), "")
    assert attempt.outcome == Outcome(reason=Reason.SECRET_UNREADABLE)
    assert poster.sent == []


async def test_a_tenant_has_a_bounded_number_under_way_and_others_are_not_held_up(
    trials: Trials, poster: FakePoster
) -> None:
    async def sent(count: int) -> None:
        async def is_so() -> bool:
            return len(poster.sent) == count

        await eventually(is_so, what=f"{count} trials under way")

    async with asyncio.TaskGroup() as group:
        for _ in range(MOST_OF_A_TENANT):
            group.create_task(trials.make(make_endpoint(), ""))
        await sent(MOST_OF_A_TENANT)
        with pytest.raises(RateLimited) as refused:
            await trials.make(make_endpoint(), "")
        assert refused.value.retry_after is not None
        for number in range(MOST_AT_ONCE - MOST_OF_A_TENANT):
            group.create_task(trials.make(make_endpoint(tenant=f"tenant-{number}"), ""))
        await sent(MOST_AT_ONCE)
        with pytest.raises(RateLimited):
            await trials.make(make_endpoint(tenant="globex"), "")
        poster.open.set()
    await trials.make(make_endpoint(), "")
    assert len(poster.sent) == MOST_AT_ONCE + 1
