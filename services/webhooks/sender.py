"""The one HTTP client of all deliveries: a signed body out, a status back."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import aiohttp
from opentelemetry.trace import SpanKind, Status, StatusCode

from services.webhooks.domain import Outcome, Reason
from shared import observability, retry_after
from shared.addresses import ForbiddenAddressError
from shared.guarded_http import guarded_session, url_as_given

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from aiohttp.abc import AbstractResolver
    from yarl import URL

    from shared.addresses import AddressGuard
    from shared.clock import Clock

#: Of an answer's body, read and thrown away so that its connection can serve again; with more in it, it is closed.
_DISCARDED_BYTES = 4096
_DISCARD_TIMEOUT_S = 1.0
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
        resolver: Asks the name server; the machine's own unless told.
    """

    def __init__(
        self,
        guard: AddressGuard,
        *,
        clock: Clock,
        timeout: timedelta,
        limit: int,
        resolver: AbstractResolver | None = None,
    ) -> None:
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
            return Outcome(reason=next(reason for kind, reason in _ERRORS if isinstance(error, kind)))

    async def _post(self, url: URL, body: bytes, headers: Mapping[str, str]) -> Outcome:
        complete = {**headers, "content-type": "application/json", **_trace()}
        async with (
            asyncio.timeout(self._timeout_s) as bound,
            self._session.post(url, data=body, headers=complete, allow_redirects=False) as response,
        ):
            bound.reschedule(None)  # the status has told all that counts; what follows has a bound of its own
            await _discard(response)
            asked = response.headers.get("Retry-After")
            return Outcome.of_status(
                response.status, retry_after.parse(asked, self._clock.now()) if asked is not None else None
            )


def _trace() -> dict[str, str]:
    traceparent = observability.current_traceparent()
    return {observability.TRACEPARENT: traceparent} if traceparent else {}


async def _discard(response: aiohttp.ClientResponse) -> None:
    """Reads a little of the body; whatever becomes of it changes nothing."""
    with suppress(aiohttp.ClientError, OSError, TimeoutError):
        async with asyncio.timeout(_DISCARD_TIMEOUT_S):
            await response.content.read(_DISCARDED_BYTES)
