"""The report: what is met, what is missed, and what is kept of a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.bench.report import Mark, Report, Row, table

if TYPE_CHECKING:
    from pathlib import Path

RATIO = Row(name="ratio_to_celery", value=3.9, unit="times", mark=Mark(value=4))
REST = Row(
    name="at_rest_cpu", value=2.0, unit="% of one core", mark=Mark(value=3, most=True), details={"nats": 0.51239}
)


def report() -> Report:
    return Report(
        size="small",
        machine={"cores": 2},
        versions={"nats": "2.15.1"},
        settings={"nats sync_interval": "always"},
        rows=[RATIO, REST],
        left_out=["batch_accepted_per_s: not yet"],
    )


def test_a_mark_is_the_least_or_the_most_that_is_good() -> None:
    least, most = Mark(value=4), Mark(value=3, most=True)
    assert [least.is_met(value) for value in (3.9, 4.0, 5.0)] == [False, True, True]
    assert [most.is_met(value) for value in (2.9, 3.0, 5.0)] == [True, False, False]


def test_a_row_says_what_it_should_come_to_and_whether_it_does() -> None:
    assert RATIO.line() == "ratio_to_celery  3.90  times  >= 4 MISSED"
    assert REST.line() == "at_rest_cpu  2.00  % of one core  < 3 met"


def test_the_text_has_every_row_and_what_was_left_out() -> None:
    text = report().text()
    assert "nats sync_interval: always" in text
    assert "ratio_to_celery" in text
    assert "nats 0.51" in text
    assert "left out: batch_accepted_per_s" in text


def test_the_file_has_the_same_with_its_marks(tmp_path: Path) -> None:
    report().write(tmp_path / "bench.json")
    kept = json.loads((tmp_path / "bench.json").read_text())
    assert kept["settings"] == {"nats sync_interval": "always"}
    assert kept["rows"][0] == {"name": "ratio_to_celery", "value": 3.9, "unit": "times", "mark": ">= 4", "met": False}
    assert kept["rows"][1]["details"] == {"nats": 0.5124}


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert table(("a", "b"), [("long", "x"), ("s", "y")]) == "a     b\nlong  x\ns     y"
