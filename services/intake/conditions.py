"""What a reader asks for who does not want all of some content: a part of it, or what is new (RFC 9110, 13 and 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import RangeNotSatisfiable

if TYPE_CHECKING:
    from collections.abc import Mapping

#: An entity tag, and a `W/` before it where it is weak (8.8.3).
_ENTITY_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
#: One range of bytes (14.1.2). A number of more digits than any content has is taken for malformed.
_BYTE_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,40})-([0-9]{0,40})[ \t]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of some content: its first and its last byte, and how many there are in all."""

    first: int
    last: int
    size: int

    @property
    def content_range(self) -> str:
        """As the header `Content-Range` has it (14.4)."""
        return f"bytes {self.first}-{self.last}/{self.size}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The headers that ask for less than all of the content; empty where they were not sent."""

    if_none_match: str = ""
    range: str = ""
    if_range: str = ""

    @classmethod
    def read(cls, metadata: Mapping[str, str]) -> Conditions:
        """Those of a call."""
        return cls(
            if_none_match=metadata.get("if-none-match", ""),
            range=metadata.get("range", ""),
            if_range=metadata.get("if-range", ""),
        )

    def knows(self, etag: str) -> bool:
        """Whether the reader has the content of this strong entity tag already (13.1.2)."""
        return self.if_none_match.strip() == "*" or etag in _ENTITY_TAG.findall(self.if_none_match)

    def part(self, etag: str, size: int) -> Part | None:
        """The part that is asked for, or None for all of it.

        A range that is malformed or of another unit, and several of them, are answered with all of the content, as 14.2
        allows; so is one that is asked for only if the content is still another one (13.1.5), or still that of a date.

        Args:
            etag: The content's strong entity tag.
            size: Bytes of the content.

        Raises:
            RangeNotSatisfiable: The content has nothing of it.
        """
        asked = _BYTE_RANGE.fullmatch(self.range)
        if asked is None or (self.if_range and self.if_range.strip() != etag):
            return None
        first, last = asked.groups()
        if not first:
            return _suffix(last, size)
        if last and int(last) < int(first):
            return None
        if int(first) >= size:
            raise _not_satisfiable(self.range, size)
        return Part(first=int(first), last=min(int(last), size - 1) if last else size - 1, size=size)


def _suffix(length: str, size: int) -> Part | None:
    """The last bytes; all of content that has none cannot be told as a part."""
    if not length:
        return None
    if int(length) == 0:
        raise _not_satisfiable(f"bytes=-{length}", size)
    return Part(first=max(0, size - int(length)), last=size - 1, size=size) if size else None


def _not_satisfiable(asked: str, size: int) -> RangeNotSatisfiable:
    return RangeNotSatisfiable(
        f"the range {asked} has nothing of the {size} bytes of the result; ask for bytes from 0 to {size - 1}"
        if size
        else f"the range {asked} has nothing of the result, which is empty; leave the header Range out",
        metadata={"size": str(size)},
    )
