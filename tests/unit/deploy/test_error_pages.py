"""What is said of each reason of an error, and that it is said of all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from penstock.errors.v1.errors_pb2 import ErrorReason

from deploy import error_pages
from deploy.local.layout import ROOT
from deploy.openapi.contract import Contract
from deploy.openapi.errors import statuses
from shared import errors

if TYPE_CHECKING:
    from deploy.error_pages import Reason

#: A call is never answered with these: a job is left with them.
OF_JOBS = {
    *("ADDRESS_FORBIDDEN", "ATTEMPT_LOST", "CONNECTION_FORBIDDEN", "CONTENT_GONE", "JOB_CANCELED", "JOB_EXPIRED"),
    *("OUTCOME_UNKNOWN", "RESULT_TOO_LARGE", "UPSTREAM_PROTOCOL", "UPSTREAM_REFUSED", "UPSTREAM_STATUS"),
    *("UPSTREAM_TIMEOUT", "UPSTREAM_UNREACHABLE"),
}
WELL = """ It is wrong.

     {"reason": "BAD_REQUEST", "domain": "penstock.dev"}

 Retry: yes, after `Retry-After`. Mended by: the caller.

 What to do: Mend
 it.

     curl -v

 Then try again.
"""


@pytest.fixture(scope="module")
def reasons() -> list[Reason]:
    return error_pages.read_reasons(Contract.read())


def test_every_reason_has_a_meaning_an_example_and_what_to_do(reasons: list[Reason]) -> None:
    assert {reason.name for reason in reasons} == set(ErrorReason.keys()) - {"ERROR_REASON_UNSPECIFIED"}
    for reason in reasons:
        assert reason.meaning, reason
        assert reason.example["reason"] == reason.name
        assert len(reason.what_to_do[0]["text"]) > 20, reason.name
        assert reason.mended_by, reason.name


def test_every_error_has_a_reason_and_every_reason_of_a_call_an_error(reasons: list[Reason]) -> None:
    assert {error.reason for error in errors.every_error()} <= {reason.name for reason in reasons}
    assert set(statuses()) == {reason.name for reason in reasons} - OF_JOBS
    assert {reason.name for reason in reasons if reason.of_jobs} == OF_JOBS


def test_every_reason_is_on_the_page(reasons: list[Reason]) -> None:
    page = error_pages.PAGE.read_text()
    for reason in reasons:
        assert page.count(f"\n## {reason.name}\n") == 1
        assert page.count(f"\n| [`{reason.name}`](#{reason.name.lower()}) |") == 1


def test_pages_that_are_named_are_there(reasons: list[Reason]) -> None:
    texts = [block["text"] for reason in reasons for block in reason.what_to_do if "text" in block]
    named = {name for text in texts for name in re.findall(r"`(docs/[^`]+)`", text)}
    assert named
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_what_is_said_is_read_in_its_parts() -> None:
    reason = error_pages.read_reason("BAD_REQUEST", WELL)
    assert (reason.meaning, reason.retry, reason.how, reason.mended_by) == (
        ["It is wrong."],
        True,
        "after `Retry-After`",
        "the caller",
    )
    assert reason.what_to_do == [{"text": "Mend it."}, {"command": "curl -v"}, {"text": "Then try again."}]
    assert (reason.status, reason.http_status) == ("INVALID_ARGUMENT", 400)


@pytest.mark.parametrize(
    ("part", "instead"),
    [
        (' {"reason": "BAD_REQUEST", "domain": "penstock.dev"}', ""),
        ("It is wrong.", ""),
        ("BAD_REQUEST", "TOO_LARGE"),
        ("penstock.dev", "example.com"),
        ('"domain"', '"region"'),
        ("Retry: yes", "Retry: perhaps"),
        (" Mended by: the caller.", ""),
        ("What to do: ", ""),
    ],
)
def test_another_form_is_refused(part: str, instead: str) -> None:
    with pytest.raises(ValueError, match="BAD_REQUEST: its"):
        error_pages.read_reason("BAD_REQUEST", WELL.replace(part, instead))
