"""What the document names within what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deploy.sdks.types import reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def told_of_operations(operation: Mapping[str, Any]) -> Iterator[str]:
    """What the long-running operation that is answered with holds: its metadata, and its response."""
    schema = operation["responses"]["200"].get("content", {}).get("application/json", {}).get("schema", {})
    for each in schema.get("properties", {}).values():
        if (name := reference(each)) is not None:
            yield name


def references(of: Any) -> Iterator[str]:
    """The names of all schemas that something refers to, however deep."""
    if isinstance(of, dict):
        if isinstance(target := of.get("$ref"), str):
            yield target.rpartition("/")[2]
        for each in of.values():
            yield from references(each)
    elif isinstance(of, list):
        for each in of:
            yield from references(each)


def reasons_in(answer: Mapping[str, Any]) -> Iterator[str]:
    """The reasons that one answer may have."""
    content = answer.get("content", {}).get("application/json", {}).get("schema", {})
    for each in content.get("allOf", ()):
        details = each.get("properties", {}).get("error", {}).get("properties", {}).get("details", {})
        yield from details.get("contains", {}).get("properties", {}).get("reason", {}).get("enum", ())
