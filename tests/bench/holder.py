"""A process that holds many calls open at a time: told which on its standard input, answers with how they ended.

`python -m tests.bench.holder` reads one line of JSON, says `ready`, opens its connections at the next line, and, when
each of its jobs has been seen to end, or time is up, writes what came of them to the file that it was told of and says
`done`. A connection here is a client of HTTP/1.1 that waits for one job (`:wait`, asked again where it was answered
before the end) or watches it (`:watch`).
"""

from __future__ import annotations

import asyncio
import gc
import json
import re
import resource
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import uvloop

from tests.bench.http1 import get, is_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Connections that are opened in a second. Faster than they can be let in they would queue before auth, which is a
#: gateway's first moment after its restart and not what is measured.
_OPENED_PER_S = 500
#: Before a client calls again that was refused because the mesh was busy.
_REFUSED_PAUSE_S = 1.0
_FINISHED = re.compile(rb'"finishedAt": ?"([^"]+)"')
#: Of errors, and of refusals.
_MAX_SAMPLES = 3
_OK = b"HTTP/1.1 200"
_BUSY = b"HTTP/1.1 503"
#: What is kept of a stream to find the end in: more than the head of an answer and the last event.
_KEPT_BYTES = 8192


@dataclass(slots=True)
class Ends:
    """How the calls of this process ended.

    Args:
        number: Of calls.
    """

    number: int
    #: From the time at which a job ended, as its answer says, to the answer.
    latencies_ms: list[float] = field(default_factory=list)
    #: Waits that were answered before the job's end, and made again.
    repeated: int = 0
    #: Calls that were refused because the mesh was busy, and made again.
    refused: int = 0
    errors: int = 0
    #: What a few of the errors and refusals were.
    samples: list[str] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def ended(self, finished_at: bytes, now: float) -> None:
        """A client has seen its job's end."""
        self.latencies_ms.append((now - datetime.fromisoformat(finished_at.decode()).timestamp()) * 1000)
        self._note()

    def failed(self, error: str) -> None:
        """A client was left without its job's end."""
        self.errors += 1
        if self.errors <= _MAX_SAMPLES:
            self.samples.append(error)
        self._note()

    def _note(self) -> None:
        if len(self.latencies_ms) + self.errors == self.number:
            self.over.set()


class HeldCall(asyncio.Protocol):
    """One client, and its one connection.

    Args:
        ends: Is told of its end.
        request: Made at once, and again where its answer is not of the job's end.
    """

    def __init__(self, ends: Ends, request: bytes) -> None:
        self._ends = ends
        self._request = request
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._done = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Calls."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        """The call has failed, unless it is over."""
        self._end(f"the connection was lost: {exc}")

    def data_received(self, data: bytes) -> None:
        """Takes a part of the answer, and looks for the job's end in it."""
        now = time.time()
        self._buffer += data
        if not self._buffer.startswith(_OK):
            self._take_refusal()
            return
        finished = _FINISHED.search(self._buffer)
        if finished is not None and not self._done:
            self._done = True
            self._ends.ended(finished[1], now)
        if is_whole(self._buffer):
            if self._done:
                self._close()
            else:
                self._ends.repeated += 1
                self._call_again()
        elif len(self._buffer) > 2 * _KEPT_BYTES:
            self._buffer = _OK + self._buffer[-_KEPT_BYTES:]

    def _take_refusal(self) -> None:
        if not is_whole(self._buffer):
            return
        if not self._buffer.startswith(_BUSY):
            self._end(self._buffer[:400].decode(errors="replace"))
            return
        self._ends.refused += 1
        if self._ends.refused <= _MAX_SAMPLES:
            self._ends.samples.append(self._buffer[-400:].decode(errors="replace"))
        asyncio.get_running_loop().call_later(_REFUSED_PAUSE_S, self._call_again)

    def _call_again(self) -> None:
        self._buffer = b""
        if self._transport is not None:
            self._transport.write(self._request)

    def _end(self, error: str) -> None:
        if not self._done:
            self._done = True
            self._ends.failed(error)
        self._close()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            self._transport = None


async def _hold(order: dict[str, Any]) -> dict[str, Any]:
    authority: str = order["address"]
    requests = [get(path, authority, order["key"]) for path in order["paths"]]
    ends = Ends(len(requests))
    _say("ready")
    sys.stdin.readline()
    gc.disable()  # a pause of the clients would be taken for one of the mesh
    before = _cpu_s()
    await _open(authority, requests, ends)
    try:
        async with asyncio.timeout(order["seconds"]):
            await ends.over.wait()
    except TimeoutError:
        missing = ends.number - len(ends.latencies_ms) - ends.errors
        ends.errors += missing
        ends.samples.append(f"{missing} jobs were not seen to end")
    return {
        "ended": len(ends.latencies_ms),
        "repeated": ends.repeated,
        "refused": ends.refused,
        "errors": ends.errors,
        "samples": ends.samples,
        "latencies_ms": [round(latency, 2) for latency in ends.latencies_ms],
        "cpu_s": _cpu_s() - before,
    }


async def _open(authority: str, requests: Sequence[bytes], ends: Ends) -> None:
    host, _, port = authority.rpartition(":")
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def connect(number: int, request: bytes) -> None:
        await asyncio.sleep(began + number / _OPENED_PER_S - loop.time())
        try:
            await loop.create_connection(lambda: HeldCall(ends, request), host, int(port))
        except OSError as error:
            ends.failed(f"no connection: {error}")

    await asyncio.gather(*(connect(number, request) for number, request in enumerate(requests)))


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a connection is a file
    _order = json.loads(sys.stdin.readline())
    _answer = uvloop.run(_hold(_order))
    Path(_order["answer"]).write_text(json.dumps(_answer), encoding="utf-8")
    _say("done")
