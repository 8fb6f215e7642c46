# Made of _async/grpc.py by `make sdks`; do not edit.
"""Calls over gRPC, of the extra `penstock-sdk[grpc]`: by the same URL, in plain text or TLS as its scheme says."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
import httpx

from penstock_sdk import operations
from penstock_sdk._sync.http import HttpResult
from penstock_sdk.channels import Channel
from penstock_sdk.errors import InvalidUse, NoAnswer
from penstock_sdk.rpcs import HTTP_STATUS, VERB, error_of, json_of, request_of, rpc
from penstock_sdk.tls import trusted

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from penstock_sdk._sync.transport import RawResult
    from penstock_sdk.channels import Metadata
    from penstock_sdk.operation import Operation
    from penstock_sdk.pacing import Pacing
    from penstock_sdk.profiles import Access

_WATCH = "JobService.WatchJob"


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcResult:
    """A job's result that came over gRPC: at once."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def chunks(self) -> Generator[bytes]:
        """The body, in one piece."""
        if self.content:
            yield self.content


class Grpc:
    """Carries calls over gRPC; safe for many callers at once.

    Args:
        access: Where to and by which key.
        pacing: What tells time.

    Raises:
        InvalidUse: Requests are to be signed, which is done over HTTP alone, or the URL has a path.
    """

    def __init__(self, access: Access, *, pacing: Pacing) -> None:
        if access.sign_requests:
            raise InvalidUse("sign_requests is for HTTP alone: over gRPC the key is sent; leave one of the two out")
        self._url = access.url
        self._metadata: Metadata = (("authorization", f"Bearer {access.api_key}"),)
        self._pacing = pacing
        self._channel: Channel | None = None
        self._closed = False
        self._links = httpx.Client(verify=trusted(), follow_redirects=False)

    @property
    def links(self) -> httpx.Client:
        """For links to the object store, which carry all that they need: no API key goes with them."""
        return self._links

    def send(
        self, operation: Operation, fields: Mapping[str, Any], *, idempotency_key: str | None, timeout_s: float
    ) -> Any:
        """What a call is answered with, as JSON; see `Transport`. The key stands in the request too."""
        del idempotency_key
        response, _ = self._asked(operation, fields, metadata=(), timeout_s=timeout_s)
        return json_of(response)

    def watch(self, job_id: str, *, after_revision: int, silence_s: float, timeout_s: float | None) -> Generator[Any]:
        """The job as each event leaves it; see `Transport`. Pings find out whether anybody is there."""
        del silence_s
        fields = {"jobId": job_id, "afterRevision": str(after_revision)}
        try:
            with closing(self._streamed(_WATCH, fields, timeout_s=timeout_s)) as events:
                for event in events:
                    yield json_of(event.job)
        except NoAnswer as error:
            if not (error.late and timeout_s is not None):  # its time is over, which is no error
                raise

    def lines(self, operation: Operation, fields: Mapping[str, Any], *, timeout_s: float) -> Generator[str]:
        """The lines of an answer that comes bit by bit; see `Transport`."""
        del timeout_s  # for silence; pings find that out
        rest = b""
        with closing(self._streamed(operation.name, fields, timeout_s=None)) as parts:
            for part in parts:
                *whole, rest = (rest + part.data).split(b"\n")
                for line in whole:
                    yield line.decode()
        if rest:
            raise NoAnswer("the answer breaks off within a line", verb=VERB, url=self._url, sent=True)

    @contextmanager
    def result(self, job_id: str, *, headers: Mapping[str, str], timeout_s: float) -> Generator[RawResult]:
        """A job's result; see `Transport`."""
        metadata = tuple((name.lower(), value) for name, value in headers.items())
        response, told = self._asked(
            operations.GET_JOB_RESULT, {"jobId": job_id}, metadata=metadata, timeout_s=timeout_s
        )
        found = dict(told)
        if "location" not in found:
            length = str(len(response.data))
            found |= {"content-type": response.content_type, "content-length": length}
            yield GrpcResult(status=int(found.get(HTTP_STATUS, "200")), headers=found, content=response.data)
            return
        link = found["location"]
        asked = {"Accept-Encoding": "identity", **headers}
        try:
            with self._links.stream("GET", link, headers=asked, timeout=timeout_s) as answer:
                yield HttpResult(response=answer)
        except httpx.HTTPError as error:
            problem = str(error) or type(error).__name__
            raise NoAnswer(problem, verb="GET", url=link.partition("?")[0], sent=True) from error

    def close(self) -> None:
        """Gives its connections back; safe to call more than once."""
        self._closed = True
        if self._channel is not None:
            self._channel.close()
        self._links.close()

    def _open(self) -> Channel:
        """The channel, which is made in the event loop that uses it first."""
        if self._closed:
            raise InvalidUse("the client is closed; make another one")
        if self._channel is None:
            self._channel = Channel(self._url)
        return self._channel

    def _asked(
        self, operation: Operation, fields: Mapping[str, Any], *, metadata: Metadata, timeout_s: float
    ) -> tuple[Any, Metadata]:
        method = rpc(operation.name)
        request = request_of(method, fields, of_path=operation.path_names)
        metadata = (*self._metadata, *metadata)
        try:
            return self._open().ask(method, request, metadata=metadata, timeout_s=timeout_s)
        except grpc.RpcError as failure:
            raise error_of(failure, url=self._url) from failure

    def _streamed(self, name: str, fields: Mapping[str, Any], *, timeout_s: float | None) -> Generator[Any]:
        method = rpc(name)
        request = request_of(method, fields)
        try:
            with closing(
                self._open().stream(method, request, metadata=self._metadata, timeout_s=timeout_s)
            ) as responses:
                yield from responses
        except grpc.RpcError as failure:
            raise error_of(failure, url=self._url) from failure
