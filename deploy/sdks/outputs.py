"""Every file that is made, and what it is to say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from deploy.local.layout import ROOT
from deploy.openapi.contract import Contract
from deploy.sdks import page, python_code, python_models, typescript_code, typescript_schema
from deploy.sdks.formatting import formatted
from deploy.sdks.presence import optional_fields
from deploy.sdks.reading import DOCUMENT, read_surface
from deploy.sdks.sync_code import sync_modules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deploy.sdks.surface import Surface

PYTHON = ROOT / "sdks" / "python" / "src" / "penstock_sdk"
TYPESCRIPT = ROOT / "sdks" / "typescript" / "src"
PAGE = ROOT / "docs" / "sdks.md"
#: Holds nothing that is not made.
SYNC = PYTHON / "_sync"


def surface() -> Surface:
    """What the clients have.

    Raises:
        ValueError: What they are made of does not fit together.
    """
    return read_surface(optional_fields(Contract.read().methods.values()))


def outputs(of: Surface) -> Iterator[tuple[Path, str]]:
    """Every file but the one that npm's program makes.

    The modules of the sync half are made of those of the async one as these are on the disk, so those come first, and
    whoever writes, writes each before taking the next.

    Args:
        of: What the clients have.
    """
    made = {
        PYTHON / "models.py": python_models.models(of),
        PYTHON / "operations.py": python_code.operations(of),
        PYTHON / "reasons.py": python_code.reasons(of),
        PYTHON / "_async" / "resources.py": python_code.resources(of),
    }
    for path, code in made.items():
        yield path, formatted(code, path)
    yield TYPESCRIPT / "models.ts", typescript_code.models(of)
    yield TYPESCRIPT / "operations.ts", typescript_code.operations(of)
    yield TYPESCRIPT / "reasons.ts", typescript_code.reasons(of)
    yield TYPESCRIPT / "resources.ts", typescript_code.resources(of)
    yield PAGE, page.page(PAGE.read_text(encoding="utf-8"), of)
    yield from sync_modules(PYTHON)


def schema_output(of: Surface) -> tuple[Path, str]:
    """The file that npm's program makes.

    Args:
        of: What the clients have.

    Raises:
        NotInstalled: The program is not there.
    """
    names = {each.schema for each in (*of.models, *of.choices)}
    document = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    return TYPESCRIPT / "schema.ts", typescript_schema.schema(document, names)
