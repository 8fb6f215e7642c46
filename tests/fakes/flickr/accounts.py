"""Who may call the far end of Flickr: clients, users, request tokens, access tokens, and the nonces that were seen."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from datetime import timedelta

#: What an access token lets its holder do; each includes those before it.
PERMISSIONS = ("read", "write", "delete")
#: Where a request token has this callback, its verifier is shown to the user, who carries it over.
OUT_OF_BAND = "oob"
REQUEST_TOKEN_LIFETIME = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A program that was registered."""

    key: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account's owner."""

    nsid: str
    username: str
    fullname: str


@dataclass(slots=True, kw_only=True)
class RequestToken:
    """A wish of a client, until its user says yes and it is exchanged."""

    token: str
    secret: str = field(repr=False)
    client_key: str
    callback: str
    #: By `Accounts.now`.
    expires_at: float
    #: Who said yes, to what, and the proof of that; empty until then.
    nsid: str = ""
    permission: str = ""
    verifier: str = ""


@dataclass(slots=True, kw_only=True)
class AccessToken:
    """What a client calls with in a user's name."""

    token: str
    secret: str = field(repr=False)
    client_key: str
    nsid: str
    permission: str


@dataclass(slots=True)
class Accounts:
    """Everything in memory; tests may look and change as they like."""

    clients: dict[str, Client] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    request_tokens: dict[str, RequestToken] = field(default_factory=dict)
    access_tokens: dict[str, AccessToken] = field(default_factory=dict)
    #: Client, token, timestamp and nonce of each request that was taken.
    nonces: set[tuple[str, str, str, str]] = field(default_factory=set)
    #: How far its clock is ahead of this machine's.
    skew: timedelta = timedelta(0)

    def now(self) -> float:
        """The far end's own time, in seconds since the epoch."""
        return time.time() + self.skew.total_seconds()

    def add_client(self, key: str = "", secret: str = "") -> Client:
        """Registers a program; in Flickr's form unless told."""
        client = Client(key=key or secrets.token_hex(16), secret=secret or secrets.token_hex(8))
        self.clients[client.key] = client
        return client

    def add_user(self, username: str = "ada", nsid: str = "") -> User:
        """Registers an account."""
        user = User(
            nsid=nsid or f"{secrets.randbelow(10**8):08}@N0{secrets.randbelow(10)}",
            username=username,
            fullname=f"{username.title()} Lovelace",
        )
        self.users[user.nsid] = user
        return user

    def add_request_token(self, client_key: str, callback: str, token: str = "", secret: str = "") -> RequestToken:
        """Notes a client's wish."""
        made = RequestToken(
            token=token or new_token(),
            secret=secret or secrets.token_hex(8),
            client_key=client_key,
            callback=callback,
            expires_at=self.now() + REQUEST_TOKEN_LIFETIME.total_seconds(),
        )
        self.request_tokens[made.token] = made
        return made

    def request_token(self, token: str) -> RequestToken | None:
        """The request token, or None where there is none, or it has expired."""
        found = self.request_tokens.get(token)
        return found if found is not None and found.expires_at > self.now() else None

    def allow(self, token: str, nsid: str, permission: str = "delete") -> str:
        """The user says yes to a request token; answers with the verifier.

        Raises:
            KeyError: There is no such token any more, or no such user.
        """
        wish = self.request_token(token)
        if wish is None or nsid not in self.users:
            raise KeyError(token)
        wish.nsid, wish.permission = nsid, permission
        digits = f"{secrets.randbelow(10**9):09}"
        shown = f"{digits[:3]}-{digits[3:6]}-{digits[6:]}"
        wish.verifier = shown if wish.callback == OUT_OF_BAND else secrets.token_hex(8)
        return wish.verifier

    def add_access_token(
        self, client_key: str, nsid: str, permission: str = "delete", *, token: str = "", secret: str = ""
    ) -> AccessToken:
        """Lets a client call in a user's name."""
        made = AccessToken(
            token=token or new_token(),
            secret=secret or secrets.token_hex(8),
            client_key=client_key,
            nsid=nsid,
            permission=permission,
        )
        self.access_tokens[made.token] = made
        return made

    def revoke(self, token: str) -> None:
        """The user takes a yes back: the access token is one no more."""
        del self.access_tokens[token]


def new_token() -> str:
    """A token in Flickr's form."""
    return f"72157{secrets.randbelow(10**12):012}-{secrets.token_hex(8)}"


def permits(granted: str, wanted: str) -> bool:
    """Whether a permission includes another."""
    return granted in PERMISSIONS and PERMISSIONS.index(granted) >= PERMISSIONS.index(wanted)
