"""What providers give: tokens, with what they are told to be good for; and how they refuse to."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.auth.connections.domain import Account, OAuth1Token, OAuth2Tokens
from shared.errors import AuthorizationRefused, Unavailable, shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from services.auth.connections.providers.domain import AccountSource, Provider

#: What a provider's word for an error looks like that is shown again.
_WORD = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
#: Of an account's id or name.
_MAX_ACCOUNT_CHARACTERS = 200
_MAX_TOKEN_CHARACTERS = 16 * 1024


class ClientRefused(AuthorizationRefused):
    """The provider refuses this mesh, and not somebody's consent: its operator has to mend a setting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a provider has given.

    Args:
        secret: The tokens.
        scopes: What they may be used for; None where the provider has not told.
        account: Whose data they lead to, as far as it has told.
    """

    secret: OAuth1Token | OAuth2Tokens
    scopes: tuple[str, ...] | None = None
    account: Account = field(default_factory=Account)


def word(text: object) -> str:
    """A provider's word for an error, where it can be shown; else empty."""
    return text if isinstance(text, str) and _WORD.fullmatch(text) else ""


def refused(provider: Provider, problem: str, advice: str) -> AuthorizationRefused:
    """The provider gives no token, by the word that it has for that."""
    return AuthorizationRefused(
        f"{provider.title} refuses ({problem}): {advice}", metadata={"provider": provider.name, "error": problem}
    )


def client_refused(provider: Provider, problem: str, advice: str) -> ClientRefused:
    """The same where the fault is this mesh's."""
    return ClientRefused(
        f"{provider.title} refuses this mesh ({problem}): {advice}",
        metadata={"provider": provider.name, "error": problem},
    )


def unavailable(provider: Provider, problem: str, *, retry_after: timedelta | None = None) -> Unavailable:
    """The provider cannot be asked now, or answers what is no answer."""
    return Unavailable(
        f"{provider.title} {problem}; try again in a moment",
        metadata={"provider": provider.name},
        retry_after=retry_after,
    )


def is_token(text: object) -> bool:
    """Whether it can be sent as a token: visible ASCII characters (RFC 6749, A.12)."""
    return (
        isinstance(text, str)
        and 0 < len(text) <= _MAX_TOKEN_CHARACTERS
        and all(" " <= character <= "~" for character in text)
    )


def account_in(source: AccountSource, answer: Mapping[str, object]) -> Account:
    """Whose account it is by an answer; what it does not tell is empty."""
    return Account(id=_told(answer, source.id), name=_told(answer, source.name))


def _told(answer: Mapping[str, object], path: str) -> str:
    found: object = answer
    for step in path.split(".") if path else ():
        found = found.get(step) if isinstance(found, dict) else None
    if isinstance(found, bool) or not isinstance(found, str | int) or not path:
        return ""
    return "".join(filter(str.isprintable, str(found)))[:_MAX_ACCOUNT_CHARACTERS]


def check_account(before: Account, given: Account, provider: Provider) -> None:
    """Lets pass a grant of the account that a connection had before, where that is known.

    Raises:
        AuthorizationRefused: It is another one's, or nobody knows whose.
    """
    if before.id and not given.id:
        raise AuthorizationRefused(
            f"{provider.title} does not say now whose account it is, and this connection is of "
            f"{shown(before.name or before.id)}; authorize anew in a moment",
            metadata={"provider": provider.name, "error": "account_unknown"},
        )
    if before.id and before.id != given.id:
        raise AuthorizationRefused(
            f"this connection is of the account {shown(before.name or before.id)} at {provider.title}, and the consent "
            f"came from {shown(given.name or given.id)}; sign in there as the former, or make another connection",
            metadata={"provider": provider.name, "error": "other_account"},
        )
