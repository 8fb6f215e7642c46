"""Envoy asks once a request who it comes from (`envoy.service.auth.v3.Authorization`).

The answer to a good key is an identity token in `x-penstock-identity`, and the removal of the key itself, so that no
service behind the gateway ever sees one. Once a key is known, its answer stands ready: nothing is signed or looked up.
"""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from google.rpc import status_pb2
from penstock.gateway.v1 import external_auth_pb2 as envoy
from penstock.gateway.v1 import external_auth_pb2_grpc
from prometheus_client import Counter

from services.auth.domain import KeySecret, KeyState
from shared import observability
from shared.errors import PenstockError, PermissionDenied, Unauthenticated
from shared.identity import IDENTITY_HEADER, Principal, PrincipalKind
from shared.rpc import status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    import grpc

    from services.auth.domain import FoundKey, KeyHasher
    from services.auth.known_keys import KnownKey, KnownKeys
    from shared.clock import Clock
    from shared.identity import TokenSigner

    Context = grpc.aio.ServicerContext[Any, Any]

log = observability.logger()

CHECKS = Counter("penstock_auth_checks", "Questions of the gateway, by outcome.", ("outcome",))
_ALLOWED = CHECKS.labels("allowed")

AUTHORIZATION_HEADER = "authorization"
API_KEY_HEADER = "x-api-key"
_HOW = "send one as 'Authorization: Bearer <key>' or as 'X-API-Key: <key>'"
#: A token is good for so long.
TOKEN_LIFETIME = timedelta(seconds=60)
#: It is made anew when half of that is over, so that whoever gets one can use it for at least this long.
_RENEW_AFTER = 0.5


class Refusal(Exception):
    """The request carries no key that works.

    Args:
        outcome: Why, as logs and metrics say it.
        message: Why, and what to do, as the caller may know it.
        prefix: The key's public start, where there is one.
    """

    def __init__(self, outcome: str, message: str, *, prefix: str | None = None) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.error = Unauthenticated(message)
        self.prefix = prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """The answer that stands ready for a key."""

    response: envoy.CheckResponse
    #: By the monotonic clock.
    renew_at: float


class AuthorizationServicer(external_auth_pb2_grpc.AuthorizationServicer):
    """Answers with an identity for a good key, and with the error that the caller sees for any other.

    Args:
        known_keys: The keys.
        hasher: How their secrets are kept.
        signer: Signs identities in auth's name.
        clock: The time, by which keys expire.
        monotonic: Seconds that only grow, by which answers are renewed.
    """

    def __init__(
        self,
        *,
        known_keys: KnownKeys[Pass],
        hasher: KeyHasher,
        signer: TokenSigner,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._known_keys = known_keys
        self._hasher = hasher
        self._signer = signer
        self._clock = clock
        self._monotonic = monotonic

    async def Check(self, request: envoy.CheckRequest, context: Context) -> envoy.CheckResponse:  # noqa: N802  gRPC's name
        """Answers whether, and as whom, a request may go on."""
        del context
        headers: Mapping[str, str] = request.attributes.request.http.headers
        try:
            secret = _secret(headers)
            known = await self._known_keys.get(secret.prefix)
            response = self._answer(secret, known)
        except Refusal as refusal:
            return _refused(refusal.error, refusal.outcome, headers, prefix=refusal.prefix)
        except PenstockError as error:
            return _refused(error, error.reason.lower(), headers)
        _ALLOWED.inc()
        return response

    def _answer(self, secret: KeySecret, known: KnownKey[Pass]) -> envoy.CheckResponse:
        """The answer to a secret, given what is known about its prefix.

        Raises:
            Refusal: It is not the key's, or the key no longer works.
            PermissionDenied: Its tenant is closed.
        """
        found = known.found
        if found is None or not self._hasher.matches(secret, found.key.digest):
            raise Refusal(  # the same words for both, so that a prefix cannot be tried out
                "unknown",
                f"the API key {secret.prefix}… is not known here; use one that was made here and copy it in full",
                prefix=secret.prefix,
            )
        now = self._clock.now()
        _check_works(found, now)
        if known.memo is None or self._monotonic() >= known.memo.renew_at:
            known.memo = self._make_pass(found, now)
        return known.memo.response

    def _make_pass(self, found: FoundKey, now: datetime) -> Pass:
        key = found.key
        lifetime = TOKEN_LIFETIME if key.expires_at is None else min(TOKEN_LIFETIME, key.expires_at - now)
        principal = Principal(kind=PrincipalKind.KEY, id=key.id, tenant=key.tenant, scopes=key.scopes)
        token = self._signer.sign(principal, lifetime)
        renew_at = self._monotonic() + lifetime.total_seconds() * _RENEW_AFTER
        return Pass(response=_permission(token), renew_at=renew_at)


def _secret(headers: Mapping[str, str]) -> KeySecret:
    """The key that the request carries; whether it can be one at all is seen without a lookup.

    Raises:
        Refusal: It carries none, two, or one that is malformed.
    """
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


def _check_works(found: FoundKey, now: datetime) -> None:
    """Lets pass a key that works, whose secret has been shown."""
    key, tenant = found.key, found.tenant
    state = key.state(now)
    if state is KeyState.REVOKED:
        raise Refusal("revoked", f"the API key {key.prefix}… was revoked; use another one", prefix=key.prefix)
    if state is KeyState.EXPIRED:
        raise Refusal("expired", f"the API key {key.prefix}… has expired; make a new one", prefix=key.prefix)
    if tenant is None or (tenant.disabled_at is not None and tenant.disabled_at <= now):
        raise PermissionDenied(
            f"the tenant {key.tenant!r} is closed; ask the operator", metadata={"tenant": key.tenant}
        )


def _refused(
    error: PenstockError, outcome: str, headers: Mapping[str, str], *, prefix: str | None = None
) -> envoy.CheckResponse:
    CHECKS.labels(outcome).inc()
    log.info("key_refused", outcome=outcome, prefix=prefix)
    return _denial(error, grpc_call=headers.get("content-type", "").startswith("application/grpc"))


def _permission(token: str) -> envoy.CheckResponse:
    return envoy.CheckResponse(
        ok_response=envoy.OkHttpResponse(
            headers=[_header(IDENTITY_HEADER, token)],
            headers_to_remove=[AUTHORIZATION_HEADER, API_KEY_HEADER],
        )
    )


def _denial(error: PenstockError, *, grpc_call: bool) -> envoy.CheckResponse:
    """The error as the caller gets it: the one JSON shape, or a gRPC status with its details.

    Envoy makes a gRPC status of it where the caller speaks gRPC: its code from the HTTP status, its message from the
    body; the headers go along as trailers.
    """
    http = error.http_status or status.HTTP_BY_CODE[error.code]
    rich = status.to_status(error)
    headers = dict(status.initial_metadata(error))
    if http == status.HTTP_BY_CODE["UNAUTHENTICATED"]:
        headers["www-authenticate"] = "Bearer"  # RFC 9110, 11.6.1
    if grpc_call:
        for key, value in rich.trailing_metadata:
            headers[key] = (
                base64.b64encode(cast("bytes", value)).decode().rstrip("=")
            )  # binary metadata, as gRPC over HTTP/2 writes it
    else:
        headers["content-type"] = "application/json"
    return envoy.CheckResponse(
        status=status_pb2.Status(code=rich.code.value[0], message=error.message),
        denied_response=envoy.DeniedHttpResponse(
            status=envoy.HttpStatus(code=http),
            headers=[_header(key, value) for key, value in headers.items()],
            body=error.message if grpc_call else status.to_json(error),
        ),
    )


def _header(key: str, value: str) -> envoy.HeaderValueOption:
    return envoy.HeaderValueOption(
        header=envoy.HeaderValue(key=key, value=value), append_action=envoy.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    )
