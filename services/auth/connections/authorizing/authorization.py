"""What an authorization is: a consent that was asked for, until the provider's answer makes a connection of it."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.auth.display_names import display_name_violations
from shared import ids
from shared.errors import FieldViolation, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from services.auth.connections.domain import ReauthPolicy, Sealed

#: Where browsers come back to, behind the mesh's public URL.
CALLBACK_PATH = "/api/v1/connections/callback"
#: Why a browser is refused, in one word.
OTHER_BROWSER = "other_browser"
_RANDOM_BYTES = 32
_RANDOM_TEXT = re.compile(r"[A-Za-z0-9_-]{43}")
_MAX_URL_CHARACTERS = 2048
#: A URL that no two parsers read in two ways: visible ASCII, no user, no backslash, no fragment.
_WEB_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?"
    r"([/?][A-Za-z0-9._~:/?@!$&'()*+,;=%\[\]-]*)?",
    re.IGNORECASE | re.ASCII,  # or some letters beyond ASCII would pass for others
)
_THIS_MACHINE = re.compile(r"localhost|127\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}|\[::1\]", re.IGNORECASE | re.ASCII)


def new_random() -> str:
    """A text that nobody can guess: 32 random bytes, fit for URLs and cookies."""
    return secrets.token_urlsafe(_RANDOM_BYTES)


def is_random(text: str) -> bool:
    """Whether the text can be one of those."""
    return _RANDOM_TEXT.fullmatch(text) is not None


def digest(text: str) -> bytes:
    """What is kept of such a text: who reads the database can do nothing with it."""
    return hashlib.sha256(text.encode()).digest()


def web_url_problem(text: str) -> str | None:
    """What is wrong with a URL that browsers are sent to; None where it is well."""
    if len(text) > _MAX_URL_CHARACTERS:
        return f"has {len(text)} characters; it takes {_MAX_URL_CHARACTERS} at most"
    match = _WEB_URL.fullmatch(text)
    if match is None:
        return (
            f"is {shown(text)}; it takes an https:// URL in ASCII, without a user and a fragment, such as "
            "https://app.example/connected"
        )
    if match["scheme"].lower() == "http" and _THIS_MACHINE.fullmatch(match["host"]) is None:
        return f"is {shown(text)}; without TLS it takes this machine alone, such as http://localhost:3000/connected"
    return None


def public_url_problem(text: str) -> str | None:
    """What is wrong with the URL under which browsers reach the mesh; None where it is well."""
    problem = web_url_problem(text)
    if problem is not None:
        return problem
    if text.count("/") > len("//") or "?" in text:
        return f"is {shown(text)}; it takes scheme and host alone, such as https://penstock.example"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationOrder:
    """A consent that somebody wants asked for.

    Args:
        provider: Where.
        scopes: What to ask for; the provider's default where none are given.
        display_name: Of the connection.
        reauth_policy: Of the connection; None where it was not given.
        connection_id: Of the one to authorize anew; empty for a new one.
        out_of_band: Whether somebody carries the provider's code over.
        return_url: Where the browser is sent in the end; empty for a page that says how it went.
    """

    provider: str
    scopes: tuple[str, ...] = ()
    display_name: str = ""
    reauth_policy: ReauthPolicy | None = None
    connection_id: str = ""
    out_of_band: bool = False
    return_url: str = ""

    def violations(self) -> Iterator[FieldViolation]:
        """What is wrong with it, whatever the provider."""
        yield from display_name_violations(self.display_name)
        if self.connection_id and not ids.is_connection_id(self.connection_id):
            yield FieldViolation("connectionId", f"is {shown(self.connection_id)}, which is no connection's id, con_…")
        if self.return_url:
            problem = web_url_problem(self.return_url)
            if problem is not None:
                yield FieldViolation("returnUrl", problem)
            if self.out_of_band:
                yield FieldViolation(
                    "returnUrl", "is given, and outOfBand is true: no browser comes back; leave one out"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """A consent that was asked for.

    Args:
        digest: Of its state, which it is known by.
        tenant: Whose connection it will be.
        principal: The id of who has begun it.
        sealed: What the provider's answer is worth something with: a request token and its secret, or a PKCE verifier.
        ends_at: It can be completed until then.
        browser: The digest of the cookie of the browser that has opened its link first; None before that.
    """

    digest: bytes
    tenant: str
    principal: str
    order: AuthorizationOrder
    sealed: Sealed
    begun_at: datetime
    ends_at: datetime
    browser: bytes | None = None
