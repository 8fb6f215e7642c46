from __future__ import annotations

import base64
from datetime import timedelta
from pathlib import Path

import pytest

from services.webhooks.config import Config
from services.webhooks.deliveries.domain import STANDARD_PAUSES
from shared.config import ConfigError, describe, load

DOCS = Path(__file__).parents[3] / "docs"
KEY = base64.b64encode(bytes(range(32))).decode()
CANARY = "canary-0123456789abcdef"
ENVIRONMENT = {
    "PENSTOCK_GRPC_ADDRESS": "127.0.0.1:18105",
    "PENSTOCK_IDENTITY_KEYS_FILE": "keys.json",
    "PENSTOCK_SERVICE_KEY": f"service-{CANARY}",
    "PENSTOCK_MONGO_URL": f"mongodb://user:{CANARY}@localhost/",
    "PENSTOCK_NATS_URL": f"nats://user:{CANARY}@localhost",
    "PENSTOCK_SEALING_KEY": KEY,
    "PENSTOCK_CALLBACK_KEY": KEY,
}


@pytest.mark.parametrize("page", ["webhooks.md", "callbacks.md"])
def test_the_pages_tell_the_schedule_and_the_time_to_answer_as_they_are(page: str) -> None:
    units = ((timedelta(hours=1), "h"), (timedelta(minutes=1), "min"), (timedelta(seconds=1), "s"))
    *pauses, last = (
        next(f"{pause // unit} {name}" for unit, name in units if not pause % unit) for pause in STANDARD_PAUSES
    )
    text = " ".join((DOCS / page).read_text(encoding="utf-8").split())
    assert f"{', '.join(pauses)} and {last}" in text
    assert f"{load(Config, ENVIRONMENT).attempt_timeout // timedelta(seconds=1)} s" in text


def test_defaults_are_those_of_standard_webhooks() -> None:
    config = load(Config, ENVIRONMENT)
    assert config.retry_schedule == STANDARD_PAUSES
    assert config.attempt_timeout == timedelta(seconds=15)
    assert config.disable_after == timedelta(days=5)
    assert config.ca_files == ()
    assert not config.allow_loopback


def test_a_schedule_is_read_pause_by_pause_and_shown_so() -> None:
    config = load(Config, ENVIRONMENT | {"PENSTOCK_RETRY_SCHEDULE": "250ms, 5s,1.5h"})
    assert config.retry_schedule == (timedelta(milliseconds=250), timedelta(seconds=5), timedelta(minutes=90))
    assert "PENSTOCK_RETRY_SCHEDULE=0.25s,5s,5400s" in describe(config).splitlines()


def test_an_empty_schedule_means_one_attempt() -> None:
    assert load(Config, ENVIRONMENT | {"PENSTOCK_RETRY_SCHEDULE": ""}).retry_schedule == ()


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("PENSTOCK_RETRY_SCHEDULE", "5s,soon", "is 'soon'; it takes a number with its unit"),
        ("PENSTOCK_RETRY_SCHEDULE", "5s,0s", "has a pause of 0s; each is more than 0 s and at most 7 days"),
        ("PENSTOCK_RETRY_SCHEDULE", "8d", "has a pause of 691200s"),
        ("PENSTOCK_RETRY_SCHEDULE", ",".join(["1s"] * 51), "has 51 pauses; it takes at most 50"),
        ("PENSTOCK_ATTEMPT_TIMEOUT", "0s", "is 0s; it takes more than 0 s and at most 60s"),
        ("PENSTOCK_ATTEMPT_TIMEOUT", "61s", "is 61s"),
        ("PENSTOCK_MAX_ENDPOINTS", "0", "is 0; it takes 1 to 10000"),
        ("PENSTOCK_MAX_ENDPOINTS", "10001", "is 10001; it takes 1 to 10000"),
        ("PENSTOCK_SECRET_GRACE", "8d", "is 691200s; it takes 0s to 7 days"),
        ("PENSTOCK_WEBHOOK_PORTS", "443,65536", "names port 65536; a port is 1 to 65535"),
        ("PENSTOCK_WEBHOOK_PORTS", "", "is empty; it takes ports, with commas between them"),
        ("PENSTOCK_CONCURRENCY", "0", "is 0; it takes 1 to 1000"),
        ("PENSTOCK_RECEIVER_HOLD", "0.5s", "is 0.5s; it takes 1s to 300s"),
        ("PENSTOCK_RECEIVER_HOLD", "1h", "is 3600s; it takes 1s to 300s"),
        ("PENSTOCK_DISABLE_AFTER", "0s", "is 0s; it takes more than 0 s"),
        (
            "PENSTOCK_CA_FILES",
            "/not/there.pem",
            "names /not/there.pem, which cannot be read as certificates: No such file",
        ),
        ("PENSTOCK_CA_FILES", __file__, f"names {__file__}, which cannot be read as certificates"),
        ("PENSTOCK_RETENTION_INTERVAL", "0s", "is 0s; it takes more than 0 s and at most 1 day"),
        ("PENSTOCK_RETENTION_INTERVAL", "2d", "is 172800s; it takes more than 0 s and at most 1 day"),
        ("PENSTOCK_CALLBACK_KEY", "no base64!", "is not base64; it takes 32 random bytes in base64"),
        ("PENSTOCK_SEALING_KEY", base64.b64encode(bytes(31)).decode(), "has 31 bytes; it takes 32, in base64"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, problem: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(Config, ENVIRONMENT | {name: value})
    assert len(refused.value.mistakes) == 1
    assert refused.value.mistakes[0].startswith(f"{name} {problem}")


def test_every_wrong_setting_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        load(Config, ENVIRONMENT | {"PENSTOCK_CALLBACK_KEY": "short", "PENSTOCK_CONCURRENCY": "-1"})
    assert len(refused.value.mistakes) == 2


def test_shown_settings_hold_no_secret() -> None:
    config = load(Config, ENVIRONMENT)
    for shown in (describe(config), repr(config)):
        assert CANARY not in shown
        assert KEY not in shown


@pytest.mark.parametrize("missing", sorted(ENVIRONMENT))
def test_the_service_needs_every_setting(missing: str) -> None:
    with pytest.raises(ConfigError, match=missing):
        load(Config, {name: value for name, value in ENVIRONMENT.items() if name != missing})
