"""Display names: what a tenant calls a thing, for people to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import FieldViolation, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DISPLAY_NAME_CHARACTERS = 100


def display_name_violations(text: str) -> Iterator[FieldViolation]:
    """What is wrong with a display name; an empty one is none."""
    if len(text) > MAX_DISPLAY_NAME_CHARACTERS:
        yield FieldViolation(
            "displayName", f"has {len(text)} characters; at most {MAX_DISPLAY_NAME_CHARACTERS} are kept"
        )
    elif not text.isprintable():
        yield FieldViolation("displayName", f"{shown(text)} holds characters that cannot be shown; leave them out")
