"""Settings are read whole, and every mistake in them is told at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from shared import config as settings
from shared.config import ConfigError, Secret, ServiceConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(ServiceConfig):
    pool: int = 4
    ratio: float = 0.5
    verbose: bool = False
    names: tuple[str, ...] = ("http",)
    grace: timedelta = timedelta(seconds=2)
    url: Secret


REQUIRED = {
    "PENSTOCK_GRPC_ADDRESS": "127.0.0.1:0",
    "PENSTOCK_IDENTITY_KEYS_FILE": "/keys.json",
    "PENSTOCK_SERVICE_KEY": "pem",
    "PENSTOCK_URL": "a client's variable, which no service minds",
}


def load(**variables: str) -> Config:
    return settings.load(Config, REQUIRED | {"PENSTOCK_URL": "redis://:hunter2@h:1"} | variables)


def test_defaults_serve_where_nothing_is_set() -> None:
    config = load()
    assert (config.pool, config.grace, config.names) == (4, timedelta(seconds=2), ("http",))
    assert config.identity_keys_file == Path("/keys.json")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("pool", "12", 12),
        ("ratio", "0.25", 0.25),
        ("verbose", "TRUE", True),
        ("verbose", "0", False),
        ("names", "http, flickr,", ("http", "flickr")),
        ("grace", "1.5h", timedelta(minutes=90)),
        ("grace", "250ms", timedelta(milliseconds=250)),
    ],
)
def test_each_type_is_read_as_meant(name: str, text: str, value: object) -> None:
    assert getattr(load(**{f"PENSTOCK_{name.upper()}": text}), name) == value


def test_a_secret_may_be_given_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("from the file\n")
    environment = {name: text for name, text in REQUIRED.items() if name != "PENSTOCK_SERVICE_KEY"}
    config = settings.load(Config, environment | {"PENSTOCK_SERVICE_KEY_FILE": str(path)})
    assert config.service_key.reveal() == "from the file"


def test_every_mistake_is_reported_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        settings.load(
            Config,
            {
                "PENSTOCK_POOL": "four",
                "PENSTOCK_GRACE": "2",
                "PENSTOCK_VERBOSE": "yes please",
                "PENSTOCK_RATIO": "half",
                "PENSTOCK_SERVICE_KEY": "one",
                "PENSTOCK_SERVICE_KEY_FILE": "/and/another",
                "PENSTOCK_POOOL": "4",
                "UNRELATED": "left alone",
            },
        )
    assert sorted(refused.value.mistakes) == [
        "PENSTOCK_GRACE is '2'; it takes a number with its unit, ms, s, m, h or d, such as 30s",
        "PENSTOCK_GRPC_ADDRESS is not set; it has no default",
        "PENSTOCK_IDENTITY_KEYS_FILE is not set; it has no default",
        "PENSTOCK_POOL is 'four'; it takes a whole number",
        "PENSTOCK_POOOL is not a setting of this service; remove it or mend its spelling",
        "PENSTOCK_RATIO is 'half'; it takes a number",
        "PENSTOCK_SERVICE_KEY and PENSTOCK_SERVICE_KEY_FILE are both set; keep one",
        "PENSTOCK_URL is not set; it has no default",
        "PENSTOCK_VERBOSE is 'yes please'; it takes true or false",
    ]


def test_a_missing_secret_file_is_named() -> None:
    environment = {name: text for name, text in REQUIRED.items() if name != "PENSTOCK_URL"}
    with pytest.raises(ConfigError, match=r"PENSTOCK_URL .*No such file or directory: '/nowhere'"):
        settings.load(Config, environment | {"PENSTOCK_URL_FILE": "/nowhere"})


def test_what_is_shown_of_the_settings_holds_no_secret() -> None:
    config = load()
    shown = settings.describe(config)
    assert "PENSTOCK_URL=***" in shown.splitlines()
    assert "PENSTOCK_GRACE=2s" in shown.splitlines()
    for text in (shown, repr(config), str(config.url), f"{config.url}"):
        assert "hunter2" not in text


def test_secrets_are_equal_by_their_text() -> None:
    assert Secret("a") == Secret("a")
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("a") != "a"
