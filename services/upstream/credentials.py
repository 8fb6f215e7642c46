"""Credentials: what a job's connection gives to call with."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth1Secret:
    """Signs requests (RFC 5849)."""

    client_key: str
    client_secret: str = field(repr=False)
    token: str = field(repr=False)
    token_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BearerSecret:
    """Goes as `Authorization: Bearer` (RFC 6750)."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderSecret:
    """Goes in a header of its own."""

    name: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicSecret:
    """Goes as `Authorization: Basic` (RFC 7617)."""

    username: str
    password: str = field(repr=False)


Secret = OAuth1Secret | BearerSecret | HeaderSecret | BasicSecret


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What to call with for one connection.

    Args:
        connection_id: Whose it is.
        version: Grows with every secret that the connection is given.
        secret: Never to be logged, nor told.
        hosts: Those that it may be sent to, each with its port unless it is the usual one; empty where the upstream has
            its own.
    """

    connection_id: str
    version: int
    secret: Secret
    hosts: frozenset[str] = frozenset()
