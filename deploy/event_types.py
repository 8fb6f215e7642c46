"""What follows from the protos about webhooks: the JSON Schema of each event type, and the page `docs/events.md`.

`make proto` writes them anew (`python -m deploy.event_types`), `make proto-check` compares.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from deploy.local.layout import ROOT
from deploy.openapi.contract import Contract
from deploy.openapi.schemas import TIME, Schemas
from services.webhooks.collecting.event_types.catalogue import BATCH, DATA

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from deploy.openapi.schemas import Schema

PAGE = ROOT / "docs" / "events.md"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_HEAD = """# Events

The types of events that endpoints can be sent; `GET /api/v1/event-types` answers with them too, each with the JSON
Schema of its body. Every body is `{"type", "timestamp", "data"}`: `timestamp` is when it happened, `data` is in proto3
JSON, in which a field that has its default (`0`, `false`, an empty text) is left out and a 64-bit number is a text.
Fields may be added: pass over what you do not know.

| type | when |
|---|---|
"""


def outputs() -> Iterator[tuple[Path, str]]:
    """Every file that follows, with what it is to say."""
    contract = Contract.read()
    types = _written()
    batch = types.pop(BATCH)
    for name, written in types.items():
        schemas = Schemas(contract, home="#/$defs/")
        body = _body(name, written, _data(contract, schemas, written))
        yield DATA / f"{name}.schema.json", _text(body | {"$defs": schemas.gathered})
    yield DATA / f"{BATCH}.schema.json", _text(_batch_schema(batch, list(types)))
    yield PAGE, _page(types, batch)


def bodies(contract: Contract, schemas: Schemas) -> dict[str, Schema]:
    """The schema of each event type's body, and of the one in which several events go together.

    Args:
        contract: The protos.
        schemas: Gathers the messages that they hold.
    """
    types = _written()
    batch = types.pop(BATCH)
    made = {name: _body(name, written, _data(contract, schemas, written)) for name, written in types.items()}
    return {**made, BATCH: _batch_schema(batch, list(types))}


def _written() -> dict[str, dict[str, Any]]:
    """What the file of each event type says."""
    return {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(DATA.glob("*.yaml"))}


def _data(contract: Contract, schemas: Schemas, written: Mapping[str, Any]) -> Schema:
    """The schema of what an event type's body tells."""
    data = schemas.reference(contract.message(written["message"]), without=written.get("without", ()))
    data["required"] = written["always"]
    if fixed := written.get("fixed"):
        data["properties"] = {field: {"const": value} for field, value in fixed.items()}
    return data


def _body(name: str, written: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "$schema": _DIALECT,
        "title": name,
        "description": written["description"],
        "examples": [written["example"]],
        "type": "object",
        "properties": {"type": {"const": name}, "timestamp": dict(TIME), "data": dict(data)},
        "required": ["type", "timestamp", "data"],
    }


def _batch_schema(written: Mapping[str, Any], types: list[str]) -> dict[str, Any]:
    event = {
        "type": "object",
        "properties": {
            "id": {"description": "The `webhook-id` that it would have had by itself.", "type": "string"},
            "type": {"enum": types},
            "timestamp": dict(TIME),
            "data": {"description": "As in the schema of its type.", "type": "object"},
        },
        "required": ["id", "type", "timestamp", "data"],
    }
    events = {"type": "array", "minItems": 1, "items": event}
    data = {"type": "object", "properties": {"events": events}, "required": ["events"]}
    return _body(BATCH, written, data)


def _page(types: Mapping[str, Mapping[str, Any]], batch: Mapping[str, Any]) -> str:
    rows = "".join(f"| [`{name}`](#{_anchor(name)}) | {each['description']} |\n" for name, each in types.items())
    sections = "".join(_section(name, each) for name, each in {**types, BATCH: batch}.items())
    return f"{_HEAD}{rows}{sections}"


def _section(name: str, written: Mapping[str, Any]) -> str:
    example = json.dumps(written["example"], indent=2, ensure_ascii=False)
    return f"\n## {name}\n\n{written['description']}\n\n```json\n{example}\n```\n"


def _anchor(heading: str) -> str:
    """As repositories link to a heading."""
    return heading.replace(".", "")


def _text(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Writes every file anew."""
    for path, text in outputs():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
