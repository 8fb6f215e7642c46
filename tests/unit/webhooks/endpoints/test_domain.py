"""Which events pass a filter, how pauses grow, and which keys sign."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.endpoints.domain import Event, EventFilter, ExponentialPauses
from tests.fakes.endpoints import LATER, NOW, SECOND, endpoint_secrets, make_endpoint

JOB = Event(type="job.failed", upstream="flickr", method="flickr.photos.search", metadata={"order": "1", "who": "ann"})
NOTICE = Event(type="batch.finished")
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("filter_", "passes"),
    [
        (EventFilter(), True),
        (EventFilter(event_types=("job.failed",)), True),
        (EventFilter(event_types=("job.succeeded", "job.failed")), True),
        (EventFilter(event_types=("job.succeeded",)), False),
        (EventFilter(event_types=("job.*",)), True),
        (EventFilter(event_types=("jo.*",)), False),
        (EventFilter(event_types=("job.fail",)), False),
        (EventFilter(upstreams=("flickr",)), True),
        (EventFilter(upstreams=("http",)), False),
        (EventFilter(methods=("flickr.photos.search",)), True),
        (EventFilter(methods=("flickr.photos.*",)), True),
        (EventFilter(methods=("flickr.*",)), True),
        (EventFilter(methods=("flickr.photos.search.*",)), False),
        (EventFilter(methods=("flickr.people.*", "http.get")), False),
        (EventFilter(metadata={"order": "1"}), True),
        (EventFilter(metadata={"order": "1", "who": "ann"}), True),
        (EventFilter(metadata={"order": "1", "who": "bob"}), False),
        (EventFilter(metadata={"missing": ""}), False),
        (EventFilter(event_types=("job.*",), upstreams=("http",)), False),
        (
            EventFilter(event_types=("job.*",), upstreams=("flickr",), methods=("flickr.*",), metadata={"who": "ann"}),
            True,
        ),
    ],
)
def test_an_event_passes_every_part_that_is_given(filter_: EventFilter, *, passes: bool) -> None:
    assert filter_.passes(JOB) is passes


@pytest.mark.parametrize(
    ("filter_", "passes"),
    [
        (EventFilter(), True),
        (EventFilter(event_types=("batch.*",)), True),
        (EventFilter(upstreams=("http",)), False),
        (EventFilter(methods=("http.*",)), False),
        (EventFilter(metadata={"order": "1"}), False),
    ],
)
def test_what_is_about_no_job_passes_no_part_that_asks_for_one(filter_: EventFilter, *, passes: bool) -> None:
    assert filter_.passes(NOTICE) is passes


def test_pauses_grow_by_their_factor_up_to_their_maximum() -> None:
    pauses = ExponentialPauses(initial=SECOND, factor=3, maximum=20 * SECOND, max_attempts=6).schedule()
    assert pauses.pauses == (SECOND, 3 * SECOND, 9 * SECOND, 20 * SECOND, 20 * SECOND)
    assert pauses.attempts == 6


@given(st.integers(1_000, 604_800_000), st.floats(1, 10), st.integers(1_000, 604_800_000), st.integers(2, 21))
def test_no_pause_is_longer_than_the_maximum_or_shorter_than_the_one_before(
    initial_ms: int, factor: float, maximum_ms: int, attempts: int
) -> None:
    pauses = ExponentialPauses(
        initial=timedelta(milliseconds=initial_ms),
        factor=factor,
        maximum=timedelta(milliseconds=maximum_ms),
        max_attempts=attempts,
    ).schedule()
    assert pauses.attempts == attempts
    assert all(earlier <= later for earlier, later in zip(pauses.pauses, pauses.pauses[1:], strict=False))
    assert max(pauses.pauses) <= timedelta(milliseconds=maximum_ms)


def test_keys_sign_until_they_expire() -> None:
    secrets, endpoint = endpoint_secrets(), make_endpoint()
    made = [secrets.make_keys(endpoint.tenant, endpoint.id, now=NOW) for _ in range(2)]
    keys = (made[0], replace(made[1], expires_at=LATER))
    rotated = replace(endpoint, keys=keys)
    assert rotated.signing_keys(LATER - timedelta(milliseconds=1)) == keys
    assert rotated.signing_keys(LATER) == keys[:1]
