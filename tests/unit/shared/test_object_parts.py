"""In which parts objects go to the store whose size is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.objects import streams

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest


async def _chunks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"12345678"


async def test_parts_grow_so_that_large_objects_have_no_more_than_a_store_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {"PART_BYTES": 10, "SMALL_PARTS": 3, "LARGE_PART_BYTES": 20}.items():
        monkeypatch.setattr(streams, name, value)
    assert [len(part) async for part in streams._parts(_chunks(12))] == [10, 10, 10, 20, 20, 20, 6]


def test_ten_thousand_parts_hold_what_is_promised() -> None:
    most = streams.SMALL_PARTS * streams.PART_BYTES + (10_000 - streams.SMALL_PARTS) * streams.LARGE_PART_BYTES
    assert most > 440 * 1024**3
