"""A server of raw sockets that does to each connection what it is told, as a mesh and the way to it do on bad days."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

_AWAIT_S = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request that has arrived."""

    verb: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


#: What is done to a connection once its request has been read.
Reply = Callable[[socket.socket], None]


@dataclass(slots=True)
class FaultyServer:
    """Serves one request a connection, by the replies that it is given, in their order."""

    replies: list[Reply] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    _socket: socket.socket = field(init=False)

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def will(self, *replies: Reply) -> None:
        self.replies.extend(replies)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):  # whoever has gone away needs nothing more
            connection.settimeout(_AWAIT_S)
            if self.replies and self.replies[0] is reset_before:
                self.replies.pop(0)(connection)
                return
            request = _read(connection)
            if request is not None:
                self.seen.append(request)
                reply = self.replies.pop(0) if self.replies else answer(500, {"unplanned": request.target})
                reply(connection)


def reset_before(connection: socket.socket) -> None:
    """Breaks the connection before anything is read."""
    _reset(connection)


def reset_after(connection: socket.socket) -> None:
    """Breaks the connection when the request has arrived."""
    _reset(connection)


def silent(connection: socket.socket) -> None:
    """Never answers."""
    with suppress(TimeoutError):
        connection.recv(1)


def answer(status: int, said: Any, headers: Mapping[str, str] | None = None) -> Reply:
    return raw(status, json.dumps(said).encode(), {"Content-Type": "application/json", **(headers or {})})


def error(status: int, reason: str, headers: Mapping[str, str] | None = None, **more: Any) -> Reply:
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "penstock.dev", **more}
    said = {"error": {"code": status, "status": "X", "message": f"it is {reason}", "details": [info]}}
    return answer(status, said, {"X-Request-Id": "req-1", **(headers or {})})


def page(status: int, headers: Mapping[str, str] | None = None) -> Reply:
    return raw(status, b"<html>a proxy's page</html>", {"Content-Type": "text/html", **(headers or {})})


def raw(status: int, body: bytes, headers: Mapping[str, str]) -> Reply:
    return lambda connection: connection.sendall(_head(status, {"Content-Length": str(len(body)), **headers}) + body)


def half(status: int, said: Any) -> Reply:
    """Half of the bytes that are announced, then the end."""
    body = json.dumps(said).encode()
    head = _head(status, {"Content-Type": "application/json", "Content-Length": str(len(body))})
    return lambda connection: connection.sendall(head + body[: len(body) // 2])


def cut(status: int, said: Any) -> Reply:
    """Half of the JSON, told as if it were all."""
    body = json.dumps(said).encode()
    return raw(status, body[: len(body) // 2], {"Content-Type": "application/json"})


def stream(*chunks: str, content_type: str = "text/event-stream", then: Reply | None = None) -> Reply:
    """What comes bit by bit, whose end is that of the connection or, with `then`, something worse."""

    def reply(connection: socket.socket) -> None:
        connection.sendall(_head(200, {"Content-Type": content_type}))
        for chunk in chunks:
            connection.sendall(chunk.encode())
        if then is not None:
            then(connection)

    return reply


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items()), "Connection: close"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _read(connection: socket.socket) -> Seen | None:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return None
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    line, *rest = head.decode().split("\r\n")
    verb, target, _ = line.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}
    while len(body) < int(headers.get("content-length", "0")):
        body += connection.recv(65536)
    return Seen(verb=verb, target=target, headers=headers, body=body)
