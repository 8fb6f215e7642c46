"""A real Envoy with built settings, and plain HTTP to it, byte for byte."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gateway
from shared.config import DOCS_URL
from tests.integration.gateway.stand_ins import GOOD_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ENVOY = Path(sys.executable).parent / "envoy"
_READY_TIMEOUT_S = 60.0
_POLL_S = 0.02
_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error, after a look at its shape."""
        assert self.headers["content-type"] == "application/json", self
        body = self.json
        assert set(body) == {"error"}, body
        error = body["error"]
        assert set(error) == {"code", "status", "message", "details"}, error
        assert error["code"] == self.status
        assert error["message"]
        assert self.info["domain"] == "penstock.dev"
        assert self.page == f"{DOCS_URL}/errors/{self.info['reason']}"
        return error

    @property
    def info(self) -> dict[str, Any]:
        """The one ErrorInfo."""
        details = self.json["error"]["details"]
        (info,) = [each for each in details if each["@type"] == "type.googleapis.com/google.rpc.ErrorInfo"]
        return info

    @property
    def page(self) -> str:
        """Where the one link leads that the error has."""
        details = self.json["error"]["details"]
        (link,) = [each for each in details if each["@type"] == "type.googleapis.com/google.rpc.Help"]
        return link["links"][0]["url"]

    @property
    def fields(self) -> dict[str, str]:
        """What is wrong, by the field's path."""
        for each in self.error["details"]:
            if each["@type"] == "type.googleapis.com/google.rpc.BadRequest":
                return {violation.get("field", ""): violation["description"] for violation in each["fieldViolations"]}
        return {}


@dataclass(frozen=True, slots=True)
class Envoy:
    """A running Envoy.

    Args:
        settings: What it was built with.
        log: What it writes: its own lines and the access log.
    """

    settings: gateway.GatewaySettings
    log: Path
    pid: int

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        key: str | None = GOOD_KEY,
    ) -> Answer:
        """One request; a body that is neither bytes nor chunks of bytes is sent as JSON."""
        sent = {"authorization": f"Bearer {key}"} if key is not None else {}
        data = body
        if body is not None:
            sent["content-type"] = "application/json"
            if not isinstance(body, bytes) and not hasattr(body, "__next__"):
                data = json.dumps(body).encode()
        sent |= headers or {}
        host, _, port = self.settings.address.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=_TIMEOUT_S)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            self._send(connection, sent, data)
            response = connection.getresponse()
            return Answer(
                response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
            )
        finally:
            connection.close()

    @staticmethod
    def _send(connection: http.client.HTTPConnection, headers: Mapping[str, str], data: Any) -> None:
        for name, value in headers.items():
            connection.putheader(name, value)
        if isinstance(data, bytes):
            if "content-length" not in headers:
                connection.putheader("content-length", str(len(data)))
            connection.endheaders(data)
        elif data is not None:
            connection.putheader("transfer-encoding", "chunked")
            connection.endheaders(data, encode_chunked=True)
        else:
            connection.endheaders()

    def raw(self, request: bytes) -> bytes:
        """What comes back for bytes that may be no HTTP at all."""
        host, _, port = self.settings.address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=_TIMEOUT_S) as connection:
            connection.sendall(request)
            received = b""
            while data := connection.recv(65536):
                received += data
                if _is_last(received):  # Envoy gives a client a second to hang up before it does
                    connection.shutdown(socket.SHUT_WR)
            return received

    def stat(self, name: str) -> int:
        """One of Envoy's own counters."""
        url = f"http://{self.settings.admin_address}/stats?filter=^{name}$"
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
            return int(answer.read().decode().rpartition(":")[2])


@contextmanager
def running(settings: gateway.GatewaySettings, folder: Path) -> Iterator[Envoy]:
    """Builds and starts Envoy, waits until it answers, and ends it."""
    path = gateway.build(settings, folder)
    log = folder / "envoy.log"
    command = [ENVOY, "-c", path, "--concurrency", "1", "--use-dynamic-base-id", "-l", "warning", "--drain-time-s", "1"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            _wait_until_ready(settings, process, log)
            yield Envoy(settings, log, process.pid)
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(settings: gateway.GatewaySettings, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _READY_TIMEOUT_S
    while time.monotonic() < until:
        assert process.poll() is None, f"Envoy ended:\n{log.read_text()}"
        try:
            with urllib.request.urlopen(f"http://{settings.admin_address}/ready", timeout=1) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        time.sleep(_POLL_S)
    raise AssertionError(f"Envoy was not ready within {_READY_TIMEOUT_S:g} s:\n{log.read_text()}")


def _is_last(received: bytes) -> bool:
    """Whether a whole answer has come, and says that nothing comes after it."""
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: (\d+)", head)
    return b"\r\nconnection: close" in head and length is not None and len(body) >= int(length[1])


def chunks(data: bytes, size: int = 64 * 1024) -> Iterable[bytes]:
    """The data piece by piece, so that it is sent without a length."""
    return iter([data[start : start + size] for start in range(0, len(data), size)])
