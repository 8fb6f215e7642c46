"""Tenants and API keys: their values and their rules.

A key's secret is `psk_live_<24 random><6 checksum>`, in base62 (`0-9A-Za-z`). The checksum is the CRC-32 (ISO-HDLC, as
in zlib) of all that stands before it, so that a mistyped key is told from an unknown one without a lookup, and a leaked
one can be found by scanners. The first 7 of the random characters are public: with `psk_live_` they are the key's
prefix, by which it is recognised and looked up. The other 17 are 101 bits of secret. What is kept of a secret is its
HMAC-SHA-256 under a pepper that the database does not know; and, sealed, the signing key that is made from it, from
which there is no way back to the secret.
"""

from __future__ import annotations

import hmac
import re
import secrets
import string
import zlib
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from services.auth.networks import Network
    from shared.config import Secret
    from shared.permissions import Role

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_MARK = "psk_live_"
_RANDOM_CHARACTERS = 24
_CHECKSUM_CHARACTERS = 6  # 62^6 exceeds 2^32
_PUBLIC_CHARACTERS = 7
_PREFIX_LENGTH = len(_MARK) + _PUBLIC_CHARACTERS
_SECRET = re.compile(rf"{_MARK}[0-9A-Za-z]{{{_RANDOM_CHARACTERS + _CHECKSUM_CHARACTERS}}}")
_PREFIX = re.compile(rf"{_MARK}[0-9A-Za-z]{{{_PUBLIC_CHARACTERS}}}")
#: What signing keys are made for: clients have it in their code, so it never changes.
_SIGNING = b"penstock request signing v1"


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

    def signing_key(self) -> bytes:
        """What the key's requests are signed with, 32 bytes: the HMAC-SHA-256 (RFC 2104) of a fixed text under it."""
        return hmac.digest(self._text.encode(), _SIGNING, "sha256")

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
class Suspension:
    """Since when, and why, none of a tenant's keys works and none of its jobs is called."""

    at: datetime
    #: For whoever asks, the tenant's callers among them.
    reason: str
    #: The id of the principal that has given the reason.
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """An owner of keys, jobs and all else."""

    #: A lower-case slug.
    name: str
    created_at: datetime
    display_name: str = ""
    #: Until it is resumed.
    suspension: Suspension | None = None
    #: When it was suspended or resumed last, or was given another reason.
    changed_at: datetime | None = None
    #: Grows with each of these changes.
    revision: int = 0


class KeyState(StrEnum):
    """Whether a key works."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSecret:
    """What is kept of a key's secret."""

    prefix: str
    digest: bytes = field(repr=False)
    #: Its signing key, which `SigningKeys` opens; None where it is older than signed requests.
    sealed_signing_key: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerSecret(KeptSecret):
    """A secret that a rotation has replaced."""

    #: It works until then.
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key, without its secret."""

    id: str
    tenant: str
    name: str
    prefix: str
    digest: bytes = field(repr=False)
    #: Those of the role, where the key has one.
    scopes: frozenset[str]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    role: Role | None = None
    #: From where it works; empty for everywhere.
    networks: tuple[Network, ...] = ()
    #: Requests a minute, where the key has a limit of its own.
    rate_limit: int | None = None
    #: The secret that works beside this one.
    former: FormerSecret | None = None
    #: As `KeptSecret` has it.
    sealed_signing_key: bytes | None = field(default=None, repr=False)
    #: To the minute; two keys that differ in it alone are the same.
    last_used_at: datetime | None = field(default=None, compare=False)

    @property
    def prefixes(self) -> tuple[str, ...]:
        """By which it is found: its secret's, and its former secret's."""
        return (self.prefix,) if self.former is None else (self.prefix, self.former.prefix)

    def digest_of(self, prefix: str) -> bytes:
        """What the secret with this prefix must match: the key's own, unless it is the former one's."""
        if self.former is not None and prefix == self.former.prefix:
            return self.former.digest
        return self.digest

    def sealed_signing_key_of(self, prefix: str) -> bytes | None:
        """The sealed signing key of the secret with this prefix: the key's own, unless it is the former one's."""
        if self.former is not None and prefix == self.former.prefix:
            return self.former.sealed_signing_key
        return self.sealed_signing_key

    def end_of(self, prefix: str) -> datetime | None:
        """Until when the secret with this prefix works; None for one without end."""
        ends = [self.expires_at]
        if self.former is not None and prefix == self.former.prefix:
            ends.append(self.former.expires_at)
        return min((end for end in ends if end is not None), default=None)

    def rotated(self, fresh: KeptSecret, former_expires_at: datetime) -> Key:
        """The key with a new secret."""
        former = FormerSecret(
            prefix=self.prefix,
            digest=self.digest,
            sealed_signing_key=self.sealed_signing_key,
            expires_at=former_expires_at,
        )
        return replace(
            self,
            prefix=fresh.prefix,
            digest=fresh.digest,
            sealed_signing_key=fresh.sealed_signing_key,
            former=former,
        )

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


def is_prefix(text: str) -> bool:
    """Whether the text has the form of a secret's public start."""
    return _PREFIX.fullmatch(text) is not None


def to_milliseconds(time: datetime) -> datetime:
    """The time cut to whole milliseconds, as MongoDB keeps it."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(_CHECKSUM_CHARACTERS):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
