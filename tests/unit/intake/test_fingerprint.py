"""Canonical JSON and fingerprints: the same request has the same one, another request another."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from penstock.jobs.v1 import jobs_pb2

from services.intake.canonical import MAX_SAFE_INTEGER, canonical_json
from services.intake.reading import read_draft, read_struct
from services.intake.validation import Validator
from tests.fakes.intake_requests import GUARD, UPSTREAMS, request

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
URL = "https://example.com/x"
VALIDATOR = Validator(guard=GUARD, digest=lambda text: text[::-1])

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def struct(value: dict[str, Any]) -> Struct:
    found = Struct()
    found.update(value)
    return found


def fingerprint(*, now: datetime = NOW, **changes: Any) -> bytes:
    return VALIDATOR.judge(read_draft(request(**changes), {}), upstreams=UPSTREAMS, now=now).fingerprint


@given(value=st.dictionaries(TEXTS, JSON, max_size=5))
def test_canonical_json_says_the_same_as_the_struct(value: dict[str, Any]) -> None:
    assert json.loads(canonical_json(read_struct(struct(value)))) == value


@given(value=st.dictionaries(TEXTS, JSON, max_size=5))
def test_canonical_json_does_not_hang_on_the_order_of_members(value: dict[str, Any]) -> None:
    backwards = dict(reversed(value.items()))
    assert canonical_json(read_struct(struct(value))) == canonical_json(read_struct(struct(backwards)))


@given(value=st.dictionaries(TEXTS, JSON, max_size=5))
def test_canonical_json_of_canonical_json_is_itself(value: dict[str, Any]) -> None:
    once = canonical_json(read_struct(struct(value)))
    assert canonical_json(read_struct(struct(json.loads(once)))) == once


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1.0, "a": -0.0}, '{"a":0,"b":1}'),
        ({"n": float(MAX_SAFE_INTEGER)}, '{"n":9007199254740991}'),
        ({"n": 1e300}, '{"n":1e+300}'),
        ({"n": 0.1}, '{"n":0.1}'),
        ({"ü": ["", None, True, {}]}, '{"ü":["",null,true,{}]}'),
    ],
)
def test_canonical_json_is_written_in_one_way(value: dict[str, Any], text: str) -> None:
    assert canonical_json(read_struct(struct(value))) == text.encode()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_json_has_not_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json({"n": number})


def test_a_fingerprint_does_not_hang_on_the_time_nor_on_the_key() -> None:
    assert fingerprint() == fingerprint(now=NOW + timedelta(hours=3), request_id="a-key")


@pytest.mark.parametrize(
    "spelt_out",
    [
        {"priority": jobs_pb2.Job.NORMAL},
        {"cache_policy": jobs_pb2.CachePolicy.DEFAULT},
        {"retry": jobs_pb2.RetryPolicy()},
        {"retry": jobs_pb2.RetryPolicy(max_attempts=3, initial_backoff=Duration(seconds=1))},
        {"params": {"url": URL}},
    ],
)
def test_a_default_that_is_spelt_out_is_the_same_request(spelt_out: dict[str, Any]) -> None:
    assert fingerprint(**spelt_out) == fingerprint()


def test_every_field_makes_another_request() -> None:
    later = Timestamp()
    later.FromDatetime(NOW + timedelta(hours=1))
    requests: list[dict[str, Any]] = [
        {},
        {"params": {"url": URL + "y"}},
        {"params": {"url": URL, "json": None}},
        {"params": {"url": URL, "json": 1}},
        {"params": {"url": URL, "json": "1"}},
        {"params": {"url": URL, "json": True}},
        {"priority": jobs_pb2.Job.HIGH},
        {"cache_policy": jobs_pb2.CachePolicy.BYPASS},
        {"not_before": later},
        {"expires_at": later},
        {"retry": jobs_pb2.RetryPolicy(max_attempts=4)},
        {"retry": jobs_pb2.RetryPolicy(initial_backoff=Duration(seconds=2))},
        {"retry": jobs_pb2.RetryPolicy(max_backoff=Duration(seconds=2))},
        {"callback_url": URL},
        {"callback_url": URL + "y"},
        {"callback_url": URL, "callback_secret": "s" * 24},
        {"callback_url": URL, "callback_secret": "t" * 24},
        {"metadata": {"a": "b"}},
        {"metadata": {"a": "c"}},
        {"metadata": {"a": "b", "c": ""}},
    ]
    assert len({fingerprint(**changes) for changes in requests}) == len(requests)
