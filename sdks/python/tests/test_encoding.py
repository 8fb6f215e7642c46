"""Between the API's JSON and Python's values."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from penstock_sdk import models
from penstock_sdk.encoding import decode, encode
from penstock_sdk.errors import InvalidUse

DOCUMENT = json.loads((Path(__file__).parents[3] / "gateway/site/openapi.json").read_text())
#: The classes of models by their schemas' names.
MODELS = {name: value for name, value in vars(models).items() if dataclasses.is_dataclass(value)}


def examples() -> list[Any]:
    """What the document shows as an answer or a request, with the model that it is of."""
    found = []
    for path, verbs in DOCUMENT["paths"].items():
        for verb, operation in verbs.items():
            bodies = {"asked": operation.get("requestBody", {}), "answered": operation["responses"]["200"]}
            for what, body in bodies.items():
                content = body.get("content", {}).get("application/json", {})
                schema = content.get("schema", {}).get("$ref", "").rpartition("/")[2].replace(".", "")
                if schema in MODELS and "example" in content:
                    found.append(pytest.param(MODELS[schema], content["example"], id=f"{verb} {path} {what}"))
    assert found
    return found


@pytest.mark.parametrize(("model", "example"), examples())
def test_what_the_document_shows_is_read_and_said_again(model: type[Any], example: dict[str, Any]) -> None:
    value = decode(model, example)
    assert encode(value) == example
    assert decode(model, encode(value)) == value


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_what_says_nothing_has_every_zero(model: type[Any]) -> None:
    assert decode(model, {}) == model()
    assert encode(model()) == {}


def test_a_job_is_read() -> None:
    job = decode(
        models.Job,
        {
            "id": "http-1",
            "state": "SUCCEEDED",
            "revision": "9007199254740993",
            "createdAt": "2026-11-27T08:00:00.123456789Z",
            "metadata": {"order": "7"},
            "result": {"inline": {"status": 200, "data": "_-8"}},
            "attempts": [{"number": 1, "error": None}],
            "notYetKnown": {"to": "this client"},
        },
    )
    assert (job.id, job.state, job.revision, job.metadata) == ("http-1", "SUCCEEDED", 9007199254740993, {"order": "7"})
    assert job.created_at == datetime(2026, 11, 27, 8, 0, 0, 123456, tzinfo=UTC)
    assert job.result is not None
    assert job.result.inline is not None
    assert job.result.inline.data == b"\xff\xef"
    assert job.attempts == (models.JobAttempt(number=1),)
    assert (job.batch_id, job.finished_at, job.priority) == ("", None, None)


def test_what_is_newer_than_the_client_passes_through() -> None:
    assert decode(models.Job, {"state": "DREAMING"}).state == "DREAMING"


@pytest.mark.parametrize(
    ("json_", "said"),
    [
        ({"id": 7}, "id is 7, which is no str"),
        ({"attempt": "x"}, "attempt is 'x', which is no int"),
        ({"attempt": True}, "attempt is True, which is no int"),
        ({"createdAt": "yesterday"}, "createdAt is 'yesterday', which is no datetime"),
        ({"result": {"inline": {"data": "@"}}}, "result.inline.data is '@', which is no bytes"),
        ({"attempts": [{}, 7]}, r"attempts\[1\] is 7, which is no object"),
        ({"attempts": {}}, "attempts is {}, which is no list"),
        ([], r"the answer is \[\], which is no object"),
    ],
)
def test_what_is_no_such_thing_is_told_by_its_path(json_: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        decode(models.Job, json_)


@given(st.timedeltas())
def test_a_duration_comes_back(length: timedelta) -> None:
    assert decode(timedelta, encode(length)) == length


@given(
    st.datetimes(
        min_value=datetime(2, 1, 1),  # noqa: DTZ001  the strategy gives it its zone
        max_value=datetime(9999, 1, 1),  # noqa: DTZ001  the strategy gives it its zone
        timezones=st.sampled_from((UTC, timezone(timedelta(hours=5, minutes=30)))),
    )
)
def test_a_time_comes_back(time: datetime) -> None:
    text = encode(time)
    assert text.endswith("Z")
    assert decode(datetime, text) == time


@given(st.binary())
def test_bytes_come_back(content: bytes) -> None:
    assert decode(bytes, encode(content)) == content


def test_durations_are_said_exactly() -> None:
    assert encode(timedelta(milliseconds=1500)) == "1.5s"
    assert encode(-timedelta(milliseconds=500)) == "-0.5s"
    assert encode(timedelta(days=7)) == "604800s"
    assert decode(timedelta, "0.000000999s") == timedelta(0)
    with pytest.raises(ValueError, match="which is no timedelta"):
        decode(timedelta, "5 min")


def test_a_mapping_goes_as_it_is_but_for_its_values() -> None:
    given_ = {
        "notBefore": datetime(2026, 1, 1, tzinfo=UTC),
        "retry": models.RetryPolicy(max_attempts=3),
        "n": (1, None),
    }
    assert encode(given_) == {"notBefore": "2026-01-01T00:00:00Z", "retry": {"maxAttempts": 3}, "n": [1, None]}


def test_numbers_of_64_bits_are_texts_in_lists_and_maps_too() -> None:
    assert encode(models.BudgetUse(used=(1, 2), running=3, remaining=0)) == {
        "used": ["1", "2"],
        "running": "3",
        "remaining": "0",
    }
    assert encode(models.BulkResponse(failed={"JOB_RUNNING": 2})) == {"failed": {"JOB_RUNNING": "2"}}


def test_a_number_that_json_does_not_have_is_a_name() -> None:
    assert decode(models.EndpointStats, {"successRatio": "Infinity"}).success_ratio == float("inf")


def test_a_time_without_a_zone_is_refused_by_its_field() -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001  what is shown
    with pytest.raises(InvalidUse, match=r"jobs\[0\]\.notBefore is 2026-01-01T00:00:00, which says no zone"):
        encode({"jobs": [models.SubmitJobRequest(not_before=naive)]})


def test_what_json_cannot_say_is_refused_by_its_field() -> None:
    with pytest.raises(InvalidUse, match=r"params\.files\[0\] is a object, which JSON cannot say"):
        encode({"params": {"files": [object()]}})


def test_what_is_secret_is_not_printed() -> None:
    assert "hush" not in repr(models.StaticSecret(bearer=models.Bearer(token="hush")))
