"""JSON bodies: what is let through, and what is refused with its path."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import json_format

from tests.integration.gateway.envoys import chunks

if TYPE_CHECKING:
    from tests.integration.gateway.envoys import Envoy
    from tests.integration.gateway.stand_ins import Services

_PATH = "/api/v1/jobs"
_JOB = {"upstream": "http", "method": "http.get"}
_MIB = 1024 * 1024


def _nested(levels: int, kind: str) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value} if kind == "object" else [value]
    return value


_GOOD = [
    {},
    {"params": {}},
    {"params": {"big": 9007199254740992, "small": -9007199254740992, "float": 1e300, "text": "9007199254740993"}},
    {"params": {"a": [1, -0.5, 1e-7, True, False, None, "x", {"b": []}], "é€😀": "é€😀", "": 0}},
    {"params": {"a": _nested(30, "object")}},
    {"params": {"a": _nested(30, "array")}},
    {"params": None, "priority": None, "retry": None},
    {"connectionId": "con_1"},
    {"connection_id": "con_1"},
    {"connectionId": None, "tokenId": "con_1"},
    {"priority": "HIGH"},
    {"priority": "high"},
    {"priority": 2},
    {"cachePolicy": "BYPASS"},
    {"notBefore": "2026-01-31T12:00:00Z", "expiresAt": "2028-02-29T23:59:59.123456789+02:00"},
    {"retry": {"maxAttempts": 5, "initialBackoff": "0.250s", "max_backoff": "300s"}},
    {"retry": {"maxAttempts": "5"}},
    {"retry": {"maxAttempts": 5.0}},
    {"notBefore": "0001-01-01T06:00:00+06:00", "expiresAt": "9999-12-31T17:59:59-06:00"},
    {"metadata": {"order": "123", "": ""}},
    {"requestId": 'quote " backslash \\ slash / é \u0001 \U0001f600'},
]


@pytest.mark.parametrize("more", _GOOD, ids=[json.dumps(case)[:60] for case in _GOOD])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_well_formed_body_reaches_the_service_unchanged(
    envoy: Envoy, services: Services, more: dict[str, Any], *, ascii_only: bool
) -> None:
    sent = {**_JOB, **more}
    answer = envoy.call("POST", _PATH, json.dumps(sent, ensure_ascii=ascii_only, indent=1).encode())
    assert answer.status == 200, answer
    (received,) = services.received
    if "priority" in sent and sent["priority"] == "high":
        sent["priority"] = "HIGH"
    assert received.request == json_format.ParseDict(sent, type(received.request)())


_FIELD = "is not a field of this request"
_INTEGER = "is an integer beyond 2^53"
_BAD: list[tuple[dict[str, Any] | str, dict[str, str]]] = [
    # unknown fields
    ({"nope": 1}, {"nope": _FIELD}),
    ({"Upstream": "x"}, {"Upstream": _FIELD}),
    ({"state": "QUEUED"}, {"state": _FIELD}),
    ({"retry": {"x": {"y": [1]}, "maxAttempts": 1}}, {"retry.x": _FIELD}),
    ({"a": 1, "b": {"c": 2}, "retry": {"d": 3}}, {"a": _FIELD, "b": _FIELD, "retry.d": _FIELD}),
    ('{"a\\u0062": 1}', {"ab": _FIELD}),
    ('{"\\u00e9\\u00e9\\ud83d\\ude00\\nabc\\\\u0061": 1}', {"éé😀\nabc\\u0061": _FIELD}),
    ({"é": 1}, {"é": _FIELD}),
    # twice
    ('{"upstream": "a", "upstream": "b"}', {"upstream": "is given twice"}),
    ('{"upstream": "a", "up\\u0073tream": "b"}', {"upstream": "is given twice"}),
    ('{"params": {"a": [{"b": 1, "b": 2}]}}', {"params.a[0].b": "is given twice"}),
    ('{"metadata": {"a": "1", "a": "2"}}', {"metadata.a": "is given twice"}),
    ({"notBefore": "2026-01-01T00:00:00Z", "not_before": "2026-01-01T00:00:00Z"}, {"not_before": "another spelling"}),
    ({"connectionId": "a", "tokenId": "b"}, {"tokenId": "is given beside connectionId"}),
    # integers that a double does not keep
    ({"params": {"id": 9007199254740993}}, {"params.id": _INTEGER}),
    ({"params": {"id": -9007199254740993}}, {"params.id": _INTEGER}),
    ({"params": {"a": {"b": [0, {"c": 123456789012345678901234567890}]}}}, {"params.a.b[1].c": _INTEGER}),
    ('{"params": {"id": 9007199254740993.0}}', {"params.id": _INTEGER}),
    ('{"params": {"id": 1e999}}', {"params.id": "beyond the range"}),
    (f'{{"params": {{"id": -1e{"9" * 500}}}}}', {"params.id": "beyond the range"}),
    (f'{{"params": {{"id": 1e-{"9" * 500}}}}}', {"params.id": "beyond the range"}),
    (f'{{"retry": {{"initialBackoff": "{"9" * 5000}s"}}}}', {"retry.initialBackoff": "longer than a duration"}),
    # types
    ({"upstream": 1}, {"upstream": "must be a string, not a number"}),
    ({"upstream": ["a"]}, {"upstream": "must be a string, not an array"}),
    ({"params": "x"}, {"params": "must be an object, not a string"}),
    ({"params": [1]}, {"params": "must be an object, not an array"}),
    ({"retry": 3}, {"retry": "must be an object, not a number"}),
    ({"retry": {"maxAttempts": "many"}}, {"retry.maxAttempts": "must be a whole number"}),
    ({"retry": {"maxAttempts": 1.5}}, {"retry.maxAttempts": "must be a whole number"}),
    ({"retry": {"maxAttempts": "5.0"}}, {"retry.maxAttempts": "must be a whole number"}),
    ({"retry": {"maxAttempts": 2147483648}}, {"retry.maxAttempts": "must be from -2147483648 to 2147483647"}),
    ({"retry": {"maxAttempts": True}}, {"retry.maxAttempts": "must be a whole number, not a boolean"}),
    ({"retry": {"initialBackoff": 5}}, {"retry.initialBackoff": "must be a duration"}),
    ({"retry": {"initialBackoff": "5"}}, {"retry.initialBackoff": "must be a duration"}),
    ({"retry": {"initialBackoff": "999999999999999s"}}, {"retry.initialBackoff": "longer than a duration"}),
    ({"metadata": {"a": 1}}, {"metadata.a": "must be a string, not a number"}),
    ({"metadata": {"a": {"b": "c"}}}, {"metadata.a": "must be a string, not an object"}),
    ({"metadata": ["a"]}, {"metadata": "must be an object, not an array"}),
    ({"priority": "URGENT"}, {"priority": "must be one of HIGH, NORMAL, LOW"}),
    ({"priority": 99}, {"priority": "must be one of HIGH, NORMAL, LOW"}),
    ({"priority": -1}, {"priority": "must be one of HIGH, NORMAL, LOW"}),
    ({"priority": True}, {"priority": "must be the name of a value, not a boolean"}),
    ({"cachePolicy": "FOREVER"}, {"cachePolicy": "must be one of DEFAULT, BYPASS, REFRESH"}),
    ({"notBefore": "tomorrow"}, {"notBefore": "must be a time"}),
    ({"notBefore": "2026-02-29T00:00:00Z"}, {"notBefore": "a day that does not exist"}),
    ({"notBefore": "2026-13-01T00:00:00Z"}, {"notBefore": "a day that does not exist"}),
    ({"notBefore": "2026-01-01T25:00:00Z"}, {"notBefore": "a time of day that does not exist"}),
    ({"notBefore": "2026-01-01T00:00:00"}, {"notBefore": "must be a time"}),
    ({"notBefore": 1767225600}, {"notBefore": "must be a time"}),
    ({"notBefore": "0001-01-01T05:59:59+06:00"}, {"notBefore": "between the years 1 and 9999"}),
    ({"notBefore": "9999-12-31T18:00:00-06:00"}, {"notBefore": "between the years 1 and 9999"}),
    # nesting
    ({"params": {"a": _nested(31, "object")}}, {"params" + ".a" * 31: "nests deeper than 32 levels"}),
    ({"params": {"a": _nested(500, "array")}}, {"params.a" + "[0]" * 30: "nests deeper than 32 levels"}),
    ({"nope": _nested(500, "object")}, {"nope": _FIELD, "nope" + ".a" * 31: "nests deeper than 32 levels"}),
]


@pytest.mark.parametrize(("body", "wanted"), _BAD, ids=[json.dumps(case[0])[:60] for case in _BAD])
def test_every_wrong_field_is_named_by_its_path(
    envoy: Envoy, services: Services, body: dict[str, Any] | str, wanted: dict[str, str]
) -> None:
    answer = envoy.call("POST", _PATH, body.encode() if isinstance(body, str) else body)
    assert answer.status == 400
    assert answer.error["status"] == "INVALID_ARGUMENT"
    assert answer.info["reason"] == "INVALID_ARGUMENT"
    assert answer.fields.keys() == wanted.keys()
    for path, words in wanted.items():
        assert words in answer.fields[path]
        assert path in answer.error["message"]
    assert services.received == []


_MALFORMED = [
    (b"{", "a name in quotes is missing at line 1, column 2"),
    (b'{"a"}', "a colon is missing at line 1, column 5"),
    (b'{"params": {"a": }}', "something that is no value"),
    (b'{"params":\n {"a": 1,}}', "a comma too many at line 2, column 10"),
    (b'{"params": {"a": [1,]}}', "a comma too many"),
    (b'{"params": {"a": [1 2]}}', "a comma or a closing bracket is missing"),
    (b'{"params": {"a": 1 "b": 2}}', "a comma or a closing brace is missing"),
    (b'{"params": {"a": 01}}', "a leading zero"),
    (b'{"params": {"a": 1.}}', "a digit is missing"),
    (b'{"params": {"a": .5}}', "something that is no value"),
    (b'{"params": {"a": +1}}', "something that is no value"),
    (b'{"params": {"a": 1e}}', "a digit is missing"),
    (b'{"params": {"a": NaN}}', "something that is no value"),
    (b'{"params": {"a": tru}}', "something that is no value"),
    (b'{"params": {"a": nullx}}', "a comma or a closing brace is missing"),
    (b"{'upstream': 1}", "a name in quotes is missing"),
    (b'{"upstream": "http', "a string that does not end"),
    (b'{"upstream": "a\nb"}', "a control character that is not escaped"),
    (b'{"upstream": "a\x00b"}', "a control character that is not escaped"),
    (b'{"upstream": "\\x"}', "an unknown escape"),
    (b'{"upstream": "\\u12g4"}', "an unknown escape"),
    (b'{"upstream": "\\ud800"}', "half of a surrogate pair"),
    (b'{"upstream": "\\udc00\\ud800"}', "half of a surrogate pair"),
    (b'{"upstream": "\xff"}', "not UTF-8"),
    (b'{"upstream": "\xc0\xaf"}', "not UTF-8"),
    (b'{"upstream": "\xed\xa0\x80"}', "not UTF-8"),
    (b'{"upstream": "\xf4\x90\x80\x80"}', "not UTF-8"),
    (b'{"upstream": "\xe2\x82"}', "not UTF-8"),
    (b'{"a\xff": 1}', "not UTF-8"),
    (b"\xef\xbb\xbf{}", "something that is no value at line 1, column 1"),
    (b"{} {}", "something behind the end of the object"),
    (b'{"upstream": "a"} // why', "something behind the end of the object"),
    (b"upstream=http", "something that is no value"),
    (b"   ", "something that is no value"),
    (b"[]", "must be a JSON object, not an array"),
    (b'"x"', "must be a JSON object, not a string"),
    (b"null", "must be a JSON object, not null"),
]


@pytest.mark.parametrize(("body", "words"), _MALFORMED, ids=[repr(case[0]) for case in _MALFORMED])
def test_malformed_json_is_refused_with_its_place(envoy: Envoy, services: Services, body: bytes, words: str) -> None:
    answer = envoy.call("POST", _PATH, body)
    assert answer.status == 400
    assert answer.info["reason"] == "INVALID_ARGUMENT"
    assert words in answer.error["message"]
    assert services.received == []


def test_no_more_than_twenty_faults_are_told_at_once(envoy: Envoy, services: Services) -> None:
    assert len(envoy.call("POST", _PATH, {f"f{number}": 1 for number in range(100)}).fields) == 20


def test_a_path_of_great_length_is_cut(envoy: Envoy, services: Services) -> None:
    (path,) = envoy.call("POST", _PATH, {"é" * 5000: 1}).fields
    assert path.startswith("ééé")
    assert path.endswith("…")
    assert len(path) < 250


def test_the_body_may_repeat_what_the_path_says_and_not_contradict_it(envoy: Envoy, services: Services) -> None:
    assert envoy.call("POST", "/api/v1/flickr/jobs", {"upstream": "flickr"}).status == 200
    services.reset()
    answer = envoy.call("POST", "/api/v1/flickr/jobs", {"upstream": "http"})
    assert answer.status == 400
    assert "is flickr in the path" in answer.fields["upstream"]
    assert services.received == []


def test_a_body_that_is_one_field_of_the_request_is_checked_by_its_path_from_the_request(
    envoy: Envoy, services: Services
) -> None:
    body = {
        "limits": {"lane": {"rates": [{"calls": 1, "windw": "1s"}, {"calls": "x"}]}},
        "weights": {"acme": 1.5},
        "upstream": "flickr",
    }
    answer = envoy.call("PUT", "/api/v1/queues/flickr/settings", body)
    assert answer.status == 400
    assert answer.fields.keys() == {
        "settings.limits.lane.rates[0].windw",
        "settings.limits.lane.rates[1].calls",
        "settings.weights.acme",
        "settings.upstream",
    }
    assert services.received == []


@pytest.mark.parametrize("body", [b"[]", b"{", b'"x"'])
def test_a_body_that_is_one_field_must_be_an_object(envoy: Envoy, services: Services, body: bytes) -> None:
    answer = envoy.call("PUT", "/api/v1/queues/flickr/settings", body)
    assert answer.status == 400
    assert answer.info["reason"] == "INVALID_ARGUMENT"
    assert services.received == []


@pytest.mark.parametrize("body", [None, b""])
def test_a_body_that_is_one_field_must_be_there(envoy: Envoy, services: Services, body: bytes | None) -> None:
    answer = envoy.call("PUT", "/api/v1/queues/flickr/settings", body)
    assert answer.status == 400
    assert answer.fields.keys() == {"settings"}
    assert services.received == []


def test_what_the_body_holds_cannot_be_given_in_the_query(envoy: Envoy, services: Services) -> None:
    answer = envoy.call("PUT", "/api/v1/queues/flickr/settings?settings.breaker.throttles=3", {})
    assert answer.status == 400
    assert answer.fields.keys() == {"settings.breaker.throttles"}
    assert services.received == []


@pytest.mark.parametrize("size", [10 * _MIB + 1, 20 * _MIB, 20_000_000])
@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_over_the_limit_is_a_413_with_the_limit(
    envoy: Envoy, services: Services, size: int, *, chunked: bool
) -> None:
    body = b'{"upstream": "' + b"x" * (size - 16) + b'"}'
    answer = envoy.call("POST", _PATH, chunks(body) if chunked else body)
    assert answer.status == 413
    assert answer.info["reason"] == "TOO_LARGE"
    assert answer.info["metadata"] == {"limit_bytes": str(10 * _MIB)}
    assert services.received == []


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_just_below_the_limit_is_let_through(envoy: Envoy, services: Services, *, chunked: bool) -> None:
    start = b'{"upstream": "http", "params": {"a": "'
    body = start + b"x" * (10 * _MIB - len(start) - 3) + b'"}}'
    assert len(body) == 10 * _MIB
    answer = envoy.call("POST", _PATH, chunks(body) if chunked else body)
    assert answer.status == 200, answer
    assert len(services.received[0].request.params["a"]) == 10 * _MIB - len(start) - 3


def test_a_body_of_very_many_small_values_is_too_large_too(envoy: Envoy, services: Services) -> None:
    answer = envoy.call("POST", _PATH, b'{"params": {"a": [' + b'"ab",' * 1_990_000 + b'"ab"]}}')
    assert answer.status == 413
    assert answer.info["reason"] == "TOO_LARGE"
    assert services.received == []


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "text/plain"},
        {"content-type": "application/xml"},
        {"content-type": "application/json; charset=latin1"},
        {"content-type": "application/jsonp"},
        {"content-type": "application/grpc-web"},
        {"content-type": ""},
        {"content-encoding": "gzip"},
    ],
    ids=str,
)
def test_a_body_that_is_not_plain_json_is_a_415(envoy: Envoy, services: Services, headers: dict[str, str]) -> None:
    answer = envoy.call("POST", _PATH, _JOB, headers=headers)
    assert answer.status == 415
    assert answer.info["reason"] == "UNSUPPORTED_MEDIA_TYPE"
    assert answer.info["metadata"].keys() == {"content_type"}
    assert services.received == []


@pytest.mark.parametrize(
    "media", ["application/json", "Application/JSON; Charset=UTF-8", 'application/json;charset="utf-8"']
)
def test_json_is_taken_under_every_spelling_of_its_type(envoy: Envoy, services: Services, media: str) -> None:
    assert envoy.call("POST", _PATH, _JOB, headers={"content-type": media}).status == 200


@pytest.mark.parametrize(("verb", "path"), [("GET", "/api/v1/jobs/j-1"), ("DELETE", "/api/v1/keys/k-1")])
@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_where_none_is_taken_is_refused_and_not_ignored(
    envoy: Envoy, services: Services, verb: str, path: str, *, chunked: bool
) -> None:
    answer = envoy.call(verb, path, chunks(b'{"a": 1}') if chunked else b'{"a": 1}')
    assert answer.status == 400
    assert answer.info["reason"] == "BAD_REQUEST"
    assert services.received == []
