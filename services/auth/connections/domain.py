"""What a connection is, and what secret it may hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta


class Kind(StrEnum):
    """What the secret of a connection is."""

    OAUTH1 = "oauth1"
    OAUTH2 = "oauth2"
    BEARER = "bearer"
    HEADER = "header"
    BASIC = "basic"


#: Secrets that their owner hands in, and that nobody refreshes.
STATIC_KINDS = frozenset({Kind.BEARER, Kind.HEADER, Kind.BASIC})


class State(StrEnum):
    """Whether a connection can be called with."""

    ACTIVE = "active"
    NEEDS_REAUTH = "needs_reauth"


class ReauthPolicy(StrEnum):
    """What becomes of a connection's jobs while it needs to be authorized anew."""

    FAIL = "fail"
    WAIT = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth1Token:
    """A token of OAuth 1.0a (RFC 5849)."""

    token: str = field(repr=False)
    token_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth2Tokens:
    """The tokens of OAuth 2 (RFC 6749, 5.1).

    Args:
        access_token: Sent as `Authorization: Bearer`.
        refresh_token: Gets the next ones; empty where there is none.
        expires_at: When the access token ends; None where the provider has not told.
        of_client: Whether they are the client's own (RFC 6749, 4.4), who gets the next ones by its credentials.
    """

    access_token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)
    expires_at: datetime | None = None
    of_client: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BearerToken:
    """A token that does not change."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderKey:
    """A key in a header of its own."""

    name: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicLogin:
    """A name and a password."""

    username: str
    password: str = field(repr=False)


Secret = OAuth1Token | OAuth2Tokens | BearerToken | HeaderKey | BasicLogin


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A secret as it is kept.

    Args:
        data_key_id: Under whose key it is sealed.
        text: What `Vault` opens.
    """

    data_key_id: str
    text: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whose data a connection leads to, as far as the provider has told."""

    id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A tenant's credentials at an upstream; its secret is sealed.

    Args:
        id: `con_<uuidv7>`.
        provider: Where it was authorized; empty for a secret that the tenant had.
        state_reason: Why it needs to be authorized anew.
        hosts: That may be called with it, each with its port unless it is the usual one, in lower case; empty where the
            upstream has its own.
        scopes: What its token may be used for, as far as the provider has told.
        made_by: The id of the principal that has made it.
        version: Of its secret; grows with every secret that it is given.
        revision: Of its standing (state, policy, deletion), as notices tell it; grows with every change of that.
        refreshed_at: When its token was refreshed last.
        expires_at: When its token ends, as far as the provider has told.
        needs_reauth_since: When it came to need that; None while it is active.
    """

    id: str
    tenant: str
    upstream: str
    kind: Kind
    sealed: Sealed
    created_at: datetime
    updated_at: datetime
    made_by: str
    provider: str = ""
    state: State = State.ACTIVE
    state_reason: str = ""
    display_name: str = ""
    hosts: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    account: Account = Account()
    reauth_policy: ReauthPolicy = ReauthPolicy.FAIL
    version: int = 1
    revision: int = 1
    refreshed_at: datetime | None = None
    expires_at: datetime | None = None
    needs_reauth_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenSecret:
    """Another secret for a connection, from its owner or from a provider that was asked for consent anew.

    Args:
        scopes: As of a connection.
        account: As of a connection.
        expires_at: As of a connection.
    """

    kind: Kind
    sealed: Sealed
    scopes: tuple[str, ...] = ()
    account: Account = Account()
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to be changed of a connection; what is None stays.

    Args:
        given: Makes the connection active again, and breaks off a refresh of the secret before it.
        at: When.
    """

    at: datetime
    display_name: str | None = None
    reauth_policy: ReauthPolicy | None = None
    hosts: tuple[str, ...] | None = None
    given: GivenSecret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to refresh a secret, which one at a time has.

    Args:
        fence: Grows with every claim of the same connection.
        mine: Whether who asks has it.
        left: How long it lasts, by the database's clock; nothing and less where it has lapsed.
    """

    fence: int
    mine: bool
    left: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """What a refresh has brought.

    Args:
        scopes: As of a connection; None where they stay.
        expires_at: As of a connection.
        at: When.
    """

    sealed: Sealed
    at: datetime
    expires_at: datetime | None
    scopes: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a connection stands, as the mesh is told it; of one that was deleted this is all that is left.

    Args:
        state: None where it was deleted.
        reason: Why it needs to be authorized anew.
        since: When it came to stand so.
        jobs_wait: Whether its jobs wait while it needs to be authorized anew.
        revision: As of a connection.
    """

    connection_id: str
    tenant: str
    upstream: str
    provider: str
    state: State | None
    reason: str
    since: datetime
    jobs_wait: bool
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The secret of a connection, as it is found where it is to be sealed anew."""

    connection_id: str
    tenant: str
    sealed: Sealed
