"""Providers: where connections are authorized, and how. They are data; no code is peculiar to one of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from shared.errors import InvalidArgument, ProviderNotFound, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ProviderKind(StrEnum):
    """How connections are authorized."""

    OAUTH1 = "oauth1"
    OAUTH2 = "oauth2"


class ClientAuthentication(StrEnum):
    """How the client shows its credentials at the token endpoint (RFC 6749, 2.3.1)."""

    #: In the header `Authorization`.
    BASIC = "basic"
    #: In the body.
    POST = "post"


class Refresh(StrEnum):
    """What becomes of a refresh token when it is used."""

    #: There are none: a token that ends has to be authorized anew.
    NONE = "none"
    #: It stays good, and the answer need not repeat it.
    KEEPS = "keeps"
    #: It is spent, and the answer holds the next one. Who uses a spent one may lose them all (RFC 9700, 4.14.2).
    ROTATES = "rotates"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSource:
    """Where a provider tells whose account it is.

    Args:
        id: The path of the account's id in the answer, its steps parted by dots; empty where it is not told.
        name: The path of its name, likewise.
        url: What is asked with the fresh token; empty where the token endpoint's own answer tells.
    """

    id: str = ""
    name: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Where connections are authorized, and how.

    Args:
        name: A lower-case slug.
        title: What people call it.
        kind: Which protocol it speaks.
        upstream: What its connections are for.
        hosts: That they may call; empty where the upstream has its own.
        authorize_url: Where somebody consents.
        token_url: What gives tokens.
        request_token_url: What a consent begins at (OAuth 1.0a).
        revoke_url: What ends tokens (RFC 7009); empty where nothing does.
        scopes: What can be asked for.
        default_scopes: What is asked for where nothing is.
        other_scopes: Whether scopes that are not listed can be asked for too.
        one_scope: Whether one alone is asked for, which includes others.
        scope_parameter: What the authorize URL has them in.
        scope_separator: What stands between two.
        authorize_parameters: What the authorize URL has beside the protocol's own.
        client_authentication: How the client shows its credentials.
        pkce: Whether codes are bound to who has asked for them (RFC 7636, S256).
        issuer: Who answers the authorize URL (RFC 9207), where that is told.
        issuer_required: Whether an answer without it is none.
        account: Where it tells whose account it is.
        token_types: What its tokens are called, beside bearer.
        refresh: What becomes of refresh tokens.
        refused_grants: What it calls a code or a refresh token that is good no more, beside `invalid_grant`.
        out_of_band: Whether it can show a code to somebody who carries it over.
        out_of_band_uri: The `redirect_uri` that stands for that (OAuth 2).
        client_credentials: Whether it gives the client tokens of its own (RFC 6749, 4.4).
    """

    name: str
    title: str
    kind: ProviderKind
    upstream: str
    authorize_url: str
    token_url: str
    hosts: tuple[str, ...] = ()
    request_token_url: str = ""
    revoke_url: str = ""
    scopes: tuple[str, ...] = ()
    default_scopes: tuple[str, ...] = ()
    other_scopes: bool = False
    one_scope: bool = False
    scope_parameter: str = "scope"
    scope_separator: str = " "
    authorize_parameters: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    client_authentication: ClientAuthentication = ClientAuthentication.BASIC
    pkce: bool = True
    issuer: str = ""
    issuer_required: bool = False
    account: AccountSource = AccountSource()
    token_types: tuple[str, ...] = ()
    refresh: Refresh = Refresh.KEEPS
    refused_grants: tuple[str, ...] = ()
    out_of_band: bool = False
    out_of_band_uri: str = ""
    client_credentials: bool = False

    def chosen_scopes(self, asked: Sequence[str]) -> tuple[str, ...]:
        """What to ask for: what is asked for here, each once, or the default.

        Raises:
            InvalidArgument: One of them cannot be, or there are too many.
        """
        chosen = tuple(dict.fromkeys(asked)) or self.default_scopes
        if self.one_scope and len(chosen) > 1:
            raise InvalidArgument.field(
                "scopes",
                f"are {len(chosen)}; {self.title} takes one, which may include others: {', '.join(self.scopes)}",
            )
        for index, scope in enumerate(chosen):
            if scope not in self.scopes and not (self.other_scopes and is_scope(scope)):
                raise InvalidArgument.field(f"scopes[{index}]", f"is {shown(scope)}; {self._takes()}")
        return chosen

    def _takes(self) -> str:
        if self.other_scopes:
            return f"{self.title} takes 1 to {MAX_SCOPE_CHARACTERS} visible ASCII characters without quotes or commas"
        return f"{self.title} takes {', '.join(self.scopes) or 'none'}"


MAX_SCOPE_CHARACTERS = 200


def is_scope(text: str) -> bool:
    """Whether the text can be a scope (RFC 6749, 3.3), and no separator stands in it."""
    visible = all("!" <= character <= "~" and character not in '",\\' for character in text)
    return visible and 0 < len(text) <= MAX_SCOPE_CHARACTERS


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderClient:
    """What this mesh is at a provider: it was registered there."""

    id: str
    secret: str = field(repr=False)


class Providers:
    """The providers, and what this mesh is at them.

    Args:
        providers: By their names.
        clients: By the names of their providers.
    """

    def __init__(self, providers: Mapping[str, Provider], clients: Mapping[str, ProviderClient]) -> None:
        self._providers = providers
        self._clients = clients

    @property
    def all(self) -> Sequence[Provider]:
        """Every provider, in the order of their names."""
        return [self._providers[name] for name in sorted(self._providers)]

    def get(self, name: str) -> Provider:
        """A provider by its name.

        Raises:
            ProviderNotFound: There is none.
        """
        found = self._providers.get(name)
        if found is None:
            raise ProviderNotFound(
                f"there is no provider {shown(name)}; there are {', '.join(sorted(self._providers))}",
                metadata={"provider": name[:MAX_SCOPE_CHARACTERS]},
            )
        return found

    def client(self, name: str) -> ProviderClient | None:
        """What this mesh is at a provider; None where it was not told."""
        return self._clients.get(name)
