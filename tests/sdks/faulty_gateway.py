"""A gateway before the gateway, at which things go wrong by plan, as they do in networks, proxies and busy servers."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.sdks.faults import Fault, Kind
from tests.sdks.messages import Head, read_body, read_head
from tests.sdks.relays import PREFACE_FIRST, ConnectionLostError, Relay

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.sdks.faults import Plan

_TIMEOUT_S = 30.0
#: How late a slow answer is, and how long nothing comes between its parts.
_LATE_S, _PAUSE_S, _PARTS = 0.2, 0.05, 4
#: Longer than what clients are given in tests, and shorter than anyone wants to wait for those that are given more.
STALL_S = 1.5
RETRY_AFTER_S = 1
_BODYLESS = (204, 304)
_BLANK = b"\n\n"
_READ_BYTES = 65_536
_HEAD_BYTES = 256 * 1024
_REFUSED = {
    Fault.LIMITED: (429, "Too Many Requests", "RESOURCE_EXHAUSTED", "RATE_LIMITED"),
    Fault.UNAVAILABLE: (503, "Service Unavailable", "UNAVAILABLE", "UNAVAILABLE"),
}
#: What the log has for a stream of HTTP/2, of which no more is known.
_RPC = Head("RPC", ())
_PAGE = b"<html><body><h1>502 Bad Gateway</h1></body></html>"


class FaultyGateway:
    """The proxy, and what it has done.

    Args:
        target: The URL of what stands behind it; HTTP without TLS.
        plan: What becomes of which request. May be replaced at any time.
        elsewhere: Addresses that answers lead to, and what they are to lead to instead.
        knows_itself: Whether what stands behind it is told its own address, for which links are signed, in place of the
            one that the client has asked.
    """

    def __init__(
        self, target: str, plan: Plan, *, elsewhere: Mapping[str, str] | None = None, knows_itself: bool = False
    ) -> None:
        self.plan = plan
        self.url = ""
        #: How many requests each fault was done to, and None to how many nothing was.
        self.done = Counter[Fault | None]()
        #: Each request that came, and what was done to it, in order.
        self.log: list[tuple[str, Fault | None]] = []
        parts = urlsplit(target)
        self._target = (parts.hostname or "", parts.port or 80)
        self._host = parts.netloc if knows_itself else ""
        self._elsewhere = {old.encode(): new.encode() for old, new in (elsewhere or {}).items()}
        self._server: asyncio.Server | None = None
        self._connections = set[asyncio.Task[None]]()

    async def serve(self) -> None:
        """Listens on a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_HEAD_BYTES)
        self.url = "http://{}:{}".format(*self._server.sockets[0].getsockname()[:2])

    async def close(self) -> None:
        """Ends what is still going on."""
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._connected(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # One that goes away, or breaks off, is what this is about: there is nobody to be told.
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether the connection is good for another one."""
        request = await read_head(reader)
        if request.first == PREFACE_FIRST:
            return await self._relay(reader, writer)
        kind = Kind.of(request.target)
        fault = self.plan.next(kind)
        if fault is Fault.RESET_BEFORE:
            self._count(request, fault)
            return _reset(writer)
        body = await read_body(reader, request)
        if fault in _REFUSED:
            self._count(request, fault)
            writer.write(_refusal(fault))
            await writer.drain()
            return True
        behind, onward = await asyncio.open_connection(*self._target, limit=_HEAD_BYTES)
        try:
            onward.write(self._onward(request).encode() + body)
            await onward.drain()
            answer = (await read_head(behind)).onward()
            if answer.get("content-type").startswith("text/event-stream"):
                return await self._stream(request, fault, behind, answer, writer)
            has_body = answer.status not in _BODYLESS and not request.first.startswith("HEAD ")
            content = await read_body(behind, answer, to_the_end=True) if has_body else b""
        finally:
            onward.close()
        answer, content = self._led_elsewhere(answer, content)
        if not answer.get("transfer-encoding") and has_body:
            answer = answer.changed(content_length=str(len(content)))
        if fault is Fault.STALLED:
            self._count(request, fault)
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(1), STALL_S)  # which the client's going away ends
            return _reset(writer)
        return await self._answer(request, fault, answer, content, writer)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """A connection of gRPC's, to its end."""
        behind, onward = await asyncio.open_connection(*self._target)
        relay = Relay(
            lambda: self.plan.next(Kind.RPC),
            lambda fault: self._count(_RPC, fault),
            late_s=_LATE_S,
            stall_s=STALL_S,
            retry_after_s=RETRY_AFTER_S,
        )
        try:
            await relay.run((reader, writer), (behind, onward))
        except ConnectionLostError:
            _reset(writer)
        finally:
            onward.close()
        return False

    async def _answer(
        self, request: Head, fault: Fault | None, answer: Head, content: bytes, writer: asyncio.StreamWriter
    ) -> bool:
        """Passes an answer on, or what the fault leaves of it; whether the connection is good for another one."""
        if (fault is Fault.HALF and not content) or (fault is Fault.CUT and not (content and _is_plain_json(answer))):
            fault = None  # there is nothing that could be done to it
        self._count(request, fault)
        match fault:
            case Fault.RESET_AFTER:
                return _reset(writer)
            case Fault.SLOW:
                await asyncio.sleep(_LATE_S)
                await _by_and_by(writer, answer.encode() + content)
                return True
            case Fault.HALF:
                writer.write(answer.encode() + content[: len(content) // 2])
                await writer.drain()
                return False
            case Fault.CUT:
                content = content[: len(content) // 2]
                answer = answer.changed(content_length=str(len(content)))
            case Fault.FOREIGN:
                told = (("content-type", "text/html"), ("content-length", str(len(_PAGE))))
                answer, content = Head("HTTP/1.1 502 Bad Gateway", told), _PAGE
            case _:
                pass
        writer.write(answer.encode() + content)
        await writer.drain()
        return True

    async def _stream(
        self,
        request: Head,
        fault: Fault | None,
        behind: asyncio.StreamReader,
        answer: Head,
        writer: asyncio.StreamWriter,
    ) -> bool:
        """Passes on what comes, as it comes, for as long as the fault allows."""
        if fault is Fault.RESET_AFTER:
            self._count(request, fault)
            return _reset(writer)
        if fault is Fault.SLOW:
            await asyncio.sleep(_LATE_S)
        self._count(request, fault)
        writer.write(answer.encode())
        seen = b""
        while data := await behind.read(_READ_BYTES):
            event_ends = _event_ends(seen := seen + data) if fault is Fault.BROKEN else 0
            writer.write(data[: event_ends - len(seen)] if event_ends and event_ends < len(seen) else data)
            await writer.drain()
            if event_ends:
                return False
        return bool(answer.get("transfer-encoding"))

    def _onward(self, request: Head) -> Head:
        told = request.onward(connection="close", host=self._host or request.get("host"))
        # An answer in which addresses are to be changed has to be one that can be read.
        return told.changed("accept-encoding") if self._elsewhere and "/uploads" in request.target else told

    def _led_elsewhere(self, answer: Head, content: bytes) -> tuple[Head, bytes]:
        for old, new in self._elsewhere.items():
            if location := answer.get("location"):
                answer = answer.changed(location=location.replace(old.decode(), new.decode()))
            if _is_plain_json(answer) and old in content:
                content = content.replace(old, new)
                answer = answer.changed(content_length=str(len(content)))
        return answer, content

    def _count(self, request: Head, fault: Fault | None) -> None:
        self.done[fault] += 1
        self.log.append((request.first, fault))


@contextmanager
def faulty_gateway(
    target: str, plan: Plan, *, elsewhere: Mapping[str, str] | None = None, knows_itself: bool = False
) -> Iterator[FaultyGateway]:
    """Runs one in a thread of its own."""
    gateway = FaultyGateway(target, plan, elsewhere=elsewhere, knows_itself=knows_itself)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="faulty-gateway", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(gateway.serve(), loop).result(_TIMEOUT_S)
        try:
            yield gateway
        finally:
            asyncio.run_coroutine_threadsafe(gateway.close(), loop).result(_TIMEOUT_S)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_TIMEOUT_S)
        loop.close()


def _reset(writer: asyncio.StreamWriter) -> bool:
    """Ends a connection so that the other end hears of an error (RST instead of FIN)."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False


async def _by_and_by(writer: asyncio.StreamWriter, data: bytes) -> None:
    step = max(1, len(data) // _PARTS)
    for at in range(0, len(data), step):
        writer.write(data[at : at + step])
        await writer.drain()
        await asyncio.sleep(_PAUSE_S)


def _refusal(fault: Fault) -> bytes:
    """Just what the gateway says in such a case."""
    code, phrase, status, reason = _REFUSED[fault]
    details = [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "penstock.dev"},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{RETRY_AFTER_S}s"},
    ]
    message = f"{phrase}: by plan; try again in {RETRY_AFTER_S} s"
    body = json.dumps({"error": {"code": code, "status": status, "message": message, "details": details}}).encode()
    told = (
        ("content-type", "application/json"),
        ("retry-after", str(RETRY_AFTER_S)),
        ("content-length", str(len(body))),
    )
    return Head(f"HTTP/1.1 {code} {phrase}", told).encode() + body


def _event_ends(seen: bytes) -> int:
    """Where the first event of a stream ends, beyond what only keeps it open; 0 where it has not yet."""
    begins = seen.find(b"data:")
    return seen.find(_BLANK, begins) + len(_BLANK) if begins >= 0 and seen.find(_BLANK, begins) >= 0 else 0


def _is_plain_json(answer: Head) -> bool:
    """Whether an answer is JSON that stands there as it is."""
    kind, coding = answer.get("content-type"), answer.get("content-encoding")
    return kind.startswith("application/json") and not coding and not answer.get("transfer-encoding")
