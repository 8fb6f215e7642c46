"""Every field that can be wrong, under the path that the caller wrote, and all of them at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from penstock.jobs.v1 import jobs_pb2

from services.intake.domain import MAX_PARAMS_BYTES, CacheMode, JobRequest, Priority, RetryPolicy
from services.intake.reading import read_draft
from services.intake.validation import MAX_FAULTS, Validator
from shared.errors import InvalidArgument, TooLarge
from tests.fakes.intake_requests import GUARD, UPSTREAMS, request

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
URL = "https://example.com/x"
SECRET = "correct-horse-battery-staple"
VALIDATOR = Validator(guard=GUARD, digest=lambda text: text[::-1])


def judge(**changes: Any) -> JobRequest:
    return VALIDATOR.judge(read_draft(request(**changes), {}), upstreams=UPSTREAMS, now=NOW)


def refused(**changes: Any) -> InvalidArgument:
    with pytest.raises(InvalidArgument) as caught:
        judge(**changes)
    return caught.value


def at(time: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(time)
    return timestamp


def retry(**fields: Any) -> jobs_pb2.RetryPolicy:
    return jobs_pb2.RetryPolicy(**fields)


def params(**fields: Any) -> dict[str, Any]:
    return {"url": URL, **fields}


BAD_FIELDS: list[tuple[str, str, dict[str, Any]]] = [
    ("upstream", "missing", {"upstream": ""}),
    ("upstream", "'htpt', which is no upstream; near to it are http", {"upstream": "htpt"}),
    ("upstream", "known are empty, http, photos", {"upstream": "zzzzz"}),
    ("upstream", "no upstream", {"upstream": "HTTP\n" * 1000}),
    ("method", "missing", {"method": ""}),
    ("method", "'http.gte', which is no method of http; near to it are http.get", {"method": "http.gte"}),
    ("method", "there is none yet", {"upstream": "empty"}),
    ("params.url", "is missing; it is required", {"params": {}}),
    ("params.url", "is 5; it must be a text", {"params": {"url": 5}}),
    ("params.url", "it must be a text", {"params": {"url": None}}),
    ("params.url", "not a public address", {"params": {"url": "http://10.0.0.1/"}}),
    ("params.url", "must be an absolute http:// or https:// URL", {"params": {"url": "ftp://example.com"}}),
    (
        "params.url",
        "has 3019 characters; it must have at most 2048",
        {"params": {"url": "https://example.com" + "x" * 3000}},
    ),
    ("params.urls", "did you mean url?", {"params": params(urls=1)}),
    ("params.zzz", "known are code, headers", {"params": params(zzz=1)}),
    (
        "params.headers.Authorization",
        "credentials come from connections",
        {"params": params(headers={"Authorization": "x"})},
    ),
    ("params.headers.Host", "must not set Host", {"params": params(headers={"Host": "x"})}),
    ("params.headers.X-A", "it must be a text", {"params": params(headers={"X-A": 5})}),
    ("params.headers.X-A", "must be visible ASCII", {"params": params(headers={"X-A": "a\r\nb"})}),
    ("params.headers", "has 4 members; it must have at most 3", {"params": params(headers=dict.fromkeys("abcd", "x"))}),
    ("params.query.a", "it must be", {"params": params(query={"a": [1]})}),
    ("params.text", "has 1 characters; it must have at least 2", {"params": params(text="a")}),
    ("params.text", "excludes json", {"params": params(text="abc", json=1)}),
    ("params.json", "excludes text", {"params": params(text="abc", json=1)}),
    ("params.timeoutS", "is 61; it must be at most 60", {"params": params(timeoutS=61)}),
    ("params.timeoutS", "is 0; it must be more than 0", {"params": params(timeoutS=0)}),
    ("params.mode", 'is "quick"; it must be one of "fast", "slow"', {"params": params(mode="quick")}),
    ("params.code", "must match ^[a-z]+$", {"params": params(code="A1")}),
    ("params.version", "it must be 2", {"params": params(version=3)}),
    ("params.tags[1]", "is 2; it must be a text", {"params": params(tags=["a", 2])}),
    ("params.tags", "has 0 items; it must have at least 1", {"params": params(tags=[])}),
    ("params.tags", "holds a value twice", {"params": params(tags=["a", "a"])}),
    ("params.page", "is 2.5; it must be a whole number", {"params": params(page=2.5)}),
    ("params.page", "is 0; it must be at least 1", {"params": params(page=0)}),
    ("params.page", "is 100; it must be less than 100", {"params": params(page=100)}),
    ("params.page", "is 3; it must be a multiple of 2", {"params": params(page=3)}),
    ("params.never", "is not allowed here", {"params": params(never=1)}),
    ("params.json.a[1].b", "no number that JSON has", {"params": params(json={"a": [1, {"b": float("nan")}]})}),
    ("params.page", "no number that JSON has", {"params": params(page=float("inf"))}),
    ("connectionId", "there is no such connection", {"connection_id": "con_1"}),
    ("connectionId", "there is no such connection", {"connection_id": ""}),
    ("tokenId", "there is no such connection", {"token_id": "con_1"}),
    ("priority", "7 is none; send one of HIGH, NORMAL, LOW", {"priority": 7}),
    ("cachePolicy", "-1 is none; send one of DEFAULT, BYPASS, REFRESH", {"cache_policy": -1}),
    ("notBefore", "less than 7 days ahead", {"not_before": at(NOW + 7 * DAY)}),
    ("notBefore", "no time", {"not_before": Timestamp(seconds=-(10**12))}),
    ("notBefore", "no time", {"not_before": Timestamp(nanos=-1)}),
    ("expiresAt", "in the future", {"expires_at": at(NOW)}),
    ("expiresAt", "at most 7 days ahead", {"expires_at": at(NOW + 7 * DAY + timedelta(seconds=1))}),
    ("expiresAt", "after notBefore", {"not_before": at(NOW + HOUR), "expires_at": at(NOW + HOUR)}),
    ("expiresAt", "no time", {"expires_at": Timestamp(seconds=10**12)}),
    ("retry.maxAttempts", "is 21; it must be 1 to 20", {"retry": retry(max_attempts=21)}),
    ("retry.maxAttempts", "is -1", {"retry": retry(max_attempts=-1)}),
    ("retry.initialBackoff", "is 0s", {"retry": retry(initial_backoff=Duration())}),
    ("retry.initialBackoff", "is -1s", {"retry": retry(initial_backoff=Duration(seconds=-1))}),
    ("retry.maxBackoff", "is 3601s", {"retry": retry(max_backoff=Duration(seconds=3601))}),
    ("retry.maxBackoff", "no duration", {"retry": retry(max_backoff=Duration(seconds=1, nanos=-1))}),
    (
        "retry.initialBackoff",
        "is 5s, more than retry.maxBackoff (4s)",
        {"retry": retry(initial_backoff=Duration(seconds=5), max_backoff=Duration(seconds=4))},
    ),
    ("callbackUrl", "must be an absolute", {"callback_url": "example.com"}),
    ("callbackUrl", "not a public address", {"callback_url": "https://169.254.169.254/"}),
    ("callbackUrl", "must not carry a user", {"callback_url": "https://a:b@example.com/"}),
    ("callbackUrl", "longer than", {"callback_url": "https://example.com/" + "x" * 3000}),
    ("callbackSecret", "there is no callbackUrl", {"callback_secret": SECRET}),
    ("callbackSecret", "has 23 characters; it must have 24 to 128", {"callback_url": URL, "callback_secret": "s" * 23}),
    ("callbackSecret", "base64 must follow", {"callback_url": URL, "callback_secret": "whsec_" + "!" * 32}),
    ("callbackSecret", "has 129 characters", {"callback_url": URL, "callback_secret": "s" * 129}),
    ("metadata", "has 21 entries", {"metadata": {str(n): "" for n in range(21)}}),
    ("metadata." + "k" * 64 + "…", "has a key of 65 characters", {"metadata": {"k" * 65: ""}}),
    ("metadata.", "empty key", {"metadata": {"": "x"}}),
    ("metadata.order", "has 257 characters", {"metadata": {"order": "x" * 257}}),
    ("requestId", "has 256 characters", {"request_id": "x" * 256}),
    ("requestId", "visible ASCII", {"request_id": "a b"}),
]


@pytest.mark.parametrize(("field", "description", "changes"), BAD_FIELDS)
def test_a_bad_field_is_refused_under_its_path(field: str, description: str, changes: dict[str, Any]) -> None:
    error = refused(**changes)
    assert any(fault.field == field and description in fault.description for fault in error.violations), error.message


@pytest.mark.parametrize(
    ("field", "changes"), [(field, changes) for field, _, changes in BAD_FIELDS if "excludes" not in _]
)
def test_nothing_but_the_bad_field_is_refused(field: str, changes: dict[str, Any]) -> None:
    assert {violation.field for violation in refused(**changes).violations} == {field}


def test_all_faults_are_told_at_once() -> None:
    error = refused(
        method="http.gte",
        priority=9,
        metadata={"a": "x" * 300},
        callback_url="nonsense",
        retry=retry(max_attempts=99),
        request_id="not visible",
        expires_at=at(NOW - HOUR),
        token_id="x",
    )
    assert {violation.field for violation in error.violations} == {
        "method",
        "priority",
        "metadata.a",
        "callbackUrl",
        "retry.maxAttempts",
        "requestId",
        "expiresAt",
        "tokenId",
    }
    assert "retry.maxAttempts: is 99" in error.message


def test_all_faults_of_params_are_told_at_once() -> None:
    error = refused(params={"mode": "quick", "page": 0, "zzz": 1, "headers": {"Cookie": "x", "Host": "y"}})
    assert {violation.field for violation in error.violations} == {
        "params.url",
        "params.mode",
        "params.page",
        "params.zzz",
        "params.headers.Cookie",
        "params.headers.Host",
    }


def test_there_is_an_end_to_the_faults_that_are_told() -> None:
    error = refused(params=params(query={f"name {n}": [1] for n in range(1000)}))
    assert len(error.violations) == MAX_FAULTS
    assert error.message.endswith("more faults")
    assert len(error.message) < 8000


def test_what_is_far_too_large_is_refused_without_being_read() -> None:
    far_too_many: dict[str, Any] = {"metadata": {str(n): "x" * 300 for n in range(20_000)}}
    far_too_many["params"] = params(json=[1.0] * 600_000)
    far_too_many["priority"] = 9
    assert read_draft(request(**far_too_many), {}).params == {}
    error = refused(**far_too_many)
    assert isinstance(error, TooLarge)
    assert {violation.field for violation in error.violations} == {"params", "metadata", "priority"}


def test_numbers_may_take_up_the_whole_of_the_params() -> None:
    assert len(judge(params=params(json=[1.0] * 32_000)).params) > 64_000


def test_params_over_the_limit_are_too_large_beside_every_other_fault() -> None:
    error = refused(params=params(json="x" * MAX_PARAMS_BYTES), priority=9)
    assert isinstance(error, TooLarge)
    assert error.metadata == {"limit_bytes": "1048576"}
    assert {violation.field for violation in error.violations} == {"params", "priority"}


def test_params_at_the_limit_are_taken() -> None:
    empty = len(judge(params=params(json="")).params)
    assert len(judge(params=params(json="x" * (MAX_PARAMS_BYTES - empty))).params) == MAX_PARAMS_BYTES


@pytest.mark.parametrize(
    "changes",
    [
        {"params": params(headers={"X-Api-Key": ["hunter2-hunter2"]})},
        {"params": params(headers={"X-A": "hunter2-hunter2\n"})},
        {"params": params(headers="hunter2-hunter2")},
        {"callback_url": URL, "callback_secret": "hunter2-hunter2"},
        {"callback_secret": "hunter2-hunter2"},
    ],
)
def test_what_may_be_secret_is_not_repeated(changes: dict[str, Any]) -> None:
    assert "hunter2" not in refused(**changes).message


def test_a_long_value_is_shown_by_its_beginning() -> None:
    error = refused(params=params(mode="q" * 5000))
    assert len(error.message) < 200
    assert '"qqq' in error.message


def test_defaults_are_filled_in() -> None:
    found = judge()
    assert found.priority is Priority.NORMAL
    assert found.cache_mode is CacheMode.DEFAULT
    assert found.retry == RetryPolicy(
        max_attempts=3, initial_backoff=timedelta(seconds=1), max_backoff=timedelta(minutes=5)
    )
    assert found.expires_at == NOW + DAY
    assert found.not_before is None
    assert (found.method_class, found.idempotent, found.attempt_timeout) == ("read", True, timedelta(seconds=20))
    assert found.params == b'{"url":"https://example.com/x"}'


@pytest.mark.parametrize(
    ("not_before", "expires_at"),
    [(NOW - DAY, NOW + DAY), (NOW + 2 * DAY, NOW + 3 * DAY), (NOW + 6.5 * DAY, NOW + 7 * DAY)],
)
def test_a_job_expires_a_day_after_it_may_begin_and_within_a_week(not_before: datetime, expires_at: datetime) -> None:
    assert judge(not_before=at(not_before)).expires_at == expires_at


@pytest.mark.parametrize(
    ("given", "policy"),
    [
        ({"initial_backoff": Duration(seconds=600)}, RetryPolicy(initial_backoff=HOUR / 6, max_backoff=HOUR / 6)),
        (
            {"max_backoff": Duration(nanos=500_000_000)},
            RetryPolicy(initial_backoff=HOUR / 7200, max_backoff=HOUR / 7200),
        ),
        ({"max_attempts": 20, "max_backoff": Duration(seconds=3600)}, RetryPolicy(max_attempts=20, max_backoff=HOUR)),
    ],
)
def test_one_backoff_alone_moves_the_other_default(given: dict[str, Any], policy: RetryPolicy) -> None:
    assert judge(retry=retry(**given)).retry == policy


def test_params_may_say_how_long_an_attempt_takes() -> None:
    assert judge(params=params(timeoutS=2.5)).attempt_timeout == timedelta(seconds=2.5)


def test_limits_themselves_are_allowed() -> None:
    found = judge(
        metadata={"k" * 64: "v" * 256} | {str(n): "" for n in range(19)},
        request_id="!" * 255,
        callback_url=URL,
        callback_secret="s" * 128,
        expires_at=at(NOW + 7 * DAY),
        priority=jobs_pb2.Job.LOW,
        cache_policy=jobs_pb2.CachePolicy.REFRESH,
    )
    assert found.idempotency_key == "!" * 255
    assert (found.priority, found.cache_mode) == (Priority.LOW, CacheMode.REFRESH)


def test_a_secret_is_not_in_the_text_of_a_request() -> None:
    assert SECRET not in repr(judge(callback_url=URL, callback_secret=SECRET))
