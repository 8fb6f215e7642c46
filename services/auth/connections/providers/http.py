"""How auth asks providers: guarded as every call to a host that is not ours, with bounds of time and of size.

Nothing that was sent or answered goes into an error: either holds secrets. No redirect is followed, for none has a
reason to lead a secret elsewhere.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl

import aiohttp

from services.auth.connections.providers.grants import unavailable
from shared import observability, retry_after
from shared.addresses import ForbiddenAddressError
from shared.guarded_http import guarded_session, url_as_given

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp.abc import AbstractResolver

    from services.auth.connections.providers.domain import Provider
    from shared.addresses import AddressGuard

log = observability.logger()

#: For all of a call.
TIMEOUT = timedelta(seconds=10)
#: Of an answer; tokens are a few hundred bytes.
MAX_ANSWER_BYTES = 64 * 1024
#: Fields of a form.
_MAX_FIELDS = 100
#: Calls to providers at a time.
_MAX_CONNECTIONS = 100
_TOO_MANY_REQUESTS = 429


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderAnswer:
    """What a provider has answered.

    Args:
        status: HTTP's.
        fields: What its body holds by name; None where it is neither JSON's object nor a form.
        time: By its own clock, where it has told.
    """

    status: int
    fields: Mapping[str, Any] | None
    time: datetime | None = None

    @property
    def succeeded(self) -> bool:
        """Whether HTTP says so; some providers tell errors nevertheless."""
        return self.status // 100 == 2  # noqa: PLR2004  RFC 9110, 15


class ProviderHttp:
    """Asks providers over pooled connections.

    Args:
        guard: Decides which addresses may be called.
        resolver: Asks the name server; the machine's own unless told.
        timeout: For all of a call.
    """

    def __init__(
        self, guard: AddressGuard, *, resolver: AbstractResolver | None = None, timeout: timedelta = TIMEOUT
    ) -> None:
        self._guard = guard
        self._timeout_s = timeout.total_seconds()
        self._session = guarded_session(guard, limit=_MAX_CONNECTIONS, resolver=resolver)

    async def close(self) -> None:
        """Closes every connection."""
        await self._session.close()

    async def post(
        self, provider: Provider, url: str, form: Mapping[str, str] | None = None, *, headers: Mapping[str, str]
    ) -> ProviderAnswer:
        """Posts a form, or nothing.

        Raises:
            Unavailable: The provider does not answer in time, has a fault (5xx), is asked too often (429), or
                answers with what is no answer.
        """
        return await self._ask(provider, "POST", url, form, headers)

    async def get(self, provider: Provider, url: str, *, headers: Mapping[str, str]) -> ProviderAnswer:
        """Gets a document; raises as `post` does."""
        return await self._ask(provider, "GET", url, None, headers)

    async def _ask(
        self, provider: Provider, verb: str, url: str, form: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> ProviderAnswer:
        told = {"Accept": "application/json", "Accept-Encoding": "identity", **headers}
        try:
            self._guard.check_url(url)
            async with (
                asyncio.timeout(self._timeout_s),
                self._session.request(
                    verb, url_as_given(url), data=form, headers=told, allow_redirects=False
                ) as response,
            ):
                _check_status(provider, response)
                body = await _bounded(provider, response)
        except ForbiddenAddressError as error:
            log.warning("provider_forbidden", provider=provider.name, error=str(error))
            raise unavailable(provider, "is at an address that may not be called") from None
        except TimeoutError:
            raise unavailable(provider, f"does not answer within {self._timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:  # the cause may show what was sent: it stays here
            log.info("provider_away", provider=provider.name, error=type(error).__name__)
            raise unavailable(provider, "does not answer") from None
        return ProviderAnswer(
            status=response.status,
            fields=_fields(body, response.content_type),
            time=retry_after.http_date(response.headers.get("Date", "")),
        )


def _check_status(provider: Provider, response: aiohttp.ClientResponse) -> None:
    if response.status == _TOO_MANY_REQUESTS:
        pause = retry_after.parse(response.headers.get("Retry-After", ""), datetime.now(UTC))
        raise unavailable(provider, "is asked too often", retry_after=pause)
    if response.status >= 500 or response.status // 100 == 3:  # noqa: PLR2004  RFC 9110, 15
        raise unavailable(provider, f"answers with status {response.status}")


async def _bounded(provider: Provider, response: aiohttp.ClientResponse) -> bytes:
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise unavailable(provider, "compresses its answer, which was not asked for")
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise unavailable(provider, f"answers with more than {MAX_ANSWER_BYTES // 1024} KiB")
    return bytes(body)


def _fields(body: bytes, content_type: str) -> Mapping[str, Any] | None:
    """What a body holds by name: JSON's object, or a form, which OAuth 1.0a answers with, under whatever type."""
    try:
        text = body.decode()
        if text.lstrip().startswith("{"):
            found = json.loads(text)
            return cast("Mapping[str, Any]", found)
        if content_type == "application/json":
            return None
        return dict(parse_qsl(text.strip(), strict_parsing=True, max_num_fields=_MAX_FIELDS))
    except (ValueError, RecursionError):
        return None
