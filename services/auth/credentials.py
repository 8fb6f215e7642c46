"""What a request shows for itself: an API key, or a signature made by one. It is read without any lookup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.auth import signatures
from services.auth.domain import KeySecret
from services.auth.signatures import SIGNATURE_HEADER, SIGNATURE_INPUT_HEADER, SignedRequest, UnsoundSignature
from shared.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from services.auth.domain import Key
    from services.auth.signatures import HttpRequest
    from shared.errors import PenstockError

AUTHORIZATION_HEADER = "authorization"
API_KEY_HEADER = "x-api-key"
#: What no service gets to see.
HEADERS = (AUTHORIZATION_HEADER, API_KEY_HEADER, SIGNATURE_HEADER, SIGNATURE_INPUT_HEADER)
_HOW = "send one as 'Authorization: Bearer <key>' or as 'X-API-Key: <key>'"

Credential = KeySecret | SignedRequest


class Refusal(Exception):
    """The request carries no key that works.

    Args:
        outcome: Why, as logs and metrics say it.
        error: Why, and what to do, as the caller may know it.
        prefix: The key's public start, where there is one.
        key: The key, where its secret was right.
    """

    def __init__(
        self, outcome: str, error: PenstockError | str, *, prefix: str | None = None, key: Key | None = None
    ) -> None:
        self.error = Unauthenticated(error) if isinstance(error, str) else error
        super().__init__(self.error.message)
        self.outcome = outcome
        self.prefix = prefix
        self.key = key


def shown_by(http: HttpRequest, now: datetime, *, grpc_call: bool) -> Credential:
    """The key or the signature that the request carries.

    Raises:
        Refusal: It carries none, several, or one that could be no key's.
    """
    headers = http.headers
    if SIGNATURE_INPUT_HEADER not in headers and SIGNATURE_HEADER not in headers:
        return _secret(headers)
    if AUTHORIZATION_HEADER in headers or API_KEY_HEADER in headers:
        raise Refusal("ambiguous", "this call carries a signature beside an API key or Authorization; send one of them")
    if grpc_call:
        raise Refusal("malformed", f"only HTTP/JSON calls can be signed; over gRPC carry the API key: {_HOW}")
    try:
        return signatures.read(http, now)
    except UnsoundSignature as error:
        raise Refusal(error.outcome, str(error)) from None


def unknown(credential: Credential) -> Refusal:
    """The refusal of what is no key's: the same whether or not one has the prefix, so that none can be tried out."""
    prefix = credential.prefix
    if isinstance(credential, SignedRequest):
        message = (
            f"the signature is of no API key {prefix}… that is known here; sign exactly what is sent, with the signing "
            f"key made from that key, and rotate a key that is older than signed requests"
        )
    else:
        message = f"the API key {prefix}… is not known here; use one that was made here and copy it in full"
    return Refusal("unknown", message, prefix=prefix)


def _secret(headers: Mapping[str, str]) -> KeySecret:
    authorization, text = headers.get(AUTHORIZATION_HEADER), headers.get(API_KEY_HEADER)
    if authorization is not None:
        scheme, _, bearer = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise Refusal("malformed", "the Authorization header must read 'Bearer <API key>'")
        bearer = bearer.strip()
        if text is not None and text.strip() != bearer:
            raise Refusal("ambiguous", "the Authorization and X-API-Key headers carry different keys; send one of them")
        text = bearer
    if not text:
        raise Refusal("missing", f"this call carries no API key; {_HOW}")
    secret = KeySecret.parse(text.strip())
    if secret is None:
        raise Refusal(
            "malformed",
            "the API key is malformed or mistyped (its checksum does not fit); copy it in full, from 'psk_live_' on",
        )
    return secret
