"""Redis' protocol (RESP2), as far as replication speaks it."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.asyncio.connection import parse_url

from deploy.backup.errors import BackupError

if TYPE_CHECKING:
    from shared.config import Secret

#: For one answer; a server that is about to send what it holds says so by empty lines meanwhile.
TIMEOUT_S = 30.0
DEFAULT_PORT = 6379
#: Of a line, and of what is read ahead.
_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Connection:
    """Two ends of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, *command: str) -> bytes:
        """The answer to a command: a line, or a text.

        Raises:
            BackupError: The server refuses.
        """
        self.writer.write(packed(*command))
        await self.writer.drain()
        line = await self.line()
        if line.startswith(b"-"):
            raise BackupError(f"Redis refuses {command[0]}: {line[1:].decode(errors='replace')}")
        if line.startswith(b"$"):
            async with asyncio.timeout(TIMEOUT_S):
                return (await self.reader.readexactly(int(line[1:]) + 2))[:-2]
        return line[1:]

    async def line(self) -> bytes:
        """The next line that is not empty."""
        while True:
            async with asyncio.timeout(TIMEOUT_S):
                line = await self.reader.readline()
            if not line.endswith(b"\n"):
                raise ConnectionError("Redis has closed the connection")
            if stripped := line.strip():
                return stripped

    async def command(self) -> list[str]:
        """What the other end asks; empty where it has left."""
        line = await self.reader.readline()
        if not line.startswith(b"*"):
            return line.decode(errors="replace").split()
        parts: list[str] = []
        for _ in range(int(line[1:])):
            length = int((await self.reader.readline())[1:])
            parts.append((await self.reader.readexactly(length + 2))[:-2].decode(errors="replace"))
        return parts

    async def close(self) -> None:
        """Ends it."""
        self.writer.close()


async def connect(url: Secret) -> Connection:
    """A connection whose user is known to the server.

    Args:
        url: `redis[s]://[user:password@]host[:port]`.

    Raises:
        OSError: The server does not answer.
        BackupError: It refuses.
    """
    parts: dict[str, Any] = dict(parse_url(url.reveal()))
    context: ssl.SSLContext | None = None
    if url.reveal().startswith("rediss:"):
        context = ssl.create_default_context(cafile=parts.get("ssl_ca_certs"))
    async with asyncio.timeout(TIMEOUT_S):
        ends = await asyncio.open_connection(
            parts.get("host", "localhost"), parts.get("port", DEFAULT_PORT), ssl=context, limit=_LIMIT
        )
    connection = Connection(*ends)
    if password := parts.get("password"):
        user = parts.get("username")
        await connection.ask("AUTH", *((user,) if user else ()), password)
    return connection


def packed(*command: str) -> bytes:
    """A command as it goes out."""
    parts = [part.encode() for part in command]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def field_of(info: bytes, *names: str) -> str:
    """A field of what `INFO` says, the first of these that is there; empty where none is."""
    fields = dict(line.split(":", 1) for line in info.decode(errors="replace").splitlines() if ":" in line)
    return next((fields[name] for name in names if name in fields), "")
