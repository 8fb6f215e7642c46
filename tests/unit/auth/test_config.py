from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from services.auth.config import BootstrapConfig, Config
from shared.config import ConfigError, describe, load

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "canary-0123456789abcdef-0123456789abcdef"
ENVIRONMENT = {
    "PENSTOCK_GRPC_ADDRESS": "127.0.0.1:18101",
    "PENSTOCK_IDENTITY_KEYS_FILE": "keys.json",
    "PENSTOCK_SERVICE_KEY": f"service-{CANARY}",
    "PENSTOCK_MONGO_URL": f"mongodb://user:{CANARY}@localhost/",
    "PENSTOCK_REDIS_URL": f"redis://user:{CANARY}@localhost/0",
    "PENSTOCK_NATS_URL": f"nats://user:{CANARY}@localhost",
    "PENSTOCK_KEY_PEPPER": CANARY,
    "PENSTOCK_SEALING_KEY": base64.b64encode(b"canary 0123456789 canary 0123456").decode(),
    "PENSTOCK_MASTER_KEYS": f"one:{base64.b64encode(b'canary 0123456789 canary 0123456').decode()}",
}
STORE_ALONE = {
    name: ENVIRONMENT[name] for name in ("PENSTOCK_MONGO_URL", "PENSTOCK_KEY_PEPPER", "PENSTOCK_SEALING_KEY")
}


def test_shown_settings_hold_no_secret() -> None:
    config = load(Config, ENVIRONMENT)
    shown = describe(config)
    assert CANARY not in shown
    assert CANARY not in repr(config)
    assert "PENSTOCK_KEY_PEPPER=***" in shown
    assert "PENSTOCK_SEALING_KEY=***" in shown


def test_the_pepper_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "pepper"
    path.write_text(CANARY + "\n", encoding="utf-8")
    environment = ENVIRONMENT | {"PENSTOCK_KEY_PEPPER_FILE": str(path)}
    del environment["PENSTOCK_KEY_PEPPER"]
    assert load(Config, environment).key_pepper.reveal() == CANARY


def test_a_pepper_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        load(Config, ENVIRONMENT | {"PENSTOCK_KEY_PEPPER": "short-and-sweet"})
    assert "PENSTOCK_KEY_PEPPER" in str(refused.value)
    assert "short-and-sweet" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "short", "c2hvcnQtYW5kLXN3ZWV0", "ü", "A" * 44])
def test_a_sealing_key_that_is_none_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ConfigError, match="PENSTOCK_SEALING_KEY") as refused:
        load(Config, ENVIRONMENT | {"PENSTOCK_SEALING_KEY": text})
    assert not text or text not in str(refused.value)


@pytest.mark.parametrize("missing", sorted(ENVIRONMENT))
def test_the_service_needs_every_setting(missing: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(Config, {name: value for name, value in ENVIRONMENT.items() if name != missing})
    assert missing in str(refused.value)


def test_the_bootstrap_command_needs_the_store_and_what_secrets_are_kept_under_alone() -> None:
    assert load(BootstrapConfig, STORE_ALONE).key_pepper.reveal() == CANARY
    for name in STORE_ALONE:
        with pytest.raises(ConfigError):
            load(BootstrapConfig, {other: value for other, value in STORE_ALONE.items() if other != name})


def test_the_bootstrap_command_runs_in_the_services_own_environment() -> None:
    assert load(BootstrapConfig, ENVIRONMENT).mongo_url.reveal() == ENVIRONMENT["PENSTOCK_MONGO_URL"]


def test_limits_are_read_and_hold_by_default() -> None:
    limits = load(Config, ENVIRONMENT).rate_limits
    assert (limits.key, limits.tenant, limits.address) == (1_000, 10_000, 600)
    assert load(Config, ENVIRONMENT | {"PENSTOCK_KEY_RATE_LIMIT": "7"}).rate_limits.key == 7


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PENSTOCK_KEY_RATE_LIMIT", "0"),
        ("PENSTOCK_TENANT_RATE_LIMIT", "-1"),
        ("PENSTOCK_ADDRESS_RATE_LIMIT", "1000000001"),
        ("PENSTOCK_LIMIT_SHARE_WITHOUT_REDIS", "0"),
        ("PENSTOCK_LIMIT_SHARE_WITHOUT_REDIS", "1.1"),
    ],
)
def test_a_limit_that_would_open_or_shut_the_door_for_all_is_refused(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=name):
        load(Config, ENVIRONMENT | {name: text})


def test_every_mistake_is_named() -> None:
    wrong = {"PENSTOCK_KEY_PEPPER": "short", "PENSTOCK_KEY_RATE_LIMIT": "0", "PENSTOCK_TENANT_RATE_LIMIT": "0"}
    with pytest.raises(ConfigError) as refused:
        load(Config, ENVIRONMENT | wrong)
    assert all(name in str(refused.value) for name in wrong)


KMS = {
    "PENSTOCK_KEY_PROVIDER": "aws-kms",
    "PENSTOCK_KMS_KEY": "alias/penstock",
    "PENSTOCK_KMS_REGION": "eu-central-1",
}


@pytest.mark.parametrize(
    ("changes", "mistakes"),
    [
        ({"PENSTOCK_KEY_PROVIDER": "vault"}, ["PENSTOCK_KEY_PROVIDER is 'vault'; there are file and aws-kms"]),
        ({"PENSTOCK_MASTER_KEYS": ""}, ["PENSTOCK_MASTER_KEYS cannot be used: there is no key"]),
        ({"PENSTOCK_MASTER_KEYS": f"one:{CANARY}"}, ["PENSTOCK_MASTER_KEYS cannot be used: the key 'one' is none"]),
        (
            {"PENSTOCK_KEY_PROVIDER": "aws-kms", "PENSTOCK_KMS_ENDPOINT": "kms"},
            ["PENSTOCK_KMS_KEY is not set", "PENSTOCK_KMS_REGION is not set", "PENSTOCK_KMS_ENDPOINT is 'kms'"],
        ),
        ({"PENSTOCK_KMS_KEY": "alias/penstock"}, ["PENSTOCK_KMS_REGION is not set"]),
        ({"PENSTOCK_MAX_CONNECTIONS": "0"}, ["PENSTOCK_MAX_CONNECTIONS is 0"]),
        (
            {"PENSTOCK_MAX_CONNECTIONS": "-1", "PENSTOCK_KEY_PROVIDER": "x", "PENSTOCK_KEY_RATE_LIMIT": "0"},
            ["PENSTOCK_MAX_CONNECTIONS", "PENSTOCK_KEY_PROVIDER", "PENSTOCK_KEY_RATE_LIMIT"],
        ),
    ],
)
def test_nonsense_about_connections_is_refused_together_and_shows_no_secret(
    changes: dict[str, str], mistakes: list[str]
) -> None:
    with pytest.raises(ConfigError) as refused:
        load(Config, ENVIRONMENT | changes)
    assert len(refused.value.mistakes) == len(mistakes)
    for mistake in mistakes:
        assert mistake in str(refused.value)
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "names"),
    [({}, ["file"]), (KMS, ["aws-kms", "file"]), (KMS | {"PENSTOCK_KEY_PROVIDER": "file"}, ["file", "aws-kms"])],
)
async def test_the_key_provider_of_the_setting_wraps_and_another_that_is_set_up_unwraps(
    changes: dict[str, str], names: list[str]
) -> None:
    providers = load(Config, ENVIRONMENT | changes).key_providers()
    assert providers.names == names


def test_master_keys_are_needed_where_they_wrap_alone() -> None:
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "PENSTOCK_MASTER_KEYS"}
    assert load(Config, environment | KMS).key_providers().names == ["aws-kms"]
    with pytest.raises(ConfigError, match="PENSTOCK_MASTER_KEYS"):
        load(Config, environment)
    assert load(BootstrapConfig, STORE_ALONE).master_keys.reveal() == ""
