"""The errors that an RPC's comment names, and what they are answered with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from penstock.errors.v1.errors_pb2 import ErrorReason

from deploy.openapi import errors
from tests.unit.deploy.openapi import protos

if TYPE_CHECKING:
    from pathlib import Path

_SERVICE = """
message Asked {{}}
service Tried {{
  // Submits.
  // Errors: INVALID_ARGUMENT with field paths, QUEUE_FULL (too many, or too
  // fast), UNAVAILABLE.
  rpc Submit(Asked) returns (Asked);
  // Submits again.
  // Errors: {again}.
  rpc Again(Asked) returns (Asked);
}}
"""


def _named(folder: Path, again: str) -> dict[str, str]:
    contract = protos.contract(folder, _SERVICE.format(again=again))
    return errors.named(contract, contract.methods["penstock.tried.v1.Tried.Again"])


def test_each_is_read_with_what_is_said_of_it(tmp_path: Path) -> None:
    assert _named(tmp_path, "JOB_NOT_FOUND, UNAVAILABLE (later), and those of Submit") == {
        "INVALID_ARGUMENT": "with field paths",
        "QUEUE_FULL": "(too many, or too fast)",
        "UNAVAILABLE": "(later)",
        "JOB_NOT_FOUND": "",
    }


@pytest.mark.parametrize(
    ("again", "told"),
    [
        ("JOB_LOST", "Again names the error JOB_LOST"),
        ("those of Resubmit", "Again has the errors of Resubmit"),
        ("whatever comes", "'whatever comes' is not read"),
    ],
)
def test_what_is_no_error_ends_it_by_its_name(tmp_path: Path, again: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        _named(tmp_path, again)


def test_reasons_are_answered_with_the_status_of_their_error() -> None:
    statuses = errors.statuses()
    assert statuses["QUEUE_FULL"] == errors.Status("RESOURCE_EXHAUSTED", 503)
    assert statuses["JOB_NOT_FOUND"] == errors.Status("NOT_FOUND", 404)
    assert statuses["ENDPOINT_NOT_FOUND"].code == 404
    assert statuses["UNSUPPORTED_MEDIA_TYPE"].code == 415
    assert set(statuses) <= set(ErrorReason.keys())
