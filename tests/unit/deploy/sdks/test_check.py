"""`make sdks` writes what follows, `make sdks check=1` says where something else is there."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from deploy.sdks import __main__ as command
from deploy.sdks.typescript_schema import NotInstalled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MADE = {"models.py": "one\n", "_sync/client.py": "two\n"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for the repository, in which two files and the schema are made."""
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "SYNC", tmp_path / "_sync")
    monkeypatch.setattr(command, "surface", lambda: None)
    monkeypatch.setattr(command, "outputs", lambda _: ((tmp_path / name, text) for name, text in MADE.items()))
    monkeypatch.setattr(command, "schema_output", lambda _: (tmp_path / "schema.ts", "three\n"))
    monkeypatch.delenv("CI", raising=False)
    return tmp_path


@pytest.fixture
def without_npm(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: object) -> Iterator[tuple[Path, str]]:
        raise NotInstalled

    monkeypatch.setattr(command, "schema_output", missing)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["sdks", *arguments])
    return command.main()


def test_what_was_written_is_as_it_is_to_be(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = folder / "_sync" / "old.py"
    old.parent.mkdir()
    old.write_text("")
    assert run(monkeypatch) == 0
    assert run(monkeypatch, "--check") == 0
    assert not old.exists()
    assert (folder / "schema.ts").read_text() == "three\n"


def test_what_is_something_else_is_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch)
    (folder / "models.py").write_text("another\n")
    (folder / "schema.ts").unlink()
    (folder / "_sync" / "old.py").write_text("")
    assert run(monkeypatch, "--check") == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "models.py is not what it is made of"
    assert said[-5:] == [
        "    -another",
        "    +one",
        "_sync/old.py is made of nothing any more",
        "schema.ts is not there",
        "`make sdks` makes them anew",
    ]
    assert (folder / "models.py").read_text() == "another\n"


@pytest.mark.usefixtures("without_npm")
@pytest.mark.parametrize(("ci", "code"), [("", 0), ("true", 1)])
def test_without_npm_it_says_what_it_cannot_compare(
    ci: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI", ci)
    assert run(monkeypatch) == 1
    assert run(monkeypatch, "--check") == code
    assert "not compared: sdks/typescript/src/schema.ts is made by openapi-typescript" in capsys.readouterr().err


def test_what_it_is_not_asked_for_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "--help") == 2
