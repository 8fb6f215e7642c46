"""The builder and its command, with the real Envoy as judge."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from deploy.local.layout import ROOT
from gateway import GatewayError, GatewaySettings, build

if TYPE_CHECKING:
    from pathlib import Path


def _run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    command = [sys.executable, "-m", "gateway", "build", "--out", str(folder)]
    return subprocess.run(
        command, cwd=ROOT, env=clean | environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_every_setting_together_is_taken_by_envoy(tmp_path: Path) -> None:
    settings = GatewaySettings(
        history_address="history:1",
        webhooks_address="webhooks:1",
        otlp_address="collector:4317",
        trusted_hops=2,
        cors_origins=("https://a.example", "https://b.example"),
    )
    assert build(settings, tmp_path / "new" / "folder") == tmp_path / "new" / "folder" / "envoy.yaml"
    assert {path.name for path in (tmp_path / "new" / "folder").iterdir()} == {
        "envoy.yaml",
        "penstock.binpb",
        "answers.lua",
        "requests.lua",
    }


def test_the_same_settings_build_the_same_files(tmp_path: Path) -> None:
    first = {path.name: path.read_bytes() for path in build(GatewaySettings(), tmp_path).parent.iterdir()}
    second = {path.name: path.read_bytes() for path in build(GatewaySettings(), tmp_path).parent.iterdir()}
    assert first == second


def test_what_envoy_refuses_is_an_error_in_its_words(tmp_path: Path) -> None:
    with pytest.raises(GatewayError, match="max_active_downstream_connections"):
        build(GatewaySettings(max_requests=-1), tmp_path)


def test_an_envoy_that_fails_is_an_error(tmp_path: Path) -> None:
    envoy = tmp_path / "envoy"
    envoy.write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    envoy.chmod(envoy.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(GatewayError, match="broken"):
        build(GatewaySettings(), tmp_path / "out", envoy=envoy)


def test_the_command_answers_with_the_path(tmp_path: Path) -> None:
    done = _run(tmp_path, PENSTOCK_GATEWAY_ADDRESS="127.0.0.1:8081")
    assert (done.returncode, done.stdout.strip()) == (0, str(tmp_path / "envoy.yaml"))
    assert "port_value: 8081" in (tmp_path / "envoy.yaml").read_text()


def test_the_command_names_every_mistake(tmp_path: Path) -> None:
    done = _run(tmp_path, PENSTOCK_GATEWAY_CALL_TIMEOUT="soon", PENSTOCK_GATEWAY_NOPE="1")
    assert done.returncode == 2
    assert "PENSTOCK_GATEWAY_CALL_TIMEOUT" in done.stderr
    assert "PENSTOCK_GATEWAY_NOPE" in done.stderr


def test_the_command_fails_where_envoy_refuses(tmp_path: Path) -> None:
    done = _run(tmp_path, PENSTOCK_GATEWAY_MAX_REQUESTS="-1")
    assert done.returncode == 1
    assert "is refused by" in done.stderr
