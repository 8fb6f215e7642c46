"""Identity tokens: who a request acts as, signed by auth or by a service, verified by whoever is called.

A token is a JWT (RFC 7519) signed with Ed25519 (RFC 8037). Its `kid` says under which key, and that one whose it is
(`identity_keys`); the issuer `auth` may vouch for anyone, every other issuer only for itself.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from shared.errors import Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.identity_keys import IdentityKeys

#: The metadata key that carries the token; the gateway removes what a client sent under this name.
IDENTITY_HEADER = "x-penstock-identity"
#: The metadata key under which the gateway says which address a request comes from; a client's own is removed as well.
CLIENT_ADDRESS_HEADER = "x-penstock-client-address"
#: The SHA-256 that the body of a signed request must have, in hexadecimal, as auth tells the gateway alone.
SIGNED_DIGEST_HEADER = "x-penstock-signed-digest"
#: The issuer that may vouch for principals other than itself.
AUTH_ISSUER = "auth"
_ALGORITHM = "EdDSA"
_AUDIENCE = "penstock"
#: How far the clocks of two machines may be apart.
_LEEWAY_S = 5
#: Verified tokens that are remembered; one a key and minute, so that this is thousands of active keys.
_CACHE_ENTRIES = 10_000


class PrincipalKind(StrEnum):
    """What a principal is."""

    KEY = "key"
    SERVICE = "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who a request acts as."""

    kind: PrincipalKind
    #: The API key's id, or the service's name.
    id: str
    #: Empty for a service, which belongs to no tenant.
    tenant: str
    scopes: frozenset[str]


class TokenSigner:
    """Signs tokens in one issuer's name.

    Args:
        issuer: Who signs.
        private_key_pem: The Ed25519 private key (PEM, PKCS #8).
        keys: Where its public half is known.

    Raises:
        TypeError: The private key is of another kind.
        LookupError: Nobody would know it.
    """

    def __init__(self, issuer: str, private_key_pem: str, keys: IdentityKeys) -> None:
        key = load_pem_private_key(private_key_pem.encode(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise TypeError(f"the private key of {issuer} is a {type(key).__name__}; it must be an Ed25519 key")
        kid = keys.kid_of(issuer, key.public_key())
        if kid is None:
            raise LookupError(f"the public half of the private key of {issuer} is not in the set of identity keys")
        self._issuer = issuer
        self._key = key
        self._headers = {"kid": kid}

    def sign(self, principal: Principal, lifetime: timedelta) -> str:
        """A token that vouches for the principal until its lifetime is over."""
        now = time.time()
        claims = {
            "iss": self._issuer,
            "aud": _AUDIENCE,
            "sub": principal.id,
            "kind": principal.kind.value,
            "tenant": principal.tenant,
            "scopes": sorted(principal.scopes),
            "iat": int(now),
            "exp": int(now + lifetime.total_seconds()),
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM, headers=self._headers)


class ServiceIdentity:
    """A service's own token, made anew well before it ends."""

    #: Long enough to be made seldom, short enough to be of no use when found in a dump.
    _LIFETIME = timedelta(minutes=5)
    _RENEW_BEFORE = timedelta(minutes=1)

    def __init__(self, service: str, signer: TokenSigner) -> None:
        self._principal = Principal(kind=PrincipalKind.SERVICE, id=service, tenant="", scopes=frozenset())
        self._signer = signer
        self._token = ""
        self._renew_at = 0.0

    def token(self) -> str:
        """The token to send now."""
        if time.monotonic() >= self._renew_at:
            self._token = self._signer.sign(self._principal, self._LIFETIME)
            self._renew_at = time.monotonic() + (self._LIFETIME - self._RENEW_BEFORE).total_seconds()
        return self._token


class TokenVerifier:
    """Tells who a token vouches for; a token seen before is only looked up.

    Args:
        keys: The public keys of all issuers.
    """

    def __init__(self, keys: IdentityKeys) -> None:
        self._keys = keys
        self._generation = keys.generation
        self._seen: OrderedDict[str, tuple[Principal, float]] = OrderedDict()

    def verify(self, token: str) -> Principal:
        """The principal that the token vouches for.

        Raises:
            Unauthenticated: The token is malformed, of an unknown issuer, forged, expired or vouches for too much.
        """
        self._keys.look()
        known = self._seen.get(token) if self._generation == self._keys.generation else None
        if known is not None and time.time() < known[1]:
            return known[0]
        try:
            kid = jwt.get_unverified_header(token).get("kid", "")
            key = self._keys.get(kid)
            if key is None:
                raise Unauthenticated(f"the identity token's key {kid!r} is not known here")
            claims = jwt.decode(
                token,
                key.public_key,
                algorithms=[_ALGORITHM],
                audience=_AUDIENCE,
                issuer=key.issuer,
                leeway=_LEEWAY_S,
                options={"require": ["exp", "iat", "aud", "iss", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise Unauthenticated(f"the identity token is not valid: {error}") from error
        principal = _principal(claims)
        if key.issuer != AUTH_ISSUER and (principal.kind is not PrincipalKind.SERVICE or principal.id != key.issuer):
            raise Unauthenticated(f"the issuer {key.issuer!r} may vouch only for itself")
        self._remember(token, principal, float(claims["exp"]))
        return principal

    def _remember(self, token: str, principal: Principal, expires_at: float) -> None:
        if self._generation != self._keys.generation:  # what was signed under a key that was removed is good no more
            self._generation = self._keys.generation
            self._seen.clear()
        self._seen[token] = (principal, expires_at)
        if len(self._seen) > _CACHE_ENTRIES:
            self._seen.popitem(last=False)


def _principal(claims: Mapping[str, Any]) -> Principal:
    try:
        kind, name, tenant, scopes = PrincipalKind(claims["kind"]), claims["sub"], claims["tenant"], claims["scopes"]
    except (KeyError, ValueError) as error:
        raise Unauthenticated(f"the identity token lacks a claim or has a wrong one: {error}") from error
    if not (
        _are_texts([name, tenant]) and name and isinstance(scopes, list) and _are_texts(cast("list[object]", scopes))
    ):
        raise Unauthenticated("the identity token has a claim of a wrong type")
    principal = Principal(kind=kind, id=name, tenant=tenant, scopes=frozenset(cast("list[str]", scopes)))
    if kind is PrincipalKind.SERVICE and (tenant or scopes):
        raise Unauthenticated("the identity token vouches for a service with a tenant or scopes, which none has")
    if kind is PrincipalKind.KEY and not tenant:
        raise Unauthenticated("the identity token vouches for a key of no tenant")
    return principal


def _are_texts(claims: list[object]) -> bool:
    """Whether they are texts: JSON may hold a list, or nothing, in a text's place."""
    return all(isinstance(claim, str) for claim in claims)
