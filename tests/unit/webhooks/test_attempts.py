"""An attempt from claim to outcome."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from services.webhooks.attempts import Attempts
from services.webhooks.domain import Delivery, Outcome, Reason, RetrySchedule, State
from services.webhooks.signing import TenantSecrets, signed_headers
from shared.config import Secret
from shared.errors import PermissionDenied
from shared.sealing import CALLBACK_SECRET, Sealer
from tests.unit.webhooks.conftest import START, make_delivery
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fakes.delivery_store import FakeDeliveryStore
    from tests.unit.webhooks.conftest import Time

KEY = bytes(range(32))
SEALER = Sealer(KEY, CALLBACK_SECRET)
SECRETS = TenantSecrets(Secret(base64.b64encode(KEY).decode()))


@dataclass
class Poster:
    """Answers as it is told, and keeps what it was given."""

    answer: Outcome | Exception = field(default_factory=lambda: Outcome.of_status(200))
    sent: list[tuple[str, bytes, Mapping[str, str]]] = field(default_factory=list)

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        self.sent.append((url, body, headers))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def poster() -> Poster:
    return Poster()


@pytest.fixture
def attempts(poster: Poster, store: FakeDeliveryStore, time: Time) -> Attempts:
    return Attempts(
        poster,
        store=store,
        sealer=SEALER,
        secrets=SECRETS,
        schedule=RetrySchedule((timedelta(seconds=5),)),
        clock=time,
    )


async def claimed(store: FakeDeliveryStore, delivery: Delivery) -> Delivery:
    await store.add([delivery])
    (one,) = await store.claim([delivery.id], now=START, until=START + timedelta(seconds=30))
    return one


async def test_a_job_without_a_secret_is_signed_with_its_tenants(
    attempts: Attempts, poster: Poster, store: FakeDeliveryStore
) -> None:
    delivery = await claimed(store, make_delivery())
    await attempts.make(delivery)
    expected = signed_headers(SECRETS.secret("acme"), webhook_id=delivery.id, at=START, body=delivery.payload)
    assert poster.sent == [(delivery.url, delivery.payload, expected)]
    assert store.by_id[delivery.id].state is State.DELIVERED


async def test_a_jobs_own_secret_signs_in_its_place(
    attempts: Attempts, poster: Poster, store: FakeDeliveryStore
) -> None:
    plain = make_delivery()
    sealed = SEALER.seal(b"a passphrase of the caller's", "acme", plain.about)
    delivery = await claimed(store, make_delivery(id=plain.id, about=plain.about, sealed_secret=sealed))
    await attempts.make(delivery)
    expected = signed_headers("a passphrase of the caller's", webhook_id=plain.id, at=START, body=delivery.payload)
    assert poster.sent[0][2] == expected


async def test_a_secret_sealed_for_another_job_is_not_used_and_nothing_is_sent(
    attempts: Attempts, poster: Poster, store: FakeDeliveryStore
) -> None:
    sealed = SEALER.seal(b"a passphrase of the caller's", "acme", "http-another")
    delivery = await claimed(store, make_delivery(sealed_secret=sealed))
    await attempts.make(delivery)
    assert not poster.sent
    after = store.by_id[delivery.id]
    assert (after.state, after.last_reason) == (State.PENDING, Reason.SECRET_UNREADABLE)
    assert after.next_attempt_at > START


async def test_a_fault_of_the_sender_is_an_outcome_and_the_last_one_ends_the_delivery(
    attempts: Attempts, poster: Poster, store: FakeDeliveryStore, time: Time
) -> None:
    poster.answer = ZeroDivisionError()
    delivery = await claimed(store, make_delivery())
    await attempts.make(delivery)
    after = store.by_id[delivery.id]
    assert (after.state, after.last_reason, after.attempts) == (State.PENDING, Reason.INTERNAL, 1)
    time.advance(minutes=1)
    (again,) = await store.claim([delivery.id], now=time.now(), until=time.now())
    await attempts.make(again)
    assert store.by_id[delivery.id].state is State.FAILED


async def test_an_outcome_is_kept_once_the_store_is_back(
    attempts: Attempts, poster: Poster, store: FakeDeliveryStore
) -> None:
    delivery = await claimed(store, make_delivery())
    store.away = True
    making = asyncio.create_task(attempts.make(delivery))
    await eventually(lambda: poster.sent)
    assert not making.done()
    store.away = False
    await making
    assert store.by_id[delivery.id].state is State.DELIVERED
    assert len(poster.sent) == 1


async def test_an_outcome_that_no_longer_counts_changes_nothing(
    attempts: Attempts, poster: Poster, store: FakeDeliveryStore
) -> None:
    poster.answer = Outcome.of_status(410)
    delivery = await claimed(store, make_delivery())
    until = START + timedelta(seconds=30)
    (newer,) = await store.claim([delivery.id], now=until, until=until)
    await attempts.make(delivery)
    assert store.by_id[delivery.id] == newer


async def test_a_store_with_a_fault_costs_no_more_than_the_claim(
    attempts: Attempts, store: FakeDeliveryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = await claimed(store, make_delivery())
    for fault in (ZeroDivisionError(), PermissionDenied("not yours")):

        async def fail(_: Delivery, fault: Exception = fault) -> bool:
            raise fault

        monkeypatch.setattr(store, "record", fail)
        assert await attempts.make(delivery)
    assert store.by_id[delivery.id] == delivery
