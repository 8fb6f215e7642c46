from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.deliveries.domain import (
    JITTER,
    STANDARD_PAUSES,
    Delivery,
    Outcome,
    Reason,
    RetrySchedule,
    State,
    delivery_id,
    receiver_of,
    settled,
    webhook_id,
)
from shared import ids
from tests.fakes.deliveries import make_delivery

NOW = datetime(2026, 5, 4, 10, 30, 15, 123456, tzinfo=UTC)
STANDARD = RetrySchedule(STANDARD_PAUSES)
DELIVERY = make_delivery(at=NOW, attempts=1)
PAUSES = st.lists(st.timedeltas(timedelta(milliseconds=1), timedelta(days=7)), max_size=20).map(tuple)
ASKED = st.none() | st.timedeltas(timedelta(), timedelta(hours=24))


def after(outcome: Outcome, *, attempts: int = 1, schedule: RetrySchedule = STANDARD) -> Delivery:
    return settled(replace(DELIVERY, attempts=attempts), outcome, schedule=schedule, now=NOW)


def test_the_standard_schedule_has_ten_attempts_over_three_days() -> None:
    assert STANDARD.attempts == 10
    assert sum(STANDARD_PAUSES, timedelta()) == timedelta(hours=75, minutes=35, seconds=5)


@given(PAUSES, st.data())
def test_a_pause_keeps_to_its_jitter_and_is_never_shorter_than_asked(
    pauses: tuple[timedelta, ...], data: st.DataObject
) -> None:
    schedule = RetrySchedule(pauses)
    attempt = data.draw(st.integers(1, schedule.attempts))
    asked = data.draw(ASKED)
    pause = schedule.pause(attempt, asked=asked)
    if attempt == schedule.attempts:
        assert pause is None
        return
    assert pause is not None
    planned = pauses[attempt - 1]
    rounding = timedelta(microseconds=1)
    assert pause >= max(planned * (1 - JITTER) - rounding, asked or timedelta())
    assert pause <= max(planned * (1 + JITTER) + rounding, asked or timedelta())


def test_pauses_differ() -> None:
    assert len({STANDARD.pause(3) for _ in range(20)}) > 1


@given(PAUSES, ASKED)
def test_a_delivery_that_always_fails_has_every_attempt_in_the_future_until_the_last(
    pauses: tuple[timedelta, ...], asked: timedelta | None
) -> None:
    schedule = RetrySchedule(pauses)
    failure = Outcome(reason=Reason.RECEIVER_STATUS, status=503, retry_after=asked)
    delivery, now = replace(DELIVERY, attempts=0), NOW
    while delivery.state is State.PENDING:
        delivery = settled(replace(delivery, attempts=delivery.attempts + 1), failure, schedule=schedule, now=now)
        if delivery.state is State.PENDING:
            assert delivery.next_attempt_at >= now.replace(microsecond=0)
            now = max(delivery.next_attempt_at, now)
    assert delivery.state is State.FAILED
    assert delivery.attempts == schedule.attempts


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_an_answer_of_2xx_has_delivered(status: int) -> None:
    delivered = after(Outcome.of_status(status))
    assert (delivered.state, delivered.last_reason, delivered.last_status) == (State.DELIVERED, Reason.OK, status)
    assert delivered.finished_at == NOW.replace(microsecond=123000)


@pytest.mark.parametrize("status", [301, 302, 304, 307, 308, 400, 401, 404, 405, 429, 500, 503])
def test_any_other_answer_is_tried_again(status: int) -> None:
    failed = after(Outcome.of_status(status))
    assert (failed.state, failed.last_reason, failed.last_status) == (State.PENDING, Reason.RECEIVER_STATUS, status)
    assert timedelta(seconds=3.9) < failed.next_attempt_at - NOW < timedelta(seconds=6.1)
    assert failed.finished_at is None


def test_410_ends_it_at_once() -> None:
    gone = after(Outcome.of_status(410, timedelta(seconds=1)))
    assert (gone.state, gone.last_reason, gone.last_status) == (State.FAILED, Reason.RECEIVER_GONE, 410)
    assert gone.finished_at is not None


def test_an_address_that_must_not_be_called_ends_it_at_once() -> None:
    refused = after(Outcome(reason=Reason.ADDRESS_FORBIDDEN))
    assert (refused.state, refused.last_reason, refused.last_status) == (State.FAILED, Reason.ADDRESS_FORBIDDEN, 0)


@pytest.mark.parametrize(
    "reason",
    [Reason.RECEIVER_TIMEOUT, Reason.RECEIVER_UNREACHABLE, Reason.RECEIVER_PROTOCOL, Reason.SECRET_UNREADABLE],
)
def test_what_may_pass_is_tried_again(reason: Reason) -> None:
    assert after(Outcome(reason=reason)).state is State.PENDING


def test_the_last_attempt_ends_it() -> None:
    assert after(Outcome.of_status(500), attempts=9).state is State.PENDING
    assert after(Outcome.of_status(500), attempts=10).state is State.FAILED
    assert after(Outcome.of_status(500), schedule=RetrySchedule(())).state is State.FAILED


@pytest.mark.parametrize(("status", "obeyed"), [(429, True), (502, True), (503, True), (504, True), (500, False)])
def test_the_pause_a_receiver_asks_for_is_obeyed_where_it_throttles(status: int, *, obeyed: bool) -> None:
    failed = after(Outcome.of_status(status, timedelta(hours=2)))
    assert (failed.next_attempt_at - NOW >= timedelta(hours=2) - timedelta(milliseconds=1)) is obeyed


def test_the_pause_a_receiver_asks_for_does_not_shorten_the_schedule() -> None:
    failed = after(Outcome.of_status(503, timedelta(seconds=1)), attempts=3)
    assert failed.next_attempt_at - NOW >= timedelta(minutes=24) - timedelta(milliseconds=1)


def test_a_deliverys_id_is_made_of_the_event_and_the_receiver() -> None:
    event, another = webhook_id(ids.new_job_id("http"), 7), webhook_id(ids.new_job_id("http"), 8)
    one, other = receiver_of("acme", endpoint_id=ids.new_endpoint_id()), receiver_of("acme", host="client.example")
    made = {delivery_id(event, receiver) for event in (event, another) for receiver in (one, other)}
    assert len(made) == 4
    assert delivery_id(event, one) in made
    assert all(ids.is_delivery_id(each) for each in made)


def test_the_id_by_which_receivers_know_an_event_holds_no_full_stop() -> None:
    assert "." not in webhook_id(ids.new_job_id("some-upstream"), 7)


def test_what_is_shown_of_a_delivery_holds_neither_its_body_nor_its_url_nor_its_secret() -> None:
    shown = repr(replace(DELIVERY, payload=b"canary", sealed_secret=b"canary", url="https://client.example/?t=canary"))
    assert "canary" not in shown
