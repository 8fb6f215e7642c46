"""HTTP/1.1 as a proxy has to know it: heads, and where bodies end (RFC 9112)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

_END = b"\r\n\r\n"
#: Of one connection and no further.
_HOP_BY_HOP = ("connection", "keep-alive", "proxy-connection")


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request or of an answer.

    Args:
        first: The line before the fields.
        fields: Their names, in lower case, and values, in order.
    """

    first: str
    fields: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, raw: bytes) -> Head:
        """A head as it came."""
        first, *lines = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        pairs = (line.partition(":")[::2] for line in lines)
        return cls(first, tuple((name.lower(), value.strip()) for name, value in pairs))

    @property
    def target(self) -> str:
        """A request's path and query."""
        return self.first.split(" ")[1]

    @property
    def status(self) -> int:
        """An answer's status."""
        return int(self.first.split(" ")[1])

    def get(self, name: str) -> str:
        """A field's value; empty where it is not there."""
        return next((value for each, value in self.fields if each == name), "")

    def changed(self, *without: str, **fields: str) -> Head:
        """With other fields, named with `_` for `-`, and without some."""
        names = {name.replace("_", "-"): value for name, value in fields.items()}
        kept = tuple(each for each in self.fields if each[0] not in {*without, *names})
        return Head(self.first, (*kept, *names.items()))

    def onward(self, **fields: str) -> Head:
        """What another connection is told of it."""
        return self.changed(*_HOP_BY_HOP, **fields)

    def encode(self) -> bytes:
        """As it is sent."""
        lines = (self.first, *(f"{name}: {value}" for name, value in self.fields))
        return "\r\n".join(lines).encode("latin-1") + _END


async def read_head(reader: asyncio.StreamReader) -> Head:
    """The next head.

    Raises:
        IncompleteReadError: The connection ends before.
    """
    return Head.parse(await reader.readuntil(_END))


async def read_body(reader: asyncio.StreamReader, head: Head, *, to_the_end: bool = False) -> bytes:
    """A body as it came, with the lengths of its chunks where it has such.

    Args:
        reader: Stands behind the head.
        head: The body's.
        to_the_end: Whether it ends with the connection where nothing is said of its length.

    Raises:
        IncompleteReadError: The connection ends before.
    """
    if head.get("transfer-encoding").lower() == "chunked":
        return await _read_chunks(reader)
    if length := head.get("content-length"):
        return await reader.readexactly(int(length))
    return await reader.read() if to_the_end else b""


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    raw = bytearray()
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        raw += line + await reader.readexactly(size + 2)
        if size == 0:
            return bytes(raw)
