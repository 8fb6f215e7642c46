"""The fields of a request, as its descriptor has them: one that is new to a message is found without a word here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from google.protobuf.descriptor import Descriptor, FieldDescriptor


@dataclass(frozen=True, slots=True)
class Leaf:
    """A field of a request, or of what the request holds.

    Args:
        steps: The fields that lead to it, and it; where one is repeated, its second element is meant.
    """

    steps: tuple[FieldDescriptor, ...]

    @property
    def field(self) -> FieldDescriptor:
        """The field itself."""
        return self.steps[-1]

    @property
    def path(self) -> str:
        """As errors name it."""
        *before, last = self.steps
        return ".".join(
            [*(f"{step.json_name}[1]" if is_list(step) else step.json_name for step in before), last.json_name]
        )

    def __str__(self) -> str:
        return self.path

    def put(self, body: Mapping[str, Any], value: Any) -> dict[str, Any]:
        """The body with this value in the field's place."""
        changed = json.loads(json.dumps(body))
        at = changed
        for step in self.steps[:-1]:
            at = at.setdefault(step.json_name, [{}, {}] if is_list(step) else {})
            at = at[1] if is_list(step) else at
        at[self.field.json_name] = value
        return changed


def is_list(field: FieldDescriptor) -> bool:
    """Whether the field is repeated, and no map."""
    return field.is_repeated and not is_map(field)


def is_map(field: FieldDescriptor) -> bool:
    """Whether the field is a map."""
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def leaves(message: Descriptor, before: tuple[FieldDescriptor, ...] = ()) -> Iterator[Leaf]:
    """Every field of a message and of the messages in it."""
    for field in message.fields:
        steps = (*before, field)
        yield Leaf(steps)
        held = field.message_type
        if held is not None and not is_map(field) and not held.full_name.startswith("google.protobuf."):
            yield from leaves(held, steps)
