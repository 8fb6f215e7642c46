"""Where a watcher says it was left."""

from __future__ import annotations

import pytest

from services.intake.reading import read_after
from shared.errors import InvalidArgument


@pytest.mark.parametrize(
    ("field", "metadata", "after"),
    [
        (0, {}, 0),
        (3, {}, 3),
        (3, {"last-event-id": "5"}, 5),
        (3, {"last-event-id": "0"}, 0),
        (0, {"last-event-id": "9223372036854775807"}, 2**63 - 1),
    ],
)
def test_the_last_event_id_wins_over_the_field(field: int, metadata: dict[str, str], after: int) -> None:
    assert read_after(field, metadata) == after


@pytest.mark.parametrize("text", ["", "x", "-1", "1.0", " 1", "1e3", "٣", "²", "9223372036854775808", "9" * 5000])
def test_what_is_no_event_id_is_refused_under_the_headers_name(text: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        read_after(0, {"last-event-id": text})
    assert [violation.field for violation in refused.value.violations] == ["Last-Event-ID"]
    assert len(refused.value.message) < 200


def test_a_negative_revision_is_refused() -> None:
    with pytest.raises(InvalidArgument) as refused:
        read_after(-1)
    assert [violation.field for violation in refused.value.violations] == ["afterRevision"]
