# Made of _async/http.py by `make sdks`; do not edit.
"""Calls over HTTP."""

from __future__ import annotations

import json
import platform
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import httpx

from penstock_sdk import operations
from penstock_sdk.answers import JSON, Answer, media_type
from penstock_sdk.errors import InvalidUse, NoAnswer
from penstock_sdk.requests import Target, target
from penstock_sdk.signing import KeyHeader, Signer
from penstock_sdk.sse import CONTENT_TYPE, EventParser
from penstock_sdk.tls import trusted
from penstock_sdk.version import __version__

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from penstock_sdk.operation import Operation
    from penstock_sdk.pacing import Pacing
    from penstock_sdk.profiles import Access

_USER_AGENT = f"penstock-sdk-python/{__version__} python/{platform.python_version()} httpx/{httpx.__version__}"
_LINES = "application/x-ndjson"
_REDIRECT = 302
_NO_CONTENT = 204
#: As many calls at once as there may be; further ones wait for a connection as long as for an answer.
_CONNECTIONS = 100
#: An idle connection is given up before a server or a proxy does, which a call could meet.
_IDLE_S = 5.0
#: For what an answer says in place of what was asked for.
_REFUSAL_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResult:
    """A job's result as it comes over HTTP."""

    response: httpx.Response

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        """By their names in lower case."""
        return self.response.headers

    def chunks(self) -> Generator[bytes]:
        """The body, as it comes."""
        try:
            yield from self.response.iter_raw()
        except httpx.HTTPError as error:
            raise _no_answer(error, self.response.request) from error


class Http:
    """Carries calls over HTTP; safe for many callers at once.

    Args:
        access: Where to and by which key.
        pacing: What tells time.
    """

    def __init__(self, access: Access, *, pacing: Pacing) -> None:
        self._url = access.url
        self._auth = Signer(access.api_key) if access.sign_requests else KeyHeader(access.api_key)
        self._pacing = pacing
        limits = httpx.Limits(
            max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS, keepalive_expiry=_IDLE_S
        )
        headers = {"User-Agent": _USER_AGENT}
        tls = trusted()
        self._client = httpx.Client(headers=headers, limits=limits, verify=tls)
        self._links = httpx.Client(headers=headers, limits=limits, verify=tls)

    @property
    def links(self) -> httpx.Client:
        """For links to the object store, which carry all that they need: no API key goes with them."""
        return self._links

    def send(
        self, operation: Operation, fields: Mapping[str, Any], *, idempotency_key: str | None, timeout_s: float
    ) -> Any:
        """What a call is answered with, as JSON; see `Transport`."""
        headers = {"Accept": JSON} | ({} if idempotency_key is None else {"Idempotency-Key": idempotency_key})
        until = self._pacing.now() + timeout_s
        with self._opened(operation, target(operation, fields), headers=headers, timeout_s=timeout_s) as response:
            return (self._whole(response, until=until)).json()

    def watch(self, job_id: str, *, after_revision: int, silence_s: float, timeout_s: float | None) -> Generator[Any]:
        """The job as each event leaves it; see `Transport`."""
        headers = {"Accept": CONTENT_TYPE, "Accept-Encoding": "identity"}  # who compresses may hold back what is little
        headers |= {"Last-Event-ID": str(after_revision)} if after_revision else {}
        until = None if timeout_s is None else self._pacing.now() + timeout_s - silence_s
        place = target(operations.STREAM_JOB, {"jobId": job_id})
        with self._opened(operations.STREAM_JOB, place, headers=headers, timeout_s=silence_s) as response:
            if response.status_code == _NO_CONTENT:
                return
            self._expect(response, CONTENT_TYPE)
            parser = EventParser()
            with closing(_decoded(response)) as chunks:
                for chunk in chunks:
                    for event in parser.feed(chunk):
                        yield _read(event.data, response.request)
                    if until is not None and self._pacing.now() >= until:
                        return

    def lines(self, operation: Operation, fields: Mapping[str, Any], *, timeout_s: float) -> Generator[str]:
        """The lines of an answer that comes bit by bit; see `Transport`."""
        place = target(operation, fields)
        with self._opened(operation, place, headers={"Accept": _LINES}, timeout_s=timeout_s) as response:
            self._expect(response, _LINES)
            rest = b""
            with closing(_decoded(response)) as chunks:
                for chunk in chunks:
                    *whole, rest = (rest + chunk).split(b"\n")
                    for line in whole:
                        yield line.decode()
            if rest:
                raise _fault("the answer breaks off within a line", response.request)

    @contextmanager
    def result(self, job_id: str, *, headers: Mapping[str, str], timeout_s: float) -> Generator[HttpResult]:
        """A job's result; see `Transport`."""
        operation = operations.GET_JOB_RESULT
        headers = {"Accept": "*/*", "Accept-Encoding": "identity", **headers}  # ranges count bytes as they are
        place = target(operation, {"jobId": job_id})
        with self._opened(operation, place, headers=headers, timeout_s=timeout_s) as response:
            location = response.headers.get("location", "") if response.status_code == _REDIRECT else ""
            if response.is_error or (response.is_redirect and not location):
                self._refuse(response)
            if not location:
                yield HttpResult(response=response)
                return
        link = urljoin(str(response.request.url), location)
        request = self._links.build_request("GET", link, headers=headers, timeout=timeout_s)
        response = self._sent(self._links, request)
        try:
            yield HttpResult(response=response)
        finally:
            response.close()

    def close(self) -> None:
        """Gives its connections back; safe to call more than once."""
        self._client.close()
        self._links.close()

    @contextmanager
    def _opened(
        self, operation: Operation, place: Target, *, headers: Mapping[str, str], timeout_s: float
    ) -> Generator[httpx.Response]:
        request = self._client.build_request(
            operation.verb,
            self._url + place.path,
            params=place.query or None,
            content=place.body,
            headers=dict(headers) | ({} if place.body is None else {"Content-Type": JSON}),
            timeout=timeout_s,
        )
        response = self._sent(self._client, request, auth=self._auth)
        try:
            yield response
        finally:
            response.close()

    def _sent(self, client: httpx.Client, request: httpx.Request, *, auth: httpx.Auth | None = None) -> httpx.Response:
        if client.is_closed:
            raise InvalidUse("the client is closed; make another one")
        try:
            return client.send(request, auth=auth, stream=True)
        except httpx.HTTPError as error:
            raise _no_answer(error, request) from error

    def _whole(self, response: httpx.Response, *, until: float) -> Answer:
        """All of an answer; what drips in for longer than the call may take is none."""
        body = bytearray()
        with closing(_decoded(response)) as chunks:
            for chunk in chunks:
                body += chunk
                if self._pacing.now() > until:
                    raise _fault("the answer did not come whole in time", response.request, late=True)
        return _answer(response, bytes(body))

    def _expect(self, response: httpx.Response, content_type: str) -> None:
        if response.is_success and media_type(response.headers.get("content-type", "")) == content_type:
            return
        self._refuse(response, wanted=content_type)

    def _refuse(self, response: httpx.Response, *, wanted: str = "") -> None:
        """Raises what an answer says that is not what was asked for."""
        if response.is_success:  # its body may have no end
            content_type = response.headers.get("content-type") or "of no type"
            raise _answer(response, b"").unexpected(f"it is {content_type}, not {wanted}")
        answer = self._whole(response, until=self._pacing.now() + _REFUSAL_S)
        answer.json()
        raise answer.unexpected("a redirect" if response.has_redirect_location else "no error")


def _decoded(response: httpx.Response) -> Generator[bytes]:
    """The body as it comes, without a content coding."""
    try:
        yield from response.iter_bytes()
    except httpx.HTTPError as error:
        raise _no_answer(error, response.request) from error


def _url(request: httpx.Request) -> str:
    """Where a request goes, without its query: that of a link opens it to whoever reads it."""
    return str(request.url.copy_with(query=None))


def _answer(response: httpx.Response, body: bytes) -> Answer:
    request = response.request
    return Answer(
        verb=request.method, url=_url(request), status=response.status_code, headers=response.headers, body=body
    )


def _fault(problem: str, request: httpx.Request, *, sent: bool = True, late: bool = False) -> NoAnswer:
    return NoAnswer(problem, verb=request.method, url=_url(request), sent=sent, late=late)


def _read(data: str, request: httpx.Request) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        raise _fault("an event of the stream is no JSON", request) from None


def _no_answer(error: httpx.HTTPError, request: httpx.Request) -> NoAnswer:
    """What went wrong on the way, in words, and whether the request may have arrived."""
    late = isinstance(error, httpx.TimeoutException)
    sent = not isinstance(
        error,
        httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ConnectError | httpx.ProxyError | httpx.UnsupportedProtocol,
    )
    match error:
        case httpx.ConnectTimeout():
            problem = "no connection in time"
        case httpx.PoolTimeout():
            problem = f"no connection in time, for all {_CONNECTIONS} were in use"
        case httpx.TimeoutException():
            problem = "no answer in time"
        case _:
            told = str(error) or type(error).__name__
            problem = f"the connection broke: {told}" if sent else f"no connection: {told}"
    return _fault(problem, request, sent=sent, late=late)
