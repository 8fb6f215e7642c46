"""The files that providers are read from: those that Penstock ships, the operator's own, and what this mesh is at them.

All that is wrong in them is told together, each with the provider, the field and the value.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar, cast

import yaml
from yarl import URL

from services.auth.connections.providers.domain import (
    AccountSource,
    ClientAuthentication,
    Provider,
    ProviderClient,
    ProviderKind,
    Providers,
    Refresh,
)
from shared import ids
from shared.errors import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.config import Secret

CLIENTS_SETTING = "PENSTOCK_PROVIDER_CLIENTS"
FILE_SETTING = "PENSTOCK_PROVIDERS_FILE"
_SHIPPED = Path(__file__).parent / "data"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_HOST = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[1-9][0-9]{0,4})?")
_PATH = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_SEPARATORS = (" ", ",")
#: Of a client's id or secret.
_MAX_CLIENT_CHARACTERS = 1024
_URLS = ("authorize_url", "token_url", "request_token_url", "revoke_url", "issuer")
_TEXT_LISTS = ("hosts", "scopes", "default_scopes", "token_types", "refused_grants")
_FLAGS = ("other_scopes", "one_scope", "pkce", "issuer_required", "out_of_band", "client_credentials")
_CHOICES: Mapping[str, type[StrEnum]] = MappingProxyType(
    {"kind": ProviderKind, "client_authentication": ClientAuthentication, "refresh": Refresh}
)
#: Of the authorize URL; a provider's own name for the scope is beside them.
_OF_THE_PROTOCOL = frozenset(
    {
        *("client_id", "code_challenge", "code_challenge_method", "oauth_token", "redirect_uri", "response_type"),
        *("scope", "state"),
    }
)
_REQUIRED = ("title", "kind", "upstream", "authorize_url", "token_url")
_OF_ONE_KIND: Mapping[ProviderKind, frozenset[str]] = MappingProxyType(
    {
        ProviderKind.OAUTH1: frozenset({"request_token_url"}),
        ProviderKind.OAUTH2: frozenset(
            {
                *("revoke_url", "client_authentication", "pkce", "issuer", "issuer_required", "token_types", "refresh"),
                *("refused_grants", "out_of_band_uri", "client_credentials"),
            }
        ),
    }
)
ChoiceT = TypeVar("ChoiceT", bound=StrEnum)


class ProviderMistakes(Exception):
    """What is told of providers cannot be used.

    Args:
        mistakes: Each names its file or setting, and of a provider the field and its value.
    """

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


def read(file: str, clients: Secret, *, allow_loopback: bool) -> Providers:
    """The providers.

    Args:
        file: The operator's, which adds providers and overrides fields of those that Penstock ships; empty for none.
        clients: What this mesh is at them: YAML or JSON, `{flickr: {id: …, secret: …}}`; empty for nowhere.
        allow_loopback: Whether one may be on this machine, and speak plain HTTP there.

    Raises:
        ProviderMistakes: There are mistakes in them.
    """
    mistakes: list[str] = []
    raw: dict[str, Any] = dict(_shipped())
    for name, given in _operators(file, mistakes).items():
        raw[name] = {**raw.get(name, {}), **given} if isinstance(given, dict) else given
    found: dict[str, Provider] = {}
    for name, given in raw.items():
        provider = _Reader(name, given, mistakes, allow_loopback=allow_loopback).read()
        if provider is not None:
            found[name] = provider
    known = _clients(clients.reveal(), frozenset(raw), mistakes)
    if mistakes:
        raise ProviderMistakes(mistakes)
    return Providers(MappingProxyType(found), MappingProxyType(known))


@functools.cache
def _shipped() -> Mapping[str, Any]:
    """Those that Penstock ships: read once, though settings are checked before they are used."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(_SHIPPED.glob("*.yaml"))}
    read_ = {name: yaml.load(text, Loader=yaml.CSafeLoader) for name, text in texts.items()}
    return MappingProxyType(read_)


def _operators(file: str, mistakes: list[str]) -> Mapping[str, Any]:
    if not file:
        return {}
    try:
        read_ = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        mistakes.append(f"{FILE_SETTING} is {file!r}, which cannot be read: {_in_one_line(error)}")
        return {}
    if not _is_by_name(read_):
        mistakes.append(f"{FILE_SETTING} is {file!r}, which holds no providers; write {{name: {{title: …, …}}, …}}")
        return {}
    return read_


def _clients(text: str, providers: frozenset[str], mistakes: list[str]) -> dict[str, ProviderClient]:
    """What this mesh is at providers; nothing of the setting is shown again but providers' names."""
    found: dict[str, ProviderClient] = {}
    try:
        given = yaml.safe_load(text) if text.strip() else {}
    except yaml.YAMLError:  # its message shows what stands around the mistake
        mistakes.append(f"{CLIENTS_SETTING} is neither YAML nor JSON; write {{flickr: {{id: …, secret: …}}}}")
        return found
    if not _is_by_name(given):
        mistakes.append(f"{CLIENTS_SETTING} holds no clients by provider; write {{flickr: {{id: …, secret: …}}}}")
        return found
    for name, client in cast("dict[str, Any]", given).items():
        where = f"{CLIENTS_SETTING}: {shown(name)}"
        if name not in providers:
            mistakes.append(f"{where} is no provider; there are {', '.join(sorted(providers))}")
        elif not isinstance(client, dict) or set(cast("dict[str, Any]", client)) != {"id", "secret"}:
            mistakes.append(f"{where} must hold id and secret, and nothing else")
        elif not all(_is_client_text(each) for each in cast("dict[str, Any]", client).values()):
            mistakes.append(f"{where} must have an id and a secret in visible ASCII characters; quote numbers")
        else:
            found[name] = ProviderClient(id=client["id"], secret=client["secret"])
    return found


def _is_by_name(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(name, str) for name in cast("dict[Any, Any]", value))


def _is_client_text(value: object) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= _MAX_CLIENT_CHARACTERS
        and all("!" <= character <= "~" for character in value)
    )


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())


@dataclass(slots=True)
class _Reader:
    """Reads one provider, and notes what is wrong with it."""

    name: str
    raw: Any
    mistakes: list[str]
    allow_loopback: bool = field(kw_only=True)

    def read(self) -> Provider | None:
        """The provider; None where there are mistakes in it."""
        before = len(self.mistakes)
        if not ids.is_slug(self.name):
            self.mistakes.append(f"{FILE_SETTING}: {shown(self.name)} is no provider's name; use a lower-case slug")
        if not _is_by_name(self.raw):
            self.mistakes.append(f"{FILE_SETTING}: the provider {self.name} must be fields by their names")
            return None
        values = {name: self._value(name, value) for name, value in self.raw.items() if self._is_known(name)}
        for name in _REQUIRED:
            if name not in self.raw:
                self._note(name, "is missing")
        if len(self.mistakes) == before:
            self._check_together(values)
        return Provider(name=self.name, **values) if len(self.mistakes) == before else None

    def _note(self, name: str, problem: str) -> None:
        self.mistakes.append(f"{FILE_SETTING}: the provider {self.name}: {name} {problem}")

    def _is_known(self, name: str) -> bool:
        if name in _FIELDS:
            return True
        self._note(shown(name), f"is no field of a provider; there are {', '.join(sorted(_FIELDS))}")
        return False

    def _value(self, name: str, value: Any) -> Any:
        """The value of a field as the provider has it; whatever where it is noted as a mistake."""
        if name in _TEXT_LISTS:
            return self._texts(name, value)
        if name == "authorize_parameters":
            return self._parameters(name, value)
        if name == "account":
            return self._account(value)
        if name in _FLAGS:
            if not isinstance(value, bool):
                self._note(name, f"is {shown(str(value))}; it takes true or false")
            return value
        return self._text(name, value)

    def _text(self, name: str, value: Any) -> Any:
        if not isinstance(value, str) or not value:
            self._note(name, f"is {shown(str(value))}; it takes a text")
        elif name in _CHOICES:
            return self._choice(name, value, _CHOICES[name])
        elif name in _URLS:
            self._check_url(name, value)
        elif name == "upstream" and not ids.is_slug(value):
            self._note(name, f"is {shown(value)}; it takes a lower-case slug")
        elif name == "scope_separator" and value not in _SEPARATORS:
            self._note(name, f"is {shown(value)}; it takes a space or a comma")
        return value

    def _choice(self, name: str, value: str, choices: type[ChoiceT]) -> ChoiceT | None:
        try:
            return choices(value)
        except ValueError:
            self._note(name, f"is {shown(value)}; it takes {', '.join(choices)}")
            return None

    def _texts(self, name: str, value: Any) -> tuple[str, ...]:
        listed = cast("list[Any]", value) if isinstance(value, list) else None
        if listed is None or not all(isinstance(each, str) and each for each in listed):
            self._note(name, f"is {shown(str(value))}; it takes a list of texts")
            return ()
        for index, host in enumerate(listed if name == "hosts" else ()):
            if _HOST.fullmatch(host) is None:
                self._note(f"hosts[{index}]", f"is {shown(host)}; it takes a lower-case host, and maybe a port")
        return tuple(listed)

    def _parameters(self, name: str, value: Any) -> Mapping[str, str]:
        if not _is_by_name(value) or not all(isinstance(each, str) for each in value.values()):
            self._note(name, f"is {shown(str(value))}; it takes texts by their names")
            return {}
        for parameter in sorted(_OF_THE_PROTOCOL & value.keys()):
            self._note(f"{name}.{parameter}", f"is {shown(value[parameter])}, which the protocol sets; remove it")
        return MappingProxyType(dict(value))

    def _account(self, value: Any) -> AccountSource:
        names = {each.name for each in fields(AccountSource)}
        well = _is_by_name(value) and set(value) <= names
        if not well or not all(isinstance(each, str) for each in value.values()):
            self._note("account", f"is {shown(str(value))}; it takes {', '.join(sorted(names))}, each a text")
            return AccountSource()
        source = AccountSource(**value)
        if source.url:
            self._check_url("account.url", source.url)
        for each in ("id", "name"):
            path = getattr(source, each)
            if path and _PATH.fullmatch(path) is None:
                self._note(f"account.{each}", f"is {shown(path)}; it takes names parted by dots")
        return source

    def _check_url(self, name: str, value: str) -> None:
        try:
            url = URL(value)
        except ValueError:
            url = URL()
        local = self.allow_loopback and url.scheme == "http" and url.host in _LOOPBACK
        if (url.scheme != "https" and not local) or not url.host or url.user or url.password or url.fragment:
            self._note(name, f"is {shown(value)}; it takes an https:// URL without a user or a fragment")

    def _check_together(self, values: Mapping[str, Any]) -> None:
        """Notes what does not go together, each field being well by itself."""
        kind = values["kind"]
        for other, names in _OF_ONE_KIND.items():
            for name in sorted(names & values.keys()) if other is not kind else ():
                self._note(name, f"is {shown(str(self.raw[name]))}, which is for {other} alone; remove it")
        if values["upstream"] == "http" and not values.get("hosts"):
            self._note("hosts", "are missing; a connection for http says where its secret may go")
        if kind is ProviderKind.OAUTH1 and "request_token_url" not in values:
            self._note("request_token_url", "is missing")
        if kind is ProviderKind.OAUTH2 and values.get("out_of_band") and "out_of_band_uri" not in values:
            self._note("out_of_band_uri", "is missing, and out_of_band is true")
        if values.get("issuer_required") and "issuer" not in values:
            self._note("issuer", "is missing, and issuer_required is true")
        if values.get("one_scope") and len(values.get("default_scopes", ())) > 1:
            self._note("default_scopes", "are several, and one_scope is true")
        for scope in values.get("default_scopes", ()):
            if scope not in values.get("scopes", ()) and not values.get("other_scopes"):
                self._note("default_scopes", f"has {shown(scope)}, which is not among its scopes")


_FIELDS = frozenset(each.name for each in fields(Provider)) - {"name"}
