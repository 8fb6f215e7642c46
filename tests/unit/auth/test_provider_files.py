from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from services.auth.connections.providers import files as provider_files
from services.auth.connections.providers.domain import (
    ClientAuthentication,
    ProviderClient,
    ProviderKind,
    Providers,
    Refresh,
)
from services.auth.connections.providers.files import ProviderMistakes
from shared.config import Secret
from shared.errors import InvalidArgument, ProviderNotFound

if TYPE_CHECKING:
    from pathlib import Path

SHOP = {
    "title": "Shop",
    "kind": "oauth2",
    "upstream": "http",
    "hosts": ["api.shop.example"],
    "authorize_url": "https://shop.example/authorize",
    "token_url": "https://shop.example/token",
    "scopes": ["read", "write"],
}


def read(tmp_path: Path, providers: Any = None, clients: Any = None, *, allow_loopback: bool = False) -> Providers:
    file = ""
    if providers is not None:
        file = str(tmp_path / "providers.yaml")
        (tmp_path / "providers.yaml").write_text(providers if isinstance(providers, str) else yaml.safe_dump(providers))
    text = clients if isinstance(clients, str) else json.dumps(clients) if clients is not None else ""
    return provider_files.read(file, Secret(text), allow_loopback=allow_loopback)


def mistakes_of(tmp_path: Path, providers: Any = None, clients: Any = None) -> list[str]:
    with pytest.raises(ProviderMistakes) as wrong:
        read(tmp_path, providers, clients)
    return wrong.value.mistakes


def test_penstock_ships_some(tmp_path: Path) -> None:
    providers = read(tmp_path)
    assert [each.name for each in providers.all] == ["flickr", "github", "google", "slack"]
    flickr = providers.get("flickr")
    assert (flickr.kind, flickr.upstream, flickr.hosts) == (ProviderKind.OAUTH1, "flickr", ())
    assert (flickr.scope_parameter, flickr.scopes) == ("perms", ("read", "write", "delete"))
    for name in ("github", "google", "slack"):
        provider = providers.get(name)
        assert (provider.kind, provider.upstream) == (ProviderKind.OAUTH2, "http")
        assert provider.hosts
        assert set(provider.default_scopes) <= set(provider.scopes)
    assert providers.get("google").authorize_parameters == {"access_type": "offline", "prompt": "consent"}
    assert "bad_refresh_token" in providers.get("github").refused_grants
    assert all(providers.client(each.name) is None for each in providers.all)


def test_an_operator_adds_one_and_overrides_fields_of_another(tmp_path: Path) -> None:
    fields = {"refresh": "none", "client_authentication": "post", "account": {"id": "user.id"}}
    providers = read(tmp_path, {"shop": SHOP | fields, "github": {"hosts": ["github.acme.example:8443"]}})
    shop, github = providers.get("shop"), providers.get("github")
    assert (shop.title, shop.refresh, shop.client_authentication) == ("Shop", Refresh.NONE, ClientAuthentication.POST)
    assert shop.account.id == "user.id"
    assert github.hosts == ("github.acme.example:8443",)
    assert github.title == "GitHub"


@pytest.mark.parametrize("text", ['{"flickr": {"id": "a", "secret": "b"}}', "flickr:\n  id: a\n  secret: b\n"])
def test_clients_are_told_as_json_or_yaml(tmp_path: Path, text: str) -> None:
    client = read(tmp_path, clients=text).client("flickr")
    assert client == ProviderClient(id="a", secret="b")
    assert "secret=" not in repr(client)


def test_one_may_be_on_this_machine_where_that_is_allowed(tmp_path: Path) -> None:
    local = SHOP | {"token_url": "http://127.0.0.1:9000/token"}
    assert read(tmp_path, {"shop": local}, allow_loopback=True).get("shop").token_url == local["token_url"]
    assert len(mistakes_of(tmp_path, {"shop": local})) == 1


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("kind", "oauth3", "'oauth3'; it takes oauth1, oauth2"),
        ("kind", None, "'None'; it takes a text"),
        ("title", "", "''; it takes a text"),
        ("upstream", "No Slug", "'No Slug'; it takes a lower-case slug"),
        ("token_url", "http://shop.example/token", "'http://shop.example/token'; it takes an https:// URL"),
        ("token_url", "https://user:pass@shop.example/", "it takes an https:// URL without a user"),
        ("authorize_url", "https://shop.example/#a", "it takes an https:// URL without a user or a fragment"),
        ("authorize_url", "shop.example", "'shop.example'; it takes an https:// URL"),
        ("revoke_url", "https://[", "'https://['; it takes an https:// URL"),
        ("hosts", "api.shop.example", "'api.shop.example'; it takes a list of texts"),
        ("hosts", ["api.shop.example", "https://x.example"], "hosts[1] is 'https://x.example'"),
        ("hosts", ["API.shop.example"], "hosts[0] is 'API.shop.example'; it takes a lower-case host"),
        ("hosts", [], "are missing; a connection for http"),
        ("scopes", [1], "it takes a list of texts"),
        ("default_scopes", ["admin"], "has 'admin', which is not among its scopes"),
        ("pkce", "yes please", "'yes please'; it takes true or false"),
        ("client_authentication", "tls", "'tls'; it takes basic, post"),
        ("refresh", "sometimes", "'sometimes'; it takes none, keeps, rotates"),
        ("scope_separator", "|", "'|'; it takes a space or a comma"),
        ("authorize_parameters", {"prompt": 1}, "it takes texts by their names"),
        ("authorize_parameters", {"state": "x"}, "authorize_parameters.state is 'x', which the protocol sets"),
        ("account", {"mail": "x"}, "it takes id, name, url, each a text"),
        ("account", {"id": "a..b"}, "account.id is 'a..b'; it takes names parted by dots"),
        ("account", {"url": "http://shop.example/me"}, "account.url is 'http://shop.example/me'"),
        ("request_token_url", "https://shop.example/r", "which is for oauth1 alone; remove it"),
        ("out_of_band", True, "out_of_band_uri is missing"),
        ("issuer_required", True, "issuer is missing"),
        ("secret", "x", "'secret' is no field of a provider; there are account, "),
    ],
)
def test_a_mistake_names_provider_field_and_value(tmp_path: Path, field: str, value: Any, told: str) -> None:
    (mistake,) = mistakes_of(tmp_path, {"shop": SHOP | {field: value}})
    assert mistake.startswith("PENSTOCK_PROVIDERS_FILE: the provider shop: ")
    assert told in mistake
    assert field in mistake


def test_all_mistakes_are_told_together(tmp_path: Path) -> None:
    wrong = mistakes_of(
        tmp_path,
        {"shop": SHOP | {"kind": "x", "pkce": 1}, "Bad Name": SHOP, "github": {"title": 7}, "empty": {}, "list": []},
        {"nowhere": {"id": "a", "secret": "b"}, "flickr": {"id": "a"}, "google": {"id": 7, "secret": "b"}},
    )
    told = "\n".join(wrong)
    for part in ("shop: kind", "shop: pkce", "'Bad Name'", "github: title", "empty: token_url is missing", "list must"):
        assert part in told
    for part in ("'nowhere' is no provider", "'flickr' must hold id and secret", "'google' must have an id"):
        assert part in told


def test_oauth1_takes_what_it_needs_and_nothing_else(tmp_path: Path) -> None:
    wrong = mistakes_of(tmp_path, {"shop": SHOP | {"kind": "oauth1", "pkce": True}})
    assert any("pkce" in each and "which is for oauth2 alone" in each for each in wrong)
    assert any("request_token_url is missing" in each for each in wrong)


@pytest.mark.parametrize(
    "text", ["[]", "7", "shop", "{1: {}}", "{unclosed", "\ttabs: no", "a: !!python/object:os.x {}"]
)
def test_a_file_that_holds_no_providers(tmp_path: Path, text: str) -> None:
    (mistake,) = mistakes_of(tmp_path, text)
    assert mistake.startswith("PENSTOCK_PROVIDERS_FILE is ")
    assert "\n" not in mistake


def test_a_file_that_there_is_not() -> None:
    with pytest.raises(ProviderMistakes, match=r"'/nowhere\.yaml', which cannot be read"):
        provider_files.read("/nowhere.yaml", Secret(""), allow_loopback=False)


@pytest.mark.parametrize(
    "clients",
    [
        "{unclosed: hunter2",
        "hunter2",
        "[hunter2]",
        '{"flickr": "hunter2"}',
        '{"flickr": {"id": "hunter2"}}',
        '{"flickr": {"id": "a", "secret": "hunter2 "}}',
        '{"flickr": {"id": "a", "secret": "hunter2", "more": "x"}}',
        '{"flickr": {"id": "", "secret": "hunter2"}}',
    ],
)
def test_no_mistake_shows_a_secret(tmp_path: Path, clients: str) -> None:
    (mistake,) = mistakes_of(tmp_path, clients=clients)
    assert mistake.startswith("PENSTOCK_PROVIDER_CLIENTS")
    assert "hunter2" not in mistake


def test_scopes_are_those_that_are_listed_unless_others_may_be_asked_for(tmp_path: Path) -> None:
    providers = read(tmp_path, {"shop": SHOP | {"default_scopes": ["read"]}, "open": SHOP | {"other_scopes": True}})
    shop, open_ = providers.get("shop"), providers.get("open")
    assert shop.chosen_scopes(()) == ("read",)
    assert shop.chosen_scopes(("write", "write", "read")) == ("write", "read")
    with pytest.raises(InvalidArgument, match="takes read, write"):
        shop.chosen_scopes(("admin",))
    assert open_.chosen_scopes(("https://shop.example/auth/all",)) == ("https://shop.example/auth/all",)
    for wrong in ("", "a b", "a,b", 'a"', "a\\b", "a\r\nb", "ä", "x" * 201):
        with pytest.raises(InvalidArgument):
            open_.chosen_scopes((wrong,))


def test_a_provider_that_there_is_not_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(ProviderNotFound, match="there are flickr, github, google, slack") as refused:
        read(tmp_path).get("x" * 100_000)
    assert len(str(refused.value.metadata)) < 1000
