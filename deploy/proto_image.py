"""The generator of `protos`, which is a script beside them and in no package."""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import TYPE_CHECKING, Any

from deploy.local.layout import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PROTOS = ROOT / "protos"


@cache
def generator() -> Any:
    """The script as a module."""
    specification = importlib.util.spec_from_file_location("generate", PROTOS / "generate.py")
    if specification is None or specification.loader is None:
        raise FileNotFoundError(PROTOS / "generate.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def image(path: Path) -> None:
    """Writes the descriptor set of every proto and all that it imports, with their comments, to `path`."""
    generator().image(path)
