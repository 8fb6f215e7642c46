"""What may be set for a queue, and how it is said what may not."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format
from penstock.scheduler.v1 import queues_pb2

from services.scheduler import validation
from services.scheduler.domain import METHOD_CLASSES
from shared.errors import InvalidArgument


def settings(values: dict[str, Any]) -> queues_pb2.QueueSettings:
    return json_format.ParseDict(values, queues_pb2.QueueSettings())


def rates(*pairs: tuple[int, str]) -> dict[str, Any]:
    return {"rates": [{"calls": calls, "window": window} for calls, window in pairs]}


def within(budget: dict[str, Any]) -> dict[str, Any]:
    return {"limits": {"lane": budget}}


_GOOD = [
    {},
    {"limits": {}, "breaker": {}},
    within(rates((1, "1s"), (35, "6s"), (3600, "3600s"), (2**31 - 1, "86400s"))),
    within({"concurrency": 100_000}),
    {"limits": {"classes": {name: rates((1, "1.5s")) for name in METHOD_CLASSES}}},
    {"breaker": {"throttles": 1000, "failureRatio": 1, "minCalls": 1, "window": "1s", "maxPause": "86400s"}},
    {"breaker": {"throttlePause": "1s", "failurePause": "1s", "upstream": True}},
    {"weights": {"acme": 1, "a-1": 100}},
    {"weights": {f"t{number}": 2 for number in range(1000)}},
]


@pytest.mark.parametrize("values", _GOOD, ids=lambda values: str(values)[:60])
def test_what_can_be_kept_to_is_taken(values: dict[str, Any]) -> None:
    validation.check_settings(settings(values))


_LANE = "settings.limits.lane"
_BREAKER = "settings.breaker"
_BAD: list[tuple[dict[str, Any], dict[str, str]]] = [
    (within(rates((1, "0s"))), {f"{_LANE}.rates[0].window": "is 0s; it takes 1 s to 24 h"}),
    (within({"rates": [{"calls": 1}]}), {f"{_LANE}.rates[0].window": "is 0s; it takes 1 s to 24 h"}),
    (within(rates((1, "0.999s"))), {f"{_LANE}.rates[0].window": "is 0.999s; it takes 1 s to 24 h"}),
    (within(rates((1, "86400.001s"))), {f"{_LANE}.rates[0].window": "it takes 1 s to 24 h"}),
    (within(rates((1, "-6s"))), {f"{_LANE}.rates[0].window": "is -6s"}),
    (within(rates((1, "315576000000s"))), {f"{_LANE}.rates[0].window": "it takes 1 s to 24 h"}),
    (within(rates((5, "6s"), (0, "7s"))), {f"{_LANE}.rates[1].calls": "is 0; it takes 1 or more"}),
    (within(rates((-1, "6s"))), {f"{_LANE}.rates[0].calls": "is -1"}),
    (within(rates((1, "6s"), (2, "7s"), (3, "6.0s"))), {f"{_LANE}.rates[2].window": "the window of rates[0], too"}),
    (within(rates(*((1, f"{n}s") for n in range(1, 6)))), {f"{_LANE}.rates": "are 5; it takes 4 at most"}),
    (within({"concurrency": -1}), {f"{_LANE}.concurrency": "is -1; it takes 0 to 100000"}),
    (within({"concurrency": 100_001}), {f"{_LANE}.concurrency": "is 100001"}),
    ({"limits": {"upstream": {"concurrency": -1}}}, {"settings.limits.upstream.concurrency": "is -1"}),
    ({"limits": {"classes": {"read": {"concurrency": -1}}}}, {"settings.limits.classes.read.concurrency": "is -1"}),
    (
        {"limits": {"laneClasses": {"upload": rates((1, "0s"))}}},
        {"settings.limits.laneClasses.upload.rates[0].window": "is 0s"},
    ),
    ({"breaker": {"throttles": -1}}, {f"{_BREAKER}.throttles": "is -1; it takes 0 to 1000, 0 being for the default"}),
    ({"breaker": {"minCalls": 100_001}}, {f"{_BREAKER}.minCalls": "is 100001"}),
    ({"breaker": {"failureRatio": 1.01}}, {f"{_BREAKER}.failureRatio": "is 1.01; it takes 0 to 1"}),
    ({"breaker": {"failureRatio": -0.1}}, {f"{_BREAKER}.failureRatio": "is -0.1"}),
    ({"breaker": {"failureRatio": "NaN"}}, {f"{_BREAKER}.failureRatio": "is nan"}),
    ({"breaker": {"throttlePause": "0.5s"}}, {f"{_BREAKER}.throttlePause": "is 0.5s; it takes 1 s to 24 h"}),
    ({"breaker": {"failurePause": "86401s"}}, {f"{_BREAKER}.failurePause": "is 86401s"}),
    (
        {"breaker": {"window": "-1s", "maxPause": "-1s"}},
        {f"{_BREAKER}.window": "is -1s", f"{_BREAKER}.maxPause": "is -1s"},
    ),
    ({"weights": {"acme": 0}}, {"settings.weights.acme": "is 0; it takes 1 to 100"}),
    ({"weights": {"acme": 101, "other": 1}}, {"settings.weights.acme": "is 101"}),
    ({"weights": {"No Slug": 1}}, {"settings.weights.No Slug": "names 'No Slug', which is no tenant's name"}),
    ({"weights": {"": 1}}, {"settings.weights.": "names ''"}),
    ({"weights": {f"t{number}": 2 for number in range(1001)}}, {"settings.weights": "are 1001; it takes 1000 at most"}),
]


@pytest.mark.parametrize(("values", "wanted"), _BAD, ids=lambda values: str(values)[:60])
def test_every_mistake_is_named_by_its_path(values: dict[str, Any], wanted: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument) as refused:
        validation.check_settings(settings(values))
    found = {violation.field: violation.description for violation in refused.value.violations}
    assert found.keys() == wanted.keys()
    for path, words in wanted.items():
        assert words in found[path]


def test_all_mistakes_are_named_at_once() -> None:
    values = within(rates((0, "0s"))) | {"breaker": {"throttles": -1}, "weights": {"acme": 0}}
    with pytest.raises(InvalidArgument) as refused:
        validation.check_settings(settings(values))
    assert len(refused.value.violations) == 4


@pytest.mark.parametrize(
    "lane", ["", "-", "con_0198c6f2", "api.example.com", "127.0.0.1:8080", "[::1]:8080", "x" * 280]
)
def test_whatever_could_be_a_lane_is_taken_for_one(lane: str) -> None:
    validation.check_lane(lane)


@pytest.mark.parametrize("lane", ["a b", "a\nb", "\x00", "x" * 281])
def test_what_could_be_no_lane_is_refused(lane: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        validation.check_lane(lane)
    assert [violation.field for violation in refused.value.violations] == ["lane"]


@pytest.mark.parametrize("reason", ["r" * 257, "two\nlines", "\x1b[2J"])
def test_a_reason_that_cannot_be_shown_in_one_line_is_refused(reason: str) -> None:
    validation.check_reason("é" * 256)
    with pytest.raises(InvalidArgument) as refused:
        validation.check_reason(reason)
    assert [violation.field for violation in refused.value.violations] == ["reason"]
