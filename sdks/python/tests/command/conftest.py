from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from penstock_sdk.command import main

from sdks.python.tests.command.fake_gateway import KEY, FakeGateway, fake_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result


@dataclass(frozen=True, slots=True)
class Shell:
    """Runs the command as somebody who is logged in to the gateway."""

    environment: dict[str, str | None]

    def __call__(
        self, *args: str, code: int = 0, typed: str | bytes | None = None, **environment: str | None
    ) -> Result:
        done = CliRunner().invoke(
            main, args, input=typed, env={**self.environment, **environment}, prog_name="penstock"
        )
        assert done.exit_code == code, f"{done.exit_code}: {done.output}\n{done.exception!r}"
        return done


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with fake_gateway() as running:
        yield running


@pytest.fixture
def shell(gateway: FakeGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    for name in ("PENSTOCK_URL", "PENSTOCK_API_KEY", "PENSTOCK_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return Shell({"PENSTOCK_URL": gateway.url, "PENSTOCK_API_KEY": KEY, "XDG_CONFIG_HOME": str(tmp_path / "config")})


@pytest.fixture
def nobody(shell: Shell) -> Shell:
    """The same, not logged in."""
    return Shell({**shell.environment, "PENSTOCK_URL": None, "PENSTOCK_API_KEY": None})


def asked_of(gateway: FakeGateway, verb: str, path: str) -> list[Any]:
    return [body for one, where, _, body in gateway.asked if (one, where) == (verb, path)]
