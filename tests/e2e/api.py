"""The public API as any HTTP client sees it: raw requests, and answers taken apart."""

from __future__ import annotations

import http.client
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 70.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error, in the one shape that every error has."""
        assert self.headers.get("content-type", "").startswith("application/json"), (self.status, self.body)
        assert set(self.json) == {"error"}, self.body
        error = self.json["error"]
        assert set(error) == {"code", "status", "message", "details"}, self.body
        assert error["code"] == self.status
        assert error["message"]
        return error

    @property
    def reason(self) -> str:
        info = next(each for each in self.error["details"] if each["@type"].endswith("google.rpc.ErrorInfo"))
        assert info["domain"] == "penstock.dev"
        return info["reason"]

    @property
    def fields(self) -> set[str]:
        """The paths of the wrong fields."""
        return {
            violation["field"]
            for detail in self.error["details"]
            if detail["@type"].endswith("google.rpc.BadRequest")
            for violation in detail["fieldViolations"]
        }


@dataclass(frozen=True, slots=True)
class Api:
    """One caller of the API.

    Args:
        url: The gateway's.
        key: The API key, or None for a caller without.
        source: The address that it calls from, one of the machine's own; where empty, the machine chooses.
    """

    url: str
    key: str | None = None
    source: str = ""

    def call(self, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None) -> Answer:
        """One request; a body that is not bytes is sent as JSON, and the path goes out as it is written."""
        sent = dict(headers or {})
        if self.key is not None:
            sent.setdefault("Authorization", f"Bearer {self.key}")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        source = (self.source, 0) if self.source else None
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=TIMEOUT_S, source_address=source)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in sent.items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders()
            if body is not None:
                with suppress(BrokenPipeError, ConnectionResetError):  # refused midway; the answer says why
                    connection.send(body)
            response = connection.getresponse()
            return Answer(
                response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
            )
        finally:
            connection.close()

    def submit(self, method: str, params: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """A job of the `http` upstream, accepted."""
        answer = self.call("POST", "/api/v1/jobs", {"upstream": "http", "method": method, "params": params, **fields})
        assert answer.status == 200, answer.body
        return answer.json

    def wait(self, job_id: str, *, timeout: str = "30s") -> dict[str, Any]:
        """The job at its end, or as it stands when the time is over."""
        answer = self.call("GET", f"/api/v1/jobs/{job_id}:wait?timeout={timeout}")
        assert answer.status == 200, answer.body
        return answer.json
