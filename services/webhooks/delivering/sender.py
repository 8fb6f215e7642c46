"""The one HTTP client of all deliveries: a signed body out, what the receiver says back."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import aiohttp
from opentelemetry.trace import SpanKind, Status, StatusCode

from services.webhooks.deliveries.domain import Outcome, Reason, Response
from shared import observability, retry_after
from shared.addresses import ForbiddenAddressError
from shared.guarded_http import guarded_session, url_as_given

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path

    from aiohttp.abc import AbstractResolver
    from yarl import URL

    from shared.addresses import AddressGuard
    from shared.clock import Clock

USER_AGENT = "Penstock"
#: Of an answer's body, kept; with more in it, its connection does not serve again.
_KEPT_BYTES = 16 * 1024
_READ_TIMEOUT_S = 1.0
#: Of an answer's headers, kept: so many, each value so long.
_KEPT_HEADERS = 50
_KEPT_CHARACTERS = 1024
#: Of what went wrong, in words.
_DETAIL_CHARACTERS = 500
_ATTRIBUTES = {"http.request.method": "POST"}
#: From the special to the general: the first that fits tells.
_ERRORS: tuple[tuple[type[Exception], Reason], ...] = (
    (ForbiddenAddressError, Reason.ADDRESS_FORBIDDEN),
    (aiohttp.InvalidURL, Reason.ADDRESS_FORBIDDEN),
    (aiohttp.ClientResponseError, Reason.RECEIVER_PROTOCOL),
    (aiohttp.ClientError, Reason.RECEIVER_UNREACHABLE),
    (TimeoutError, Reason.RECEIVER_TIMEOUT),
    (OSError, Reason.RECEIVER_UNREACHABLE),
)


class Sender:
    """Sends, and follows no redirect.

    Args:
        guard: Decides which addresses may be called.
        clock: For the dates of `Retry-After`.
        timeout: Until the status must have come.
        limit: Connections in use at a time.
        tls: Which certificates are believed; those that the machine trusts unless told.
        resolver: Asks the name server; the machine's own unless told.
    """

    def __init__(
        self,
        guard: AddressGuard,
        *,
        clock: Clock,
        timeout: timedelta,
        limit: int,
        tls: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._tls = tls or tls_context()
        self._guard = guard
        self._clock = clock
        self._timeout_s = timeout.total_seconds()
        self._session = guarded_session(guard, limit=limit, resolver=resolver)

    async def close(self) -> None:
        """Closes every connection."""
        await self._session.close()

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """Posts a body; whatever the receiver does is an outcome.

        Args:
            url: As the job names it.
            body: JSON.
            headers: Sent beside those that every message has.
        """
        with observability.span("http_exchange", kind=SpanKind.CLIENT, attributes=_ATTRIBUTES) as span:
            outcome = await self._outcome(url, body, headers)
            span.set_attribute("http.response.status_code", outcome.status)
            if outcome.reason is not Reason.OK:
                span.set_status(Status(StatusCode.ERROR, outcome.reason))
            return outcome

    async def _outcome(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        try:
            self._guard.check_url(url)
            return await self._post(url_as_given(url), body, headers)
        except (ForbiddenAddressError, aiohttp.ClientError, OSError) as error:
            reason = next(reason for kind, reason in _ERRORS if isinstance(error, kind))
            return Outcome(reason=reason, detail=_detail(error))

    async def _post(self, url: URL, body: bytes, headers: Mapping[str, str]) -> Outcome:
        complete = {**headers, "content-type": "application/json", "user-agent": USER_AGENT, **_trace()}
        async with (
            asyncio.timeout(self._timeout_s) as bound,
            self._session.post(url, data=body, headers=complete, allow_redirects=False, ssl=self._tls) as response,
        ):
            bound.reschedule(None)  # the status has told all that counts; what follows has a bound of its own
            asked = response.headers.get("Retry-After")
            pause = retry_after.parse(asked, self._clock.now()) if asked is not None else None
            return replace(Outcome.of_status(response.status, pause), response=await _response(response))


def tls_context(ca_files: Sequence[Path] = ()) -> ssl.SSLContext:
    """Believes the authorities that the machine trusts, and these; it reads their files, which takes its time."""
    context = ssl.create_default_context()
    for each in ca_files:
        context.load_verify_locations(each)
    return context


def _trace() -> dict[str, str]:
    traceparent = observability.current_traceparent()
    return {observability.TRACEPARENT: traceparent} if traceparent else {}


async def _response(response: aiohttp.ClientResponse) -> Response:
    """What the receiver has said, as far as it is kept and comes at once; what becomes of the rest changes nothing."""
    headers: dict[str, str] = {}
    for name, value in response.headers.items():
        if len(headers) == _KEPT_HEADERS:
            break
        headers.setdefault(name.lower()[:_KEPT_CHARACTERS], value[:_KEPT_CHARACTERS])
    body = bytearray()
    ended = False
    with suppress(aiohttp.ClientError, OSError, TimeoutError):
        async with asyncio.timeout(_READ_TIMEOUT_S):
            while len(body) <= _KEPT_BYTES and not ended:
                part = await response.content.read(_KEPT_BYTES + 1 - len(body))
                body += part
                ended = not part
    return Response(headers=headers, body=bytes(body[:_KEPT_BYTES]), truncated=not ended)


def _detail(error: Exception) -> str:
    """What went wrong, as far as the reason does not say it, and without the URL's path and query."""
    match error:
        case ForbiddenAddressError():  # not where a name leads: the mesh's name server may know more than the tenant
            text = "the host leads to an address that must not be called"
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as certificate):
            text = f"certificate verify failed: {certificate.verify_message}"
        case aiohttp.ClientConnectorError(os_error=cause):
            text = cause.strerror or str(cause)
        case aiohttp.ServerDisconnectedError():
            text = "the receiver closed the connection without an answer"
        case aiohttp.ClientResponseError(message=message):
            text = message
        case aiohttp.InvalidURL() | TimeoutError():
            text = ""
        case _:
            text = str(error)
    return text[:_DETAIL_CHARACTERS]
