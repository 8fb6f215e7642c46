"""A login is kept once it is found to work, where nobody else can read it."""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING, Any

import pytest

from sdks.python.tests.command.fake_gateway import KEY, Refused

if TYPE_CHECKING:
    from pathlib import Path

    from sdks.python.tests.command.conftest import Shell
    from sdks.python.tests.command.fake_gateway import FakeGateway

MINE = {"id": "key_1", "name": "laptop", "tenant": "acme", "role": "ADMIN", "prefix": KEY[:16]}


@pytest.fixture(autouse=True)
def keys(gateway: FakeGateway) -> None:
    gateway.answers["GET", "/keys"] = {"keys": [{**MINE, "id": "key_0", "prefix": "psk_live_another"}, MINE]}


def test_a_key_is_asked_for_unseen_tried_and_kept(nobody: Shell, gateway: FakeGateway, tmp_path: Path) -> None:
    done = nobody("login", typed=f"{gateway.url}/\n{KEY}\n")
    assert f"logged in to {gateway.url} as laptop of acme, ADMIN" in done.stdout
    assert KEY not in done.output
    file = tmp_path / "config/penstock/profiles.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(nobody("whoami", "--json").stdout)["keyId"] == "key_1"
    assert nobody("logout").stdout.startswith("forgot default")
    assert "penstock login" in nobody("whoami", code=3).stderr
    assert KEY not in file.read_text()


def test_logins_have_names_and_the_key_may_come_from_a_pipe(nobody: Shell, gateway: FakeGateway) -> None:
    nobody("login", "--profile", "staging", "--url", gateway.url, "--key-stdin", typed=KEY)
    assert "login staging" in nobody("--profile", "staging", "whoami").stdout
    assert "there are staging" in nobody("whoami", "--profile", "production", code=3).stderr
    assert "there are staging" in nobody("logout", "--profile", "production", code=4).stderr


def test_a_key_that_does_not_work_is_not_kept(nobody: Shell, gateway: FakeGateway, tmp_path: Path) -> None:
    done = nobody("login", "--url", gateway.url, "--key-stdin", typed="psk_live_wrong\n", code=3)
    assert "UNAUTHENTICATED" in done.stderr
    assert not (tmp_path / "config/penstock/profiles.json").exists()
    assert "give --url too" in nobody("login", "--key-stdin", typed=KEY, code=2).stderr


def test_a_key_that_may_not_read_keys_is_kept_all_the_same(nobody: Shell, gateway: FakeGateway) -> None:
    gateway.answers["GET", "/keys"] = Refused(403, "PERMISSION_DENIED", "the key lacks keys:read")
    assert "may not read keys" in nobody("login", "--url", gateway.url, "--key-stdin", typed=KEY).stdout


def test_settings_of_the_environment_are_said_to_be_those(shell: Shell) -> None:
    told: Any = json.loads(shell("whoami", "--json").stdout)
    assert told["from"] == "PENSTOCK_URL, PENSTOCK_API_KEY"
    assert KEY not in str(told)
