"""Loads an RDB into a Redis: this becomes its primary for a moment, and the server its replica, as any that comes.

So nothing has to be put into the server's folder, its append-only file is written anew, and what it held before is
replaced as a whole. It comes here by its own connection, and proves by a password made for the occasion that it is the
one that was told to come. What is restored is known to be of another server: its run id and its replication id are new,
by which intake and the scheduler see that the log of jobs has to be applied (decision 10).
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from deploy.backup import resp
from deploy.backup.errors import BackupError
from deploy.backup.resp import Connection

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from shared.config import Secret

    Content = Callable[[], AbstractAsyncContextManager[AsyncIterator[bytes]]]

_POLL_S = 0.05
_PASSWORD_BYTES = 32
_RUN_ID_BYTES = 20
#: Given up after so many times that the server comes for a copy: it cannot load it.
_TRIES = 2
#: What is told to the server for the time of the load, and given back then.
_SETTINGS = ("masteruser", "masterauth")


class _Primary:
    """Plays the primary.

    Args:
        content: Opens the RDB.
        size: Its bytes.
        password: Whom it lets in.
    """

    def __init__(self, content: Content, size: int, password: str) -> None:
        self._content = content
        self._size = size
        self.password = password
        self.asked = 0
        self.failed: list[Exception] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one replica."""
        connection, known = Connection(reader, writer), False
        try:
            while command := await connection.command():
                match command[0].upper(), command[1:]:
                    case "AUTH", [*_, password]:
                        known = secrets.compare_digest(password, self.password)
                        writer.write(b"+OK\r\n" if known else b"-WRONGPASS\r\n")
                    case _ if not known and command[0].upper() != "PING":
                        writer.write(b"-NOAUTH\r\n")
                    case "PING", _:
                        writer.write(b"+PONG\r\n" if known else b"-NOAUTH\r\n")
                    case "REPLCONF", ["ACK", *_]:
                        continue
                    case (("PSYNC" | "SYNC"), _):
                        self.asked += 1
                        await self._send(connection)
                    case _:
                        writer.write(b"+OK\r\n")
                await writer.drain()
        except (OSError, ValueError, asyncio.IncompleteReadError):  # it has left, or is no replica
            return
        except Exception as error:  # noqa: BLE001  whatever it is, it is raised where the load is waited for
            self.failed.append(error)
        finally:
            writer.close()

    async def _send(self, connection: Connection) -> None:
        connection.writer.write(f"+FULLRESYNC {secrets.token_hex(_RUN_ID_BYTES)} 0\r\n${self._size}\r\n".encode())
        async with self._content() as chunks:
            async for chunk in chunks:
                connection.writer.write(chunk)
                await connection.writer.drain()


async def load(url: Secret, content: Content, *, size: int, reached_at: str = "") -> None:
    """Replaces all that a server holds; on return it is on its disk, where it keeps anything there.

    Args:
        url: Of a user that may do everything.
        content: Opens the RDB's bytes.
        size: How many there are.
        reached_at: `host:port` at which the server reaches this process; empty for the address that it is reached from.

    Raises:
        OSError: The server is away; also in the middle.
        BackupError: It refuses, or cannot load it.
    """
    connection = await resp.connect(url)
    try:
        primary = _Primary(content, size, secrets.token_urlsafe(_PASSWORD_BYTES))
        host, _, port = reached_at.rpartition(":")
        own = str(connection.writer.get_extra_info("sockname")[0])
        server = await asyncio.start_server(primary.serve, host or own, int(port or 0))
        async with server:
            at = server.sockets[0].getsockname()
            async with _replica(connection, host or own, at[1], primary):
                await _until_loaded(connection, primary)
        await _until_on_disk(connection)
    finally:
        await connection.close()


@asynccontextmanager
async def _replica(connection: Connection, host: str, port: int, primary: _Primary) -> AsyncGenerator[None]:
    before = {name: await _setting(connection, name) for name in _SETTINGS}
    try:
        await connection.ask("CONFIG", "SET", "masteruser", "")
        await connection.ask("CONFIG", "SET", "masterauth", primary.password)
        await connection.ask("REPLICAOF", host, str(port))
        yield
    finally:
        await connection.ask("REPLICAOF", "NO", "ONE")
        for name, text in before.items():
            await connection.ask("CONFIG", "SET", name, text)


async def _until_loaded(connection: Connection, primary: _Primary) -> None:
    while True:
        if primary.failed:
            raise primary.failed[0]
        info = await connection.ask("INFO", "replication")
        if primary.asked and resp.field_of(info, "master_link_status") == "up":
            return
        if primary.asked > _TRIES:
            raise BackupError("Redis does not load what it was sent, perhaps of a newer version; its log says why")
        await asyncio.sleep(_POLL_S)


async def _until_on_disk(connection: Connection) -> None:
    """Its append-only file, where it has one, is written anew after the load."""
    while True:
        info = await connection.ask("INFO", "persistence")
        at_work = [resp.field_of(info, f"aof_rewrite_{what}") for what in ("in_progress", "scheduled")]
        if "1" not in at_work:
            break
        await asyncio.sleep(_POLL_S)
    if resp.field_of(info, "aof_enabled") == "1" and resp.field_of(info, "aof_last_bgrewrite_status") != "ok":
        raise BackupError("Redis could not write its append-only file anew; its log says why")


async def keys(url: Secret) -> int:
    """How many keys a server holds in all its databases.

    Raises:
        OSError: The server is away.
    """
    connection = await resp.connect(url)
    try:
        info = (await connection.ask("INFO", "keyspace")).decode()
    finally:
        await connection.close()
    return sum(int(line.split("keys=", 1)[1].split(",", 1)[0]) for line in info.splitlines() if "keys=" in line)


async def _setting(connection: Connection, name: str) -> str:
    """A setting as it stands."""
    connection.writer.write(resp.packed("CONFIG", "GET", name))
    await connection.writer.drain()
    if await connection.line() != b"*2":
        raise BackupError(f"Redis does not tell its setting {name}")
    values: list[str] = []
    for _ in range(2):
        length = int((await connection.line())[1:])
        values.append((await connection.reader.readexactly(length + 2))[:-2].decode())
    return values[1]
