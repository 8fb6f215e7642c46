"""The types of the API's JSON in TypeScript, which openapi-typescript makes of the document."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.local.layout import ROOT

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_FOLDER = ROOT / "sdks" / "typescript"
_PROGRAM = _FOLDER / "node_modules" / "openapi-typescript" / "bin" / "cli.js"


class NotInstalled(Exception):
    """openapi-typescript is not there."""

    def __init__(self) -> None:
        super().__init__(
            "sdks/typescript/src/schema.ts is made by openapi-typescript, which npm has not installed in "
            "sdks/typescript; once npm is there: bash deploy/setup.sh typescript"
        )


def schema(document: Mapping[str, Any], names: Collection[str]) -> str:
    """The module of types.

    Args:
        document: OpenAPI's.
        names: The schemas that the client speaks of, and those that these are made of.

    Raises:
        NotInstalled: What makes it is not there.
        subprocess.CalledProcessError: It could not.
    """
    if not _PROGRAM.is_file():
        raise NotInstalled
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder, "openapi.json"), Path(folder, "schema.ts")
        source.write_text(json.dumps(_part(document, names)), encoding="utf-8")
        subprocess.run(  # noqa: S603  the arguments are those here
            ("node", _PROGRAM, source, "--output", made, "--empty-objects-unknown"),  # noqa: S607  node, where it is
            cwd=_FOLDER,
            capture_output=True,
            check=True,
        )
        return made.read_text(encoding="utf-8")


def _part(document: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The document without its paths and headers: of what is called only the JSON's types are wanted."""
    schemas = document["components"]["schemas"]
    webhooks = {
        name: {verb: {"requestBody": operation["requestBody"], "responses": {}} for verb, operation in verbs.items()}
        for name, verbs in document["webhooks"].items()
    }
    return {
        "openapi": document["openapi"],
        "info": {key: document["info"][key] for key in ("title", "version")},
        "paths": {},
        "webhooks": webhooks,
        "components": {"schemas": {name: schemas[name] for name in schemas if name in names}},
    }
