"""`/openapi.json` and `/openapi.yaml`: the document of the API, which `make proto` writes beside this."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from gateway.site.documents import Document

if TYPE_CHECKING:
    from starlette.routing import Route

_PATH = Path(__file__).with_name("openapi.json")


def routes() -> list[Route]:
    """Both forms, which are made once."""
    document = _PATH.read_bytes()
    return [
        Document(document, "application/json").at("/openapi.json"),
        Document(_as_yaml(json.loads(document)), "application/yaml").at("/openapi.yaml"),  # RFC 9512
    ]


class _PlainDumper(yaml.CSafeDumper):
    """Writes what stands in several places again in each, as JSON does."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def _as_yaml(document: Any) -> bytes:
    return yaml.dump(document, Dumper=_PlainDumper, sort_keys=False, width=120, allow_unicode=True, encoding="utf-8")
