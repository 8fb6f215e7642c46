"""Ruff's form for code that was made."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from deploy.local.layout import ROOT

if TYPE_CHECKING:
    from pathlib import Path

_RUFF = ROOT / ".venv" / "bin" / "ruff"
#: What cannot be made right at once: imports in their order and no others; and, of what the sync half has become, two
#: names of one type, and a loop that yields what it loops over.
_MENDED = ("--select", "I,F401,PYI016,UP028")


def formatted(code: str, path: Path) -> str:
    """The code as `make format` would leave it at that path.

    Args:
        code: Python's.
        path: Where it will stand, by which imports are told apart.

    Raises:
        subprocess.CalledProcessError: It is no Python.
    """
    name = str(path)
    mended = _run(
        "check", "--quiet", "--fix-only", "--unsafe-fixes", *_MENDED, "--stdin-filename", name, "-", code=code
    )
    return _run("format", "--quiet", "--stdin-filename", name, "-", code=mended)


def _run(*arguments: str, code: str) -> str:
    return subprocess.run(  # noqa: S603  the arguments are those above
        (_RUFF, *arguments), input=code, capture_output=True, check=True, text=True, cwd=ROOT
    ).stdout
