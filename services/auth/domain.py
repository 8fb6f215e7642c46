"""Tenants and API keys: their values and their rules.

A key's secret is `psk_live_<24 random><6 checksum>`, in base62 (`0-9A-Za-z`). The checksum is the CRC-32 (ISO-HDLC, as
in zlib) of all that stands before it, so that a mistyped key is told from an unknown one without a lookup, and a leaked
one can be found by scanners. The first 7 of the random characters are public: with `psk_live_` they are the key's
prefix, by which it is recognised and looked up. The other 17 are 101 bits of secret. What is kept of a secret is its
HMAC-SHA-256 under a pepper that the database does not know.
"""

from __future__ import annotations

import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from shared import ids
from shared.errors import FieldViolation, PermissionDenied
from shared.permissions import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from shared.config import Secret
    from shared.identity import Principal

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_MARK = "psk_live_"
_RANDOM_CHARACTERS = 24
_CHECKSUM_CHARACTERS = 6  # 62^6 exceeds 2^32
_PUBLIC_CHARACTERS = 7
_PREFIX_LENGTH = len(_MARK) + _PUBLIC_CHARACTERS
_SECRET = re.compile(rf"{_MARK}[0-9A-Za-z]{{{_RANDOM_CHARACTERS + _CHECKSUM_CHARACTERS}}}")
_NAME_MAX_CHARACTERS = 100
#: Of a wrong value that is shown again in an error.
_SHOWN_CHARACTERS = 60


class PrefixTaken(Exception):
    """Another key has the same public prefix already."""


@dataclass(frozen=True, slots=True, repr=False)
class KeySecret:
    """A well-formed secret; it shows no more than its public prefix."""

    _text: str

    @classmethod
    def new(cls) -> KeySecret:
        """A secret that nobody has seen."""
        body = _MARK + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARACTERS))
        return cls(body + _checksum(body))

    @classmethod
    def parse(cls, text: str) -> KeySecret | None:
        """The secret in the text, or None where its form or its checksum is wrong."""
        if _SECRET.fullmatch(text) is None:
            return None
        body, checksum = text[:-_CHECKSUM_CHARACTERS], text[-_CHECKSUM_CHARACTERS:]
        return cls(text) if _checksum(body) == checksum else None

    @property
    def prefix(self) -> str:
        """The public start."""
        return self._text[:_PREFIX_LENGTH]

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return f"KeySecret({self.prefix}…)"

    __str__ = __repr__


class KeyHasher:
    """Hashes secrets, and tells whether one belongs to a hash.

    Args:
        pepper: The same wherever keys of one database are used.
    """

    def __init__(self, pepper: Secret) -> None:
        self._pepper = pepper.reveal().encode()

    def digest(self, secret: KeySecret) -> bytes:
        """The HMAC-SHA-256 (RFC 2104) of the secret, 32 bytes."""
        return hmac.digest(self._pepper, secret.reveal().encode(), "sha256")

    def matches(self, secret: KeySecret, digest: bytes) -> bool:
        """Whether this is the secret's digest; takes as long whichever byte differs."""
        return hmac.compare_digest(self.digest(secret), digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """An owner of keys, jobs and all else."""

    #: A lower-case slug.
    name: str
    created_at: datetime
    #: From then on none of its keys works.
    disabled_at: datetime | None = None


class KeyState(StrEnum):
    """Whether a key works."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key, without its secret."""

    id: str
    tenant: str
    name: str
    prefix: str
    digest: bytes = field(repr=False)
    scopes: frozenset[str]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def state(self, now: datetime) -> KeyState:
        """Whether it works at this time."""
        if self.revoked_at is not None:
            return KeyState.REVOKED
        if self.expires_at is not None and now >= self.expires_at:
            return KeyState.EXPIRED
        return KeyState.ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundKey:
    """A key as it is found by its prefix, together with its tenant, where that is still known."""

    key: Key
    tenant: Tenant | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOrder:
    """A key that somebody wants made."""

    tenant: str
    name: str
    scopes: tuple[str, ...]
    expires_at: datetime | None = None

    def violations(self, now: datetime) -> Iterator[FieldViolation]:
        """What is wrong with it, whoever asks."""
        yield from _name_violations(self.name)
        yield from _scope_violations(self.scopes)
        if self.expires_at is not None and self.expires_at <= now:
            yield FieldViolation(
                "expiresAt",
                f"{self.expires_at.isoformat()} is past; name a time to come, or none for a key without end",
            )
        if not ids.is_slug(self.tenant):
            yield FieldViolation("tenant", f"{shown(self.tenant)} is not a tenant's name: a lower-case slug")

    def check_grantable_by(self, maker: Principal) -> None:
        """Lets a maker pass who may have this key made.

        Raises:
            PermissionDenied: It would hold a scope that its maker has not, or belong to another tenant, which takes an
                operator.
        """
        if self.tenant != maker.tenant and Scope.OPERATOR not in maker.scopes:
            raise PermissionDenied(
                f"this API key belongs to the tenant {maker.tenant!r}; keys for another tenant need the scope "
                f"{Scope.OPERATOR.value!r}",
                metadata={"scope": Scope.OPERATOR.value},
            )
        beyond = sorted(set(self.scopes) - maker.scopes)
        if beyond:
            raise PermissionDenied(
                f"a key can grant only scopes that its maker has; this API key lacks {', '.join(map(repr, beyond))}",
                metadata={"scope": beyond[0]},
            )


def to_milliseconds(time: datetime) -> datetime:
    """The time cut to whole milliseconds, as MongoDB keeps it."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def shown(value: str) -> str:
    """A caller's value in an error: quoted, escaped, and cut where it is long."""
    return repr(value if len(value) <= _SHOWN_CHARACTERS else value[:_SHOWN_CHARACTERS] + "…")


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(_CHECKSUM_CHARACTERS):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits


def _name_violations(name: str) -> Iterator[FieldViolation]:
    if not name.strip():
        yield FieldViolation("name", f"is empty; say in 1 to {_NAME_MAX_CHARACTERS} characters what the key is for")
    elif len(name) > _NAME_MAX_CHARACTERS:
        yield FieldViolation("name", f"has {len(name)} characters; at most {_NAME_MAX_CHARACTERS} are kept")
    elif not name.isprintable():
        yield FieldViolation("name", f"{shown(name)} holds characters that cannot be shown; leave them out")


def _scope_violations(scopes: tuple[str, ...]) -> Iterator[FieldViolation]:
    known = [scope.value for scope in Scope]
    if not scopes:
        yield FieldViolation("scopes", f"is empty; name at least one of {', '.join(known)}")
    elif len(scopes) > len(known):
        yield FieldViolation("scopes", f"names {len(scopes)} scopes; there are {len(known)}, each named once")
    else:
        for index, scope in enumerate(scopes):
            if scope not in known:
                yield FieldViolation(f"scopes[{index}]", f"{shown(scope)} is no scope; there are {', '.join(known)}")
