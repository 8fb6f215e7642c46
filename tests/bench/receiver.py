"""A receiver of webhooks: takes every POST, and says when so many different messages have come.

`python -m tests.bench.receiver` says on which port it listens. For each line with a number on its standard input it
answers, when so many have come since, with what they were, as JSON. It is a process of its own so that it has a core of
its own where there is one, and reads no more of HTTP/1.1 (RFC 9112) than it must.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import sys
import time
from typing import cast

import uvloop

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ID = re.compile(rb"\r\nwebhook-id: *([^\r]+)", re.IGNORECASE)
_PATH = re.compile(rb"POST (\S+) ")
_TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"


class Counted:
    """What has come since it was last asked for."""

    def __init__(self) -> None:
        self._wanted = 0
        self._reached = asyncio.Event()
        self.clear()

    def clear(self) -> None:
        """Counts from nothing."""
        self._seen: set[tuple[bytes, bytes]] = set()
        self._posts = self._bytes = 0
        self._first = self._last = 0.0
        self._cpu_s = _cpu_s()

    def add(self, path: bytes, message: bytes, size: int) -> None:
        """Counts a POST of a message to a path."""
        self._last = time.perf_counter()
        self._first = self._first or self._last
        self._posts += 1
        self._bytes += size
        self._seen.add((path, message))
        if len(self._seen) >= self._wanted > 0:
            self._reached.set()

    async def wait_for(self, number: int) -> dict[str, float]:
        """What so many different messages were, when they have come; then it counts from nothing."""
        self._wanted = number
        self._reached.clear()
        if len(self._seen) < number:
            await self._reached.wait()
        self._wanted = 0
        found = {
            "messages": len(self._seen),
            "posts": self._posts,
            "seconds": self._last - self._first,
            "bytes_each": self._bytes / self._posts,
            "cpu_s": _cpu_s() - self._cpu_s,
        }
        self.clear()
        return found


class Connection(asyncio.Protocol):
    """One connection of a sender.

    Args:
        counted: Is told of each POST.
    """

    def __init__(self, counted: Counted) -> None:
        self._counted = counted
        self._data = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answers each request that is whole."""
        self._data += data
        while (end := self._data.find(_END_OF_HEAD)) >= 0:
            head = bytes(self._data[: end + 2])
            length = _LENGTH.search(head)
            size = int(length[1]) if length is not None else 0
            whole = end + len(_END_OF_HEAD) + size
            if len(self._data) < whole:
                return
            del self._data[:whole]
            path, message = _PATH.match(head), _ID.search(head)
            self._counted.add(path[1] if path else b"", message[1] if message else b"", size)
            self._transport.write(_TAKEN)


async def _receive() -> None:
    counted = Counted()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(counted), "127.0.0.1", 0)
    _say(str(server.sockets[0].getsockname()[1]))
    while line := await asyncio.to_thread(sys.stdin.readline):
        _say(json.dumps(await counted.wait_for(int(line))))


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(_receive())
