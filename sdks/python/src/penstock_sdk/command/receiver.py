"""The receiver of `penstock endpoints listen`: takes what is signed with its secret, and hands each event on once."""

from __future__ import annotations

import queue
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from penstock_sdk import webhooks
from penstock_sdk.command.output import note

if TYPE_CHECKING:
    from collections.abc import Generator

    from penstock_sdk.webhooks import Event

_MAX_BYTES = 1 << 20
#: How soon the server sees that it is to end.
_LOOK_S = 0.05
#: A sender that stops in the middle of a message.
_READ_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """What comes in.

    Args:
        port: Where it listens, on 127.0.0.1.
        secret: What messages are signed with.
        events: Those that were verified, in the order in which they came; each once.
        seen: The ids of messages that came before.
    """

    port: int
    secret: str = field(repr=False)
    events: queue.SimpleQueue[Event] = field(default_factory=queue.SimpleQueue)
    seen: set[str] = field(default_factory=set)

    def take(self, body: bytes, headers: dict[str, str]) -> int:
        """The status for a message."""
        try:
            event = webhooks.verify(body, headers, self.secret)
        except webhooks.SignatureInvalid as error:
            note(f"refused a message: {error}")
            return 401
        if event.id not in self.seen:
            self.seen.add(event.id)
            for each in event.events:
                self.events.put(each)
        return 204


@contextmanager
def receiver(port: int, secret: str) -> Generator[Receiver]:
    """Listens on a loopback port (0: a free one) until the body is over.

    Raises:
        OSError: The port is taken.
    """
    server = _Server(("127.0.0.1", port), _Hook)
    server.receiver = Receiver(port=server.server_port, secret=secret)
    thread = threading.Thread(target=server.serve_forever, args=(_LOOK_S,), name="listen", daemon=True)
    thread.start()
    try:
        yield server.receiver
    finally:
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: Receiver


class _Hook(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _READ_TIMEOUT_S
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]  # no other server has it

    def do_POST(self) -> None:  # its base's name
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _MAX_BYTES:
            self.close_connection = True
            self._answer(413 if length.isdigit() else 411)
            return
        body = self.rfile.read(int(length))
        self._answer(self.server.receiver.take(body, {name.lower(): text for name, text in self.headers.items()}))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its base's signature
        """Says nothing: events are what is printed."""

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
