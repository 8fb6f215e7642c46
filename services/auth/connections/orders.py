"""What somebody may order: a connection to be made, or to be changed. No violation shows a secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.auth.connections import hosts as hosts_
from services.auth.connections.domain import BasicLogin, BearerToken, HeaderKey, ReauthPolicy
from services.auth.display_names import display_name_violations
from shared import ids
from shared.errors import FieldViolation, shown
from shared.formats import credential_header_problem, header_value_problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.addresses import AddressGuard

#: The upstream of secrets for which none is named.
DEFAULT_UPSTREAM = "http"
#: Longer than any token; servers take 8 KB of headers.
MAX_SECRET_CHARACTERS = 8_000

StaticSecret = BearerToken | HeaderKey | BasicLogin


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretOrder:
    """A connection of a secret that its owner has."""

    secret: StaticSecret
    hosts: tuple[str, ...]
    upstream: str = DEFAULT_UPSTREAM
    display_name: str = ""
    reauth_policy: ReauthPolicy = ReauthPolicy.FAIL

    def violations(self, guard: AddressGuard) -> Iterator[FieldViolation]:
        """What is wrong with it."""
        yield from upstream_violations(self.upstream)
        yield from display_name_violations(self.display_name)
        yield from hosts_.violations(self.hosts, guard)
        yield from _secret_violations(self.secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderOrder:
    """A connection of the client's own credentials at a provider.

    Args:
        upstream: Empty for the provider's.
        scopes: Empty for the provider's default.
    """

    provider: str
    upstream: str = ""
    scopes: tuple[str, ...] = ()
    display_name: str = ""
    reauth_policy: ReauthPolicy = ReauthPolicy.FAIL

    def violations(self) -> Iterator[FieldViolation]:
        """What is wrong with it, whatever the provider is."""
        if self.upstream:
            yield from upstream_violations(self.upstream)
        yield from display_name_violations(self.display_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeOrder:
    """A change of a connection; what is None stays.

    Args:
        hosts: Empty where they stay.
    """

    display_name: str | None = None
    reauth_policy: ReauthPolicy | None = None
    secret: StaticSecret | None = field(default=None)
    hosts: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be changed."""
        return self == ChangeOrder()

    def violations(self, guard: AddressGuard) -> Iterator[FieldViolation]:
        """What is wrong with it, whatever connection it is for."""
        if self.display_name is not None:
            yield from display_name_violations(self.display_name)
        if self.secret is not None:
            yield from _secret_violations(self.secret)
        if not self.hosts:
            return
        if self.secret is None:  # or who may change connections could have any secret sent to a host of their own
            yield FieldViolation("hosts", "are bound to the secret; send the secret beside them")
        yield from hosts_.violations(self.hosts, guard)


def upstream_violations(upstream: str) -> Iterator[FieldViolation]:
    """What is wrong with the name of an upstream; whether there is one of this name the submit of a job tells."""
    if not ids.is_slug(upstream):
        yield FieldViolation(
            "upstream", f"{shown(upstream)} is not an upstream's name: a lower-case slug, such as {DEFAULT_UPSTREAM}"
        )


def _secret_violations(secret: StaticSecret) -> Iterator[FieldViolation]:
    match secret:
        case BearerToken():
            yield from _value_violations("secret.bearer.token", secret.token)
        case HeaderKey():
            problem = credential_header_problem(secret.name)
            if problem is not None:
                yield FieldViolation("secret.header.name", problem)
            yield from _value_violations("secret.header.value", secret.value)
        case BasicLogin():
            yield from _text_violations("secret.basic.username", secret.username)
            if not secret.username:
                yield FieldViolation("secret.basic.username", "is empty")
            if ":" in secret.username:  # RFC 7617, 2: what stands behind it would be the password
                yield FieldViolation("secret.basic.username", "holds a colon, which no user name of this kind can")
            yield from _text_violations("secret.basic.password", secret.password)


def _value_violations(path: str, value: str) -> Iterator[FieldViolation]:
    """What is wrong with what a header is set to; it is not shown, for it is secret."""
    if not value:
        yield FieldViolation(path, "is empty")
        return
    problem = header_value_problem(value)
    if problem is not None:
        yield FieldViolation(path, problem)
    elif value != value.strip():
        yield FieldViolation(path, "begins or ends with a space, which would be lost on its way; leave it out")
    yield from _length_violations(path, value)


def _text_violations(path: str, text: str) -> Iterator[FieldViolation]:
    if any(character < " " or character == "\x7f" for character in text):
        yield FieldViolation(path, "holds control characters or line breaks; leave them out")
    yield from _length_violations(path, text)


def _length_violations(path: str, text: str) -> Iterator[FieldViolation]:
    if len(text) > MAX_SECRET_CHARACTERS:
        yield FieldViolation(path, f"has {len(text)} characters; it takes {MAX_SECRET_CHARACTERS} at most")
