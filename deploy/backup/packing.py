"""Streams of bytes: packed, unpacked, measured, as they pass."""

from __future__ import annotations

import hashlib
import zlib
from typing import TYPE_CHECKING

from deploy.backup.errors import DamagedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

#: A step more would take twice the time for a tenth of the size.
_LEVEL = 1
#: That the stream has gzip's header, and not zlib's own.
_GZIP = 16 + zlib.MAX_WBITS
#: Unpacked at a time at most, whatever a file says.
_PIECE_BYTES = 1024 * 1024


class Meter:
    """Counts and digests what passes."""

    def __init__(self) -> None:
        self.bytes = 0
        self._digest = hashlib.sha256()

    async def through(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
        """The chunks as they are."""
        async for chunk in chunks:
            self.bytes += len(chunk)
            self._digest.update(chunk)
            yield chunk

    @property
    def sha256(self) -> str:
        """Of all that has passed."""
        return self._digest.hexdigest()


async def packed(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """The same as gzip has it."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    async for chunk in chunks:
        if out := packer.compress(chunk):
            yield out
    yield packer.flush()


async def unpacked(chunks: AsyncIterator[bytes], *, what: str) -> AsyncGenerator[bytes]:
    """What was packed.

    Args:
        chunks: As gzip has them.
        what: The file, for who reads what is wrong with it.

    Raises:
        DamagedError: It was never packed so, or lacks its end.
    """
    unpacker = zlib.decompressobj(_GZIP)
    try:
        async for chunk in chunks:
            rest = chunk
            while rest:
                yield unpacker.decompress(rest, _PIECE_BYTES)
                rest = unpacker.unconsumed_tail
        yield unpacker.flush()
    except zlib.error as error:
        raise DamagedError(f"{what} cannot be unpacked: {error}") from error
    if not unpacker.eof:
        raise DamagedError(f"{what} cannot be unpacked: its end is missing")
