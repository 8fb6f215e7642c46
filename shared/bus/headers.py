"""The headers of messages, unread until somebody asks for one: of most messages nobody ever does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

from nats.aio.client import Client as NatsClient


class UnreadHeaders(Mapping[str, str]):
    """Reads them at the first question.

    Args:
        raw: Lines of `Name: value`.
    """

    __slots__ = ("_raw", "_read")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._read: dict[str, str] | None = None

    def _known(self) -> dict[str, str]:
        if self._read is None:
            lines = (line.partition(":") for line in self._raw.decode(errors="replace").split("\r\n"))
            self._read = {name.strip(): value.strip() for name, colon, value in lines if colon}
        return self._read

    def __getitem__(self, name: str) -> str:
        """One header."""
        return self._known()[name]

    def __iter__(self) -> Iterator[str]:
        """Their names."""
        return iter(self._known())

    def __len__(self) -> int:
        """How many there are."""
        return len(self._known())

    def __bool__(self) -> bool:
        """That there are some, for which they need not be read."""
        return True


class Client(NatsClient):
    """The driver's client, which would read every header of every message: half of what a message costs it.

    Should the driver come to read them elsewhere, this costs that time again, and nothing else.
    """

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        return cast("dict[str, str]", UnreadHeaders(raw))  # whom it gives them to only asks
