from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from services.auth.config import Config
from shared.config import ConfigError, describe, load
from tests.unit.auth.test_config import CANARY, ENVIRONMENT

if TYPE_CHECKING:
    from pathlib import Path

CLIENTS = f"flickr: {{id: 9a05, secret: {CANARY}}}"


def test_by_default_providers_are_known_and_nowhere_is_a_client() -> None:
    config = load(Config, ENVIRONMENT)
    assert (config.public_url, config.authorization_lifetime) == ("", timedelta(minutes=10))
    assert [each.name for each in config.providers().all if config.providers().client(each.name)] == []


def test_clients_are_read_from_a_file_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "clients.yaml").write_text(CLIENTS + "\n")
    config = load(Config, ENVIRONMENT | {"PENSTOCK_PROVIDER_CLIENTS_FILE": str(tmp_path / "clients.yaml")})
    client = config.providers().client("flickr")
    assert client is not None
    assert (client.id, client.secret) == ("9a05", CANARY)
    assert CANARY not in describe(config) + repr(config) + repr(client)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PENSTOCK_PUBLIC_URL", "http://penstock.example"),
        ("PENSTOCK_PUBLIC_URL", "https://penstock.example/"),
        ("PENSTOCK_PUBLIC_URL", "penstock.example"),
        ("PENSTOCK_AUTHORIZATION_LIFETIME", "59s"),
        ("PENSTOCK_AUTHORIZATION_LIFETIME", "2h"),
        ("PENSTOCK_PROVIDERS_FILE", "/nowhere.yaml"),
        ("PENSTOCK_PROVIDER_CLIENTS", "[]"),
        ("PENSTOCK_ALLOW_LOOPBACK", "true"),
    ],
)
def test_what_cannot_be_is_refused_at_start(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=name):
        load(Config, ENVIRONMENT | {name: text})


def test_mistakes_in_all_of_it_are_told_together_and_hold_no_secret(tmp_path: Path) -> None:
    (tmp_path / "providers.yaml").write_text("shop: {title: Shop, kind: oauth3}\n")
    wrong = {
        "PENSTOCK_PUBLIC_URL": "ftp://x",
        "PENSTOCK_PROVIDERS_FILE": str(tmp_path / "providers.yaml"),
        "PENSTOCK_PROVIDER_CLIENTS": f"nowhere: {{id: a, secret: {CANARY}}}",
        "PENSTOCK_KEY_RATE_LIMIT": "0",
    }
    with pytest.raises(ConfigError) as refused:
        load(Config, ENVIRONMENT | wrong)
    told = str(refused.value)
    for part in (
        "PENSTOCK_PUBLIC_URL",
        "shop: kind is 'oauth3'",
        "shop: token_url is missing",
        "'nowhere'",
        "KEY_RATE",
    ):
        assert part in told
    assert CANARY not in told
