"""How a request shows whose it is: by the API key, or by a signature made with it (RFC 9421; `docs/access.md`)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

_PREFIX_CHARACTERS = 16  # of a key, which name it without giving it away
_DERIVATION = b"penstock request signing v1"
_NONCE_BYTES = 16
_SIGNED_HEADER = "idempotency-key"  # whoever changed it on the way could have a job made twice


class KeyHeader(httpx.Auth):
    """Sends the API key.

    Args:
        api_key: As Penstock gave it.
    """

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """The request with the key."""
        request.headers["X-API-Key"] = self._api_key
        yield request


class Signer(httpx.Auth):
    """Signs each request, with a nonce that no other one has; the API key never travels.

    Args:
        api_key: As Penstock gave it.
        clock: The time in seconds since 1970; it must be right to 5 minutes.
    """

    requires_request_body = True

    def __init__(self, api_key: str, *, clock: Callable[[], float] = time.time) -> None:
        self._key_id = api_key[:_PREFIX_CHARACTERS]
        self._signing_key = hmac.digest(api_key.encode(), _DERIVATION, "sha256")
        self._clock = clock

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """The request with its signature."""
        also = {_SIGNED_HEADER: request.headers[_SIGNED_HEADER]} if _SIGNED_HEADER in request.headers else {}
        target = request.url.raw_path.decode("ascii")
        request.headers.update(self.sign(request.method, target, request.content, also=also))
        yield request

    def sign(
        self, method: str, target: str, body: bytes = b"", *, also: Mapping[str, str] | None = None, nonce: str = ""
    ) -> dict[str, str]:
        """The headers to send with a request.

        Args:
            method: As it is sent.
            target: Path and query, exactly as they are sent.
            body: As it is sent.
            also: Headers that are signed beside it, in lower case, with their values.
            nonce: A fresh one unless given.
        """
        path, _, query = target.partition("?")
        parts = {"@method": method, "@path": path, "@query": f"?{query}"}
        headers: dict[str, str] = {}
        if body:
            headers["Content-Digest"] = parts["content-digest"] = f"sha-256=:{_base64(hashlib.sha256(body).digest())}:"
        parts |= also or {}
        names = " ".join(f'"{name}"' for name in parts)
        created, nonce = int(self._clock()), nonce or secrets.token_urlsafe(_NONCE_BYTES)
        covered = f'({names});created={created};nonce="{nonce}";keyid="{self._key_id}";alg="hmac-sha256"'
        base = "\n".join(f'"{name}": {value}' for name, value in {**parts, "@signature-params": covered}.items())
        signature = _base64(hmac.digest(self._signing_key, base.encode(), "sha256"))
        return {**headers, "Signature-Input": f"penstock={covered}", "Signature": f"penstock=:{signature}:"}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
