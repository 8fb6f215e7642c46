"""The catalogue of event types, read once."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: The body in which several events go together. It is no type of events: nothing can be filtered by it.
BATCH = "events.batch"
DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """A type of events.

    Args:
        name: Such as `job.succeeded`.
        description: When there is such an event, for people.
        schema: JSON Schema (2020-12) of the body that tells of it.
        example: Such a body.
    """

    name: str
    description: str
    schema: Mapping[str, Any] = field(repr=False)
    example: Mapping[str, Any] = field(repr=False)


class EventTypes:
    """All types of events.

    Args:
        types: In any order.
        batch: The body of several events.
    """

    def __init__(self, types: Iterable[EventType], *, batch: EventType) -> None:
        self._types = {each.name: each for each in sorted(types, key=lambda each: each.name)}
        self.batch = batch

    @classmethod
    def shipped(cls) -> EventTypes:
        """Those that Penstock ships."""
        found = {each.name: each for each in map(_read, DATA.glob("*.schema.json"))}
        batch = found.pop(BATCH)
        return cls(found.values(), batch=batch)

    def names(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(self._types)

    def types(self) -> tuple[EventType, ...]:
        """All of them, in the order of their names."""
        return tuple(self._types.values())

    def example(self, name: str) -> Mapping[str, Any]:
        """The example of a type's body.

        Raises:
            KeyError: There is no such type.
        """
        return self._types[name].example

    def sample(self, name: str) -> bytes:
        """The same as it would be sent.

        Raises:
            KeyError: There is no such type.
        """
        return json.dumps(self.example(name), ensure_ascii=False, separators=(",", ":")).encode()

    def schema(self, name: str) -> Mapping[str, Any]:
        """The schema of a type's body.

        Raises:
            KeyError: There is no such type.
        """
        return self._types[name].schema

    def known(self, pattern: str) -> bool:
        """Whether a filter's text stands for any of them: a name, or `job.*` for all that begin so."""
        if pattern.endswith(".*"):
            return any(name.startswith(pattern[:-1]) for name in self._types)
        return pattern in self._types


def _read(path: Path) -> EventType:
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    (example,) = schema["examples"]
    return EventType(name=schema["title"], description=schema["description"], schema=schema, example=example)
