"""The way back from a consent in a browser: a page on a loopback port, to which Penstock sends the browser."""

from __future__ import annotations

import hmac
import html
import queue
import secrets
import threading
import webbrowser
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from penstock_sdk.command.exits import ExitCode, Failed
from penstock_sdk.command.output import note

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import timedelta

_PAGE = "<!doctype html><html><head><title>Penstock</title></head><body><h1>{}</h1><p>{}</p></body></html>"
#: How soon the server sees that it is to end.
_LOOK_S = 0.05
_WHY = {
    "access_denied": "the account's owner said no",
    "other_account": "the consent was given by another account than the connection's; sign in as that one",
    "connection_not_found": "the connection was deleted meanwhile",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WayBack:
    """Where the browser is sent to.

    Args:
        url: The return URL; it has a part that nobody can guess, so that no other page can answer in its stead.
        came: What it came with: a connection's id, or an error.
    """

    url: str
    came: queue.SimpleQueue[tuple[str, str]] = field(default_factory=queue.SimpleQueue)

    def connection_id(self, timeout: timedelta) -> str:
        """Waits for the browser.

        Raises:
            Failed: It has not come in time, or nobody consented.
        """
        try:
            connection_id, error = self.came.get(timeout=timeout.total_seconds())
        except queue.Empty:
            raise Failed(
                f"nobody consented within {timeout.total_seconds():.0f} s", ExitCode.TIMED_OUT,
                hint="try again; where no browser can reach this machine: --by-hand",
            ) from None  # fmt: skip
        if error:
            raise Failed(f"not connected: {_WHY.get(error, f'the provider says {error}')}")
        return connection_id


@contextmanager
def way_back() -> Generator[WayBack]:
    """Answers on a free loopback port until the body is over."""
    path = f"/connected/{secrets.token_urlsafe(16)}"
    server = _Server(("127.0.0.1", 0), _Page)
    server.way_back = back = WayBack(url=f"http://127.0.0.1:{server.server_port}{path}")
    thread = threading.Thread(target=server.serve_forever, args=(_LOOK_S,), name="way-back", daemon=True)
    thread.start()
    try:
        yield back
    finally:
        server.shutdown()
        server.server_close()


def open_browser(url: str, *, wanted: bool) -> None:
    """Opens a link, and says which, for where there is no browser that would."""
    note(f"Open this in the browser of the account's owner:\n\n  {url}\n")
    if wanted:
        threading.Thread(target=webbrowser.open, args=(url,), name="browser", daemon=True).start()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    way_back: WayBack


class _Page(BaseHTTPRequestHandler):
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]  # no other server has it

    def do_GET(self) -> None:  # its base's name
        back = self.server.way_back
        asked = urlsplit(self.path)
        if not hmac.compare_digest(asked.path.encode(), urlsplit(back.url).path.encode()):
            self._answer(404, "Not found", "")
            return
        query = parse_qs(asked.query)
        connection_id, error = (query.get(name, [""])[0] for name in ("connectionId", "error"))
        if not (connection_id or error):
            self._answer(400, "Nothing came", "This page is for whom Penstock sends here.")
            return
        if error:
            self._answer(200, "Not connected", html.escape(_WHY.get(error, error)))
        else:
            self._answer(200, "Connected", "You can close this window.")
        back.came.put((connection_id, error))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its base's signature
        """Says nothing: requests have nothing that concerns whoever sits at the terminal."""

    def _answer(self, status: int, title: str, text: str) -> None:
        body = _PAGE.format(title, text).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(body)
