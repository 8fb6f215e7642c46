"""One connection over HTTP/2, passed on frame by frame: how things go wrong for gRPC (RFC 9113)."""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress
from typing import TYPE_CHECKING

from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from tests.frames import (
    CANCEL,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    RST_STREAM,
    WINDOW_UPDATE,
    Frame,
    fields,
    frame,
)
from tests.sdks.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

#: What remains of the preface behind what reads as a head of HTTP/1.1.
_PREFACE_HEAD, _PREFACE_REST = b"PRI * HTTP/2.0\r\n\r\n", b"SM\r\n\r\n"
PREFACE_FIRST = "PRI * HTTP/2.0"
_FRAME_HEADER_BYTES = 9
_ANSWERS = (HEADERS, DATA)
_REFUSED = {Fault.LIMITED: (8, "RATE_LIMITED"), Fault.UNAVAILABLE: (14, "UNAVAILABLE")}


class ConnectionLostError(Exception):
    """The connection is to be reset, with all streams that are on it."""


class Relay:
    """A client's connection, and the one behind it.

    Fields of headers refer to those of headers before (RFC 7541), so all headers pass, in order; whoever is not to hear
    of a request is told at once that it is canceled, before its message.

    Args:
        deal: What becomes of the next stream.
        count: Told of what was done to a stream.
        late_s: How late a slow answer is.
        stall_s: How long an answer is waited for that never comes.
        retry_after_s: When whoever is refused is to come again.
    """

    def __init__(
        self,
        deal: Callable[[], Fault | None],
        count: Callable[[Fault | None], None],
        *,
        late_s: float,
        stall_s: float,
        retry_after_s: int,
    ) -> None:
        self._deal = deal
        self._count = count
        self._late_s = late_s
        self._stall_s = stall_s
        self._retry_after_s = retry_after_s
        self._faults = dict[int, Fault | None]()
        self._refused = set[int]()
        self._slowed = set[int]()

    async def run(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        behind: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        """Passes frames on until either end is done.

        Raises:
            ConnectionLostError: It is to be reset.
        """
        behind[1].write(_PREFACE_HEAD + await client[0].readexactly(len(_PREFACE_REST)))
        ways = {asyncio.create_task(self._up(client, behind[1])), asyncio.create_task(self._down(behind[0], client[1]))}
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in done:
                way.result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _up(
        self, client: tuple[asyncio.StreamReader, asyncio.StreamWriter], onward: asyncio.StreamWriter
    ) -> None:
        reader, back = client
        while sent := await _read(reader):
            if sent.kind == HEADERS and sent.stream not in self._faults:
                fault = self._faults[sent.stream] = self._deal()
                if fault is Fault.RESET_BEFORE:
                    self._count(fault)
                    raise ConnectionLostError
                if fault in _REFUSED:
                    self._count(fault)
                    self._refused.add(sent.stream)
                    onward.write(_written(sent) + frame(RST_STREAM, 0, sent.stream, CANCEL.to_bytes(4, "big")))
                    back.write(self._refusal(sent.stream, fault))
                    continue
            if sent.stream in self._refused:
                if sent.kind == DATA and sent.payload:  # which would have been read
                    back.write(frame(WINDOW_UPDATE, 0, 0, len(sent.payload).to_bytes(4, "big")))
                continue
            onward.write(_written(sent))
            await onward.drain()

    async def _down(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        while got := await _read(reader):
            if got.stream in self._refused:
                if got.kind == HEADERS:
                    raise ConnectionLostError
                continue
            fault = self._faults.get(got.stream) if got.kind in _ANSWERS else None
            if fault in {Fault.RESET_AFTER, Fault.STALLED}:
                self._count(fault)
                await asyncio.sleep(self._stall_s if fault is Fault.STALLED else 0)
                raise ConnectionLostError
            if fault is Fault.SLOW:
                self._count(fault)
                self._faults[got.stream] = None
                self._slowed.add(got.stream)
                await asyncio.sleep(self._late_s)
            breaks = fault in {Fault.HALF, Fault.BROKEN} and got.kind == DATA
            if breaks or (got.ends and got.stream in self._faults and got.stream not in self._slowed):
                self._count(fault if breaks else None)
            back.write(_written(got))
            await back.drain()
            if breaks:
                return

    def _refusal(self, stream: int, fault: Fault) -> bytes:
        code, reason = _REFUSED[fault]
        told = status_pb2.Status(code=code, message="refused by plan")
        for detail in (
            error_details_pb2.ErrorInfo(reason=reason, domain="penstock.dev"),
            error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=self._retry_after_s)),
        ):
            packed = any_pb2.Any()
            packed.Pack(detail)
            told.details.append(packed)
        trailers = fields(
            (
                (":status", "200"),
                ("content-type", "application/grpc"),
                ("grpc-status", str(code)),
                ("grpc-message", told.message),
                ("grpc-status-details-bin", base64.b64encode(told.SerializeToString()).decode()),
            )
        )
        return frame(HEADERS, END_HEADERS | END_STREAM, stream, trailers)


async def _read(reader: asyncio.StreamReader) -> Frame | None:
    """The next frame; None when the connection has ended."""
    with suppress(asyncio.IncompleteReadError):
        head = await reader.readexactly(_FRAME_HEADER_BYTES)
        payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
        return Frame(head[3], head[4], int.from_bytes(head[5:], "big"), payload)
    return None


def _written(whole: Frame) -> bytes:
    return frame(whole.kind, whole.flags, whole.stream, whole.payload)
