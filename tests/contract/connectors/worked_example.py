"""The worked example of docs/connectors.md, taken out of the page: what stands there is what the suite runs."""

from __future__ import annotations

import importlib.util
import re
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    from yarl import URL

    from services.upstream.connector import Connector
    from services.upstream.http_client import HttpClient
    from shared.clock import Clock

PAGE = Path(__file__).parents[3] / "docs" / "connectors.md"
_FOLDER = tempfile.TemporaryDirectory(prefix="penstock-example-")  # removed as the run ends
_BLOCK = re.compile(r"^`services/upstream/connectors/(shop\.\w+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@cache
def module() -> ModuleType:
    """The example's code, with its data beside it."""
    files = dict(_BLOCK.findall(PAGE.read_text(encoding="utf-8")))
    folder = Path(_FOLDER.name)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("worked_example_shop", folder / "shop.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    return made


def connector(client: HttpClient, clock: Clock, urls: Mapping[str, URL]) -> Connector:
    """The example's connector."""
    return module().connector(client, clock, urls)
