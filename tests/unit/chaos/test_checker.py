"""The checker finds each thing that must not be, and nothing in a run where all is well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.checker import Story, Submitted, Told, contradictions

END: dict[str, Any] = {"id": "http-1", "state": "SUCCEEDED", "revision": "3", "attempt": 1}
GOOD = Story(
    submitted={1: Submitted(post=True, callback=True)},
    told=[
        Told(number=1, job_id="http-1", state="QUEUED", revision=1),
        Told(number=1, job_id="http-1", state="SUCCEEDED", revision=3),
    ],
    history=[END],
    calls={1: 1},
    callbacks={"http-1": ["SUCCEEDED"]},
    ends={"http-1": [3, 3]},
    fences={"http-1": ["1.1"]},
)


def test_a_run_in_which_all_is_well_has_no_contradiction() -> None:
    assert contradictions(GOOD) == []
    in_a_batch = replace(
        GOOD,
        history=[END | {"batchId": "batch_1"}],
        batches={"batch_1": [1]},
        batch_ends={"batch_1": [{"succeeded": 1}, {"succeeded": 1}]},
    )
    assert contradictions(in_a_batch) == []


@pytest.mark.parametrize(
    ("changed", "contradiction"),
    [
        ({"history": []}, "is not in history"),
        ({"history": [END, END]}, "is in history 2 times"),
        ({"history": [END, END | {"id": "http-2"}]}, "no client was told of it"),
        ({"history": [END | {"state": "RUNNING"}]}, "will not end"),
        ({"history": [END | {"state": "FAILED"}]}, "and it ended FAILED"),
        ({"history": [END | {"revision": "2"}]}, "which ended with 2"),
        ({"told": []}, "was never accepted"),
        ({"told": [*GOOD.told, replace(GOOD.told[0], job_id="http-9")]}, "was accepted as http-1 and as http-9"),
        ({"told": [*GOOD.told, replace(GOOD.told[1], state="FAILED")]}, "is FAILED, and it ended SUCCEEDED"),
        ({"told": [*GOOD.told, replace(GOOD.told[1], state="RUNNING")]}, "is RUNNING to a client"),
        ({"calls": {}}, "saw no call"),
        ({"calls": {1: 2}}, "saw 2 calls"),
        ({"callbacks": {}}, "never arrived"),
        ({"callbacks": {"http-1": ["FAILED"]}}, "told FAILED"),
        ({"fences": {}}, "begun under [], and the far end saw 1 calls"),
        ({"fences": {}, "calls": {}}, "its fences are []"),
        ({"ends": {"http-1": [3, 4]}}, "2 ends in the log"),
        ({"ends": {}}, "0 ends in the log"),
        ({"ends": {"http-1": [2]}}, "history holds 3"),
        ({"fences": {"http-1": ["1.1", "1.2"]}}, "its fences are"),
        ({"submitted": {1: Submitted(post=True, callback=False)}}, "asked for no callback"),
        ({"batches": {"batch_1": [1]}}, "http-1 is not of batch_1"),
        ({"batches": {"batch_1": [1]}}, "the callback of batch_1 never arrived"),
        (
            {"batches": {"batch_1": [1]}, "batch_ends": {"batch_1": [{"outcomeUnknown": 1}]}},
            "told {'outcomeUnknown': 1}, and it ended {'succeeded': 1}",
        ),
    ],
)
def test_each_contradiction_is_found(changed: dict[str, Any], contradiction: str) -> None:
    found = contradictions(replace(GOOD, **changed))
    assert any(contradiction in each for each in found), found


def test_an_idempotent_job_never_has_an_unknown_outcome() -> None:
    end = END | {"state": "OUTCOME_UNKNOWN"}
    story = replace(
        GOOD, submitted={1: Submitted(post=False, callback=False)}, callbacks={}, history=[end], told=GOOD.told[:1]
    )
    assert contradictions(story) == ["http-1 is idempotent, and its outcome is unknown"]


@pytest.mark.parametrize(("calls", "fine"), [(0, True), (1, False)])
def test_a_post_that_was_marked_and_not_begun_ends_unknown_and_uncalled(calls: int, *, fine: bool) -> None:
    end = END | {"state": "OUTCOME_UNKNOWN"}
    told = [*GOOD.told[:1], replace(GOOD.told[1], state="OUTCOME_UNKNOWN")]
    callbacks = {"http-1": ["OUTCOME_UNKNOWN"]}
    story = replace(GOOD, history=[end], told=told, callbacks=callbacks, fences={}, calls={1: calls})
    assert (contradictions(story) == []) is fine
