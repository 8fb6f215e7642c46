"""The one HTTP client of all connectors: pooled, guarded, bounded, traced; its driver's errors as ours."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import TraceConfig
from multidict import CIMultiDict
from opentelemetry.trace import SpanKind, Status, StatusCode

from services.upstream.answers import ACCEPTED_CODINGS, Answer, AnswerError
from services.upstream.domain import Failure, Reason, lost, not_kept
from services.upstream.sending import SendingError, length_of, sending
from shared import observability
from shared.addresses import ForbiddenAddressError
from shared.guarded_http import CONNECT_TIMEOUT_S, guarded_session

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from types import SimpleNamespace

    from aiohttp.abc import AbstractResolver
    from multidict import MultiMapping
    from yarl import URL

    from services.upstream.connector import CallRequest
    from services.upstream.sending import Body
    from shared.addresses import AddressGuard


#: The next time it is the same, whatever the method.
_THE_SAME_AGAIN = frozenset({Reason.ADDRESS_FORBIDDEN, Reason.RESULT_TOO_LARGE, Reason.CONTENT_GONE})


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """One request; a redirect makes another."""

    verb: str
    url: URL
    headers: MultiMapping[str] = field(default_factory=CIMultiDict[str], repr=False)
    #: The bytes, or what has them.
    body: Body = None

    @property
    def host(self) -> str:
        """Whom it asks, for messages: the host, and the port unless it is the usual one."""
        return self.url.host_port_subcomponent or ""


class ExchangeError(Exception):
    """A request that got no answer, or one that cannot be taken.

    Args:
        reason: Why.
        message: For people; names the host, and no more of the URL.
        status: Of an answer that is well, and only could not be kept.
    """

    def __init__(self, reason: Reason, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.status = status

    def failure(self, *, idempotent: bool, sent: bool) -> Failure:
        """What it makes of the call.

        Args:
            idempotent: The call may be made twice.
            sent: Any of it may have reached the upstream.
        """
        if self.reason in _THE_SAME_AGAIN:
            return Failure(reason=self.reason, message=self.message)
        if self.status:
            return not_kept(self.message, status=self.status, idempotent=idempotent)
        return lost(self.reason, self.message, idempotent=idempotent, sent=sent)


class HttpClient:
    """Exchanges requests for answers.

    Args:
        guard: Decides which addresses may be called.
        limit: Connections in use at a time.
        resolver: Asks the name server; the machine's own unless told.
    """

    def __init__(self, guard: AddressGuard, *, limit: int, resolver: AbstractResolver | None = None) -> None:
        self._guard = guard
        self._session = guarded_session(guard, limit=limit, resolver=resolver, trace_configs=[_progress_trace()])

    async def close(self) -> None:
        """Closes every connection."""
        await self._session.close()

    @asynccontextmanager
    async def exchange(self, request: HttpRequest, call: CallRequest) -> AsyncGenerator[Answer]:
        """Sends a request, and yields the answer once its status and headers have come. It follows no redirect.

        Bounds no time: the caller's `asyncio.timeout` does.

        Args:
            request: What to send.
            call: For which; told when any of it may have reached the upstream, and has a place for a large answer.

        Raises:
            ExchangeError: There is no answer, or reading it failed.
        """
        attributes = {
            "http.request.method": request.verb,
            "server.address": request.url.host or "",
            "server.port": request.url.port or 0,
        }
        with observability.span("http_exchange", kind=SpanKind.CLIENT, attributes=attributes) as span:
            try:
                self._guard.check_url(str(request.url))
                async with (
                    sending(request.body) as data,
                    self._session.request(
                        request.verb,
                        request.url,
                        headers=self._headers(request),
                        data=data,
                        allow_redirects=False,
                        trace_request_ctx=call.progress,
                    ) as response,
                ):
                    span.set_attribute("http.response.status_code", response.status)
                    yield Answer(response, call.result)
            except (ForbiddenAddressError, AnswerError, SendingError, aiohttp.ClientError, OSError) as error:
                translated = _translated(error, request.host)
                span.set_status(Status(StatusCode.ERROR, translated.reason))
                raise translated from error

    def _headers(self, request: HttpRequest) -> CIMultiDict[str]:
        headers = CIMultiDict(request.headers)
        headers["Accept-Encoding"] = ACCEPTED_CODINGS
        length = length_of(request.body)
        if length is not None:
            headers["Content-Length"] = str(length)  # else it would go in chunks, which not everybody reads
        traceparent = observability.current_traceparent()
        if traceparent:
            headers[observability.TRACEPARENT] = traceparent
        return headers


def _progress_trace() -> TraceConfig:
    """Notes in the request's `Progress` when it has a connection: from then on bytes may leave."""

    async def connected(_session: aiohttp.ClientSession, context: SimpleNamespace, _: object) -> None:
        context.trace_request_ctx.sent = True

    trace = TraceConfig()
    trace.on_connection_create_end.append(connected)
    trace.on_connection_reuseconn.append(connected)
    return trace


#: From the special to the general: the first that fits tells.
_DRIVER_ERRORS: tuple[tuple[type[Exception], Reason, str], ...] = (
    (aiohttp.InvalidURL, Reason.ADDRESS_FORBIDDEN, "the URL of {host} cannot be called"),
    (aiohttp.ClientConnectorDNSError, Reason.UPSTREAM_UNREACHABLE, "the name of {host} cannot be resolved"),
    (aiohttp.ClientSSLError, Reason.UPSTREAM_UNREACHABLE, "TLS with {host} failed{cause}"),
    (
        aiohttp.ConnectionTimeoutError,
        Reason.UPSTREAM_UNREACHABLE,
        f"{{host}} took no connection in {CONNECT_TIMEOUT_S:g} s",
    ),
    (aiohttp.ClientConnectorError, Reason.UPSTREAM_UNREACHABLE, "{host} took no connection{cause}"),
    (aiohttp.ClientResponseError, Reason.UPSTREAM_PROTOCOL, "{host} answered with malformed HTTP"),
    (Exception, Reason.UPSTREAM_UNREACHABLE, "{host} broke the connection"),
)


def _translated(error: Exception, host: str) -> ExchangeError:
    if isinstance(error, ForbiddenAddressError):
        return ExchangeError(Reason.ADDRESS_FORBIDDEN, f"the URL {error}")
    if isinstance(error, AnswerError):
        return ExchangeError(error.reason, f"{host} {error.message}", status=error.status)
    if isinstance(error, SendingError):
        return ExchangeError(error.reason, error.message)
    reason, message = next((reason, text) for kind, reason, text in _DRIVER_ERRORS if isinstance(error, kind))
    strerror = error.os_error.strerror if isinstance(error, aiohttp.ClientConnectorError) else None
    return ExchangeError(reason, message.format(host=host, cause=f" ({strerror})" if strerror else ""))
