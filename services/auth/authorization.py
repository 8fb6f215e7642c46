"""Envoy asks once a request who it comes from (`envoy.service.auth.v3.Authorization`).

The answer to a good key is an identity token in `x-penstock-identity`, and the removal of the key itself, so that no
service behind the gateway ever sees one. A signature made with the key stands for the key, once, and for the request
that was signed alone; the gateway is told what its body must be. Once a key is known, its answer stands ready: nothing
is made or looked up, and all that is asked of another process is whether its limits have room. What proves no identity
is counted by the address that it comes from; an address that has guessed too much is heard only with a key that is
known here already. Where the route leads to an RPC that asks for nobody, nobody is looked for: such a request passes
without an identity, whatever key it shows, and is counted by its address too.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from penstock.gateway.v1 import external_auth_pb2_grpc
from prometheus_client import Counter

from services.auth import answers, credentials, networks, refused
from services.auth.credentials import Refusal
from services.auth.domain import KeyState
from services.auth.signatures import SignedRequest
from services.auth.usage_store import Counted
from services.auth.windows import Repeated
from shared import observability
from shared.errors import PermissionDenied, TenantSuspended, Unavailable
from shared.identity import CLIENT_ADDRESS_HEADER, Principal, PrincipalKind
from shared.permissions import PERMISSIONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import grpc
    from penstock.gateway.v1 import external_auth_pb2 as envoy

    from services.auth.credentials import Credential
    from services.auth.domain import FoundKey, Key, KeyHasher
    from services.auth.known_keys import KnownKey, KnownKeys
    from services.auth.limiter import Guesses, Limiter, RateLimits
    from services.auth.networks import Address
    from services.auth.signing_keys import SigningKeys
    from services.auth.usage import Usage
    from services.auth.windows import Verdict, Window
    from shared.audit import Audit
    from shared.clock import Clock
    from shared.identity import TokenSigner

    Context = grpc.aio.ServicerContext[Any, Any]

log = observability.logger()

CHECKS = Counter("penstock_auth_checks", "Questions of the gateway, by outcome.", ("outcome",))
_ALLOWED = CHECKS.labels("allowed")

#: A token is good for so long.
TOKEN_LIFETIME = timedelta(seconds=60)
#: It is made anew when half of that is over, so that whoever gets one can use it for at least this long.
_RENEW_AFTER = 0.5
#: RPCs that ask for nobody, as the gateway names them.
_OF_ANYONE = frozenset(
    rpc.removeprefix("/").replace("/", ".") for rpc, permission in PERMISSIONS.items() if permission.anonymous
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """The answer that stands ready for a key."""

    response: envoy.CheckResponse
    #: What its requests are counted in.
    windows: tuple[Window, ...]
    #: By the monotonic clock.
    renew_at: float


class AuthorizationServicer(external_auth_pb2_grpc.AuthorizationServicer):
    """Answers with an identity for a good key, and with the error that the caller sees for any other.

    Args:
        known_keys: The keys.
        hasher: How their secrets are kept.
        signing_keys: How their signing keys are.
        signer: Signs identities in auth's name.
        limits: How many requests there may be.
        limiter: Counts them.
        guesses: Counts those that prove no identity.
        usage: Notes what keys are used for.
        audit: Is told of what is refused.
        clock: The time, by which keys expire.
        monotonic: Seconds that only grow, by which answers are renewed.
    """

    def __init__(
        self,
        *,
        known_keys: KnownKeys[Pass],
        hasher: KeyHasher,
        signing_keys: SigningKeys,
        signer: TokenSigner,
        limits: RateLimits,
        limiter: Limiter,
        guesses: Guesses,
        usage: Usage,
        audit: Audit,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._known_keys = known_keys
        self._hasher = hasher
        self._signing_keys = signing_keys
        self._signer = signer
        self._limits = limits
        self._limiter = limiter
        self._guesses = guesses
        self._usage = usage
        self._audit = audit
        self._clock = clock
        self._monotonic = monotonic

    async def Check(self, request: envoy.CheckRequest, context: Context) -> envoy.CheckResponse:  # noqa: N802  gRPC's name
        """Answers whether, and as whom, a request may go on."""
        del context
        http = request.attributes.request.http
        address = networks.address(http.headers.get(CLIENT_ADDRESS_HEADER, ""))
        grpc_call = http.headers.get("content-type", "").startswith("application/grpc")
        if request.attributes.context_extensions.get(refused.RPC_EXTENSION) in _OF_ANYONE:
            return await self._of_anyone(request, address, grpc_call=grpc_call)
        try:
            credential = credentials.shown_by(http, self._clock.now(), grpc_call=grpc_call)
            known = await self._known(credential.prefix, address)
            found = self._proven(credential, known)
            now = self._clock.now()
            _check_works(found, credential.prefix, now)
            _check_comes_from(found.key, address)
            if known.memo is None or self._monotonic() >= known.memo.renew_at:
                known.memo = self._make_pass(found.key, credential.prefix, now)
            ready = known.memo
            verdict = await self._counted(ready, found.key, credential)
        except Refusal as refusal:
            return await self._refused(refusal, request, address, grpc_call=grpc_call)
        except Unavailable as error:
            CHECKS.labels(error.reason.lower()).inc()
            log.info("key_refused", outcome=error.reason.lower())
            return answers.denial(error, grpc_call=grpc_call)
        if not verdict.admitted:
            self._usage.count(found.key, Counted.RATE_LIMITED, now)
            CHECKS.labels("rate_limited").inc()
            return answers.denial(answers.over_limit(verdict), grpc_call=grpc_call, verdict=verdict, caller=found.key)
        self._usage.count(found.key, Counted.ALLOWED, now)
        _ALLOWED.inc()
        signed_digest = credential.digest if isinstance(credential, SignedRequest) else None
        return answers.with_standing(ready.response, verdict, signed_digest=signed_digest)

    async def _known(self, prefix: str, address: Address | None) -> KnownKey[Pass]:
        """What is known about the prefix; an address that has guessed too much has nothing looked up any more.

        Raises:
            Refusal: It has, and the prefix is of no key in use here.
            Unavailable: Nothing is known, and the store is away.
        """
        known = self._known_keys.in_use(prefix)
        if known is not None:
            return known
        if self._guesses.refusal(address) is not None:
            raise Refusal("unheard", "this address has shown too many keys that are none; try later", prefix=prefix)
        return await self._known_keys.get(prefix)

    def _proven(self, credential: Credential, known: KnownKey[Pass]) -> FoundKey:
        """The key whose secret, or whose signature, this is, given what is known about its prefix.

        Raises:
            Refusal: It is no key's.
        """
        found = known.found
        if found is None or not self._is_of(found.key, credential):
            raise credentials.unknown(credential)
        return found

    def _is_of(self, key: Key, credential: Credential) -> bool:
        if isinstance(credential, SignedRequest):
            signing_key = self._signing_keys.of(key, credential.prefix)
            return signing_key is not None and credential.is_signed_with(signing_key)
        return self._hasher.matches(credential, key.digest_of(credential.prefix))

    async def _counted(self, ready: Pass, key: Key, credential: Credential) -> Verdict:
        """Whether the limits have room for the request; one that is signed is counted once.

        Raises:
            Refusal: It was signed, and has come before.
            Unavailable: It was signed, and nobody can tell whether it has.
        """
        mark = credential.mark_of(key) if isinstance(credential, SignedRequest) else None
        try:
            return await self._limiter.take(ready.windows, mark)
        except Repeated:
            message = "this signature has been used before; sign each request anew, with a nonce of its own"
            raise Refusal("repeated", message, prefix=credential.prefix, key=key) from None

    def _make_pass(self, key: Key, prefix: str, now: datetime) -> Pass:
        end = key.end_of(prefix)
        lifetime = TOKEN_LIFETIME if end is None else min(TOKEN_LIFETIME, end - now)
        principal = Principal(kind=PrincipalKind.KEY, id=key.id, tenant=key.tenant, scopes=key.scopes)
        token = self._signer.sign(principal, lifetime)
        windows = self._limits.windows_of(key)
        return Pass(
            response=answers.permission(principal, token, answers.policy(windows)),
            windows=windows,
            renew_at=self._monotonic() + lifetime.total_seconds() * _RENEW_AFTER,
        )

    async def _refused(
        self, refusal: Refusal, request: envoy.CheckRequest, address: Address | None, *, grpc_call: bool
    ) -> envoy.CheckResponse:
        """The refusal, or what an address is told instead that has been refused too often."""
        if refusal.key is not None:
            self._usage.count(refusal.key, Counted.REFUSED, self._clock.now())
        verdict = await self._counted_by_address(address)
        if not verdict.admitted:
            return self._guessed_too_much(verdict, request, address, grpc_call=grpc_call)
        CHECKS.labels(refusal.outcome).inc()
        log.info("key_refused", outcome=refusal.outcome, prefix=refusal.prefix, address=str(address))
        entry = refused.entry_of(
            request, refusal.error, refusal.outcome, address=address, prefix=refusal.prefix, key=refusal.key
        )
        self._audit.refused(entry)
        return answers.denial(refusal.error, grpc_call=grpc_call)

    async def _of_anyone(
        self, request: envoy.CheckRequest, address: Address | None, *, grpc_call: bool
    ) -> envoy.CheckResponse:
        """Lets pass whoever it is, as often as an address may come without a key that works."""
        verdict = await self._counted_by_address(address)
        if not verdict.admitted:
            return self._guessed_too_much(verdict, request, address, grpc_call=grpc_call)
        CHECKS.labels("anonymous").inc()
        return answers.of_nobody(verdict)

    async def _counted_by_address(self, address: Address | None) -> Verdict:
        """Counts a request that proves no identity, unless its address is known to have made too many."""
        full = self._guesses.refusal(address)
        return full if full is not None else await self._guesses.note(address)

    def _guessed_too_much(
        self, verdict: Verdict, request: envoy.CheckRequest, address: Address | None, *, grpc_call: bool
    ) -> envoy.CheckResponse:
        CHECKS.labels("guesses_limited").inc()
        error = answers.over_limit(verdict)
        self._audit.refused(refused.entry_of(request, error, "guesses", address=address))
        return answers.denial(error, grpc_call=grpc_call, verdict=verdict)


def _check_works(found: FoundKey, prefix: str, now: datetime) -> None:
    """Lets pass a key that works, whose secret has been shown.

    Raises:
        Refusal: It does not, or its tenant is suspended or gone.
    """
    key, tenant = found.key, found.tenant
    state = key.state(now)
    end = key.end_of(prefix)
    if state is KeyState.REVOKED:
        message = f"the API key {prefix}… was revoked; use another one"
        raise Refusal("revoked", message, prefix=prefix, key=key)
    if state is KeyState.EXPIRED:
        raise Refusal("expired", f"the API key {prefix}… has expired; make a new one", prefix=prefix, key=key)
    if end is not None and end <= now:
        message = f"the secret {prefix}… was replaced when its key was rotated; use the new one"
        raise Refusal("rotated", message, prefix=prefix, key=key)
    if tenant is None:
        gone = PermissionDenied(f"there is no tenant {key.tenant!r} any more", metadata={"tenant": key.tenant})
        raise Refusal("tenant_gone", gone, prefix=prefix, key=key)
    if tenant.suspension is not None:
        reason = f" ({tenant.suspension.reason})" if tenant.suspension.reason else ""
        suspended = TenantSuspended(
            f"the tenant {key.tenant!r} is suspended{reason}; ask the operator to resume it",
            metadata={"tenant": key.tenant},
        )
        raise Refusal("tenant_suspended", suspended, prefix=prefix, key=key)


def _check_comes_from(key: Key, address: Address | None) -> None:
    """Lets pass a request from where its key works.

    Raises:
        Refusal: It comes from elsewhere.
    """
    if key.networks and not networks.contain(key.networks, address):
        denied = PermissionDenied(
            f"this API key does not work from {address}; call from one of its networks",
            metadata={"address": str(address)},
        )
        raise Refusal("address", denied, prefix=key.prefix, key=key)
