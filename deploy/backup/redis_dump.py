"""What Redis holds at one moment, as its primary sends it to a replica that comes: this is one, and leaves again.

The server forks, and what it sends is the state of that moment (an RDB), while it goes on with its work. It tells the
length first, or, where it sends without a file of its own (`repl-diskless-sync`), a mark that comes again at the end.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from deploy.backup import resp
from deploy.backup.errors import BackupError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from deploy.backup.resp import Connection
    from shared.config import Secret

_CHUNK_BYTES = 256 * 1024
_MARK = b"EOF:"
_MARK_BYTES = 40
#: For the next bytes to come.
_STALL_S = 60.0


@asynccontextmanager
async def opened(url: Secret) -> AsyncGenerator[tuple[str, AsyncIterator[bytes]]]:
    """The server's version, and the bytes of its RDB as they come.

    Args:
        url: Of the server or a replica of it. Its user needs `+info +psync +sync +replconf`, and no keys.

    Raises:
        OSError: The server is away; also in the middle.
        BackupError: It refuses.
    """
    connection = await resp.connect(url)
    try:
        info = await connection.ask("INFO", "server")
        version = resp.field_of(info, "valkey_version", "redis_version")
        await connection.ask("REPLCONF", "capa", "eof", "capa", "psync2")
        await _ask_for_no_more(connection)
        await connection.ask("PSYNC", "?", "-1")
        header = await connection.line()
        if not header.startswith(b"$"):
            raise BackupError(f"Redis sends no copy of itself: {header[:200].decode(errors='replace')}")
        told = header[1:]
        chunks = _until_mark(connection, told[len(_MARK) :]) if told.startswith(_MARK) else _exactly(connection, told)
        yield version, chunks
    finally:
        await connection.close()


async def _ask_for_no_more(connection: Connection) -> None:
    """From Redis 7 on the server need not hold ready for us what is written meanwhile."""
    try:
        await connection.ask("REPLCONF", "rdb-only", "1")
    except BackupError:  # an older one: it holds that ready, within its client-output-buffer-limit
        return


async def _exactly(connection: Connection, told: bytes) -> AsyncGenerator[bytes]:
    left = int(told)
    while left:
        chunk = await _some(connection, min(left, _CHUNK_BYTES))
        left -= len(chunk)
        yield chunk


async def _until_mark(connection: Connection, mark: bytes) -> AsyncGenerator[bytes]:
    held = b""
    while True:
        held += await _some(connection, _CHUNK_BYTES)
        if (end := held.find(mark)) >= 0:
            yield held[:end]
            return
        yield held[:-_MARK_BYTES]
        held = held[-_MARK_BYTES:]


async def _some(connection: Connection, at_most: int) -> bytes:
    async with asyncio.timeout(_STALL_S):
        chunk = await connection.reader.read(at_most)
    if not chunk:
        raise ConnectionError("Redis has closed the connection in the middle of its copy; its log says why")
    return chunk
