"""Where a call goes: path, query and body of its flat fields."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from penstock_sdk.errors import InvalidUse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock_sdk.operation import Operation

_PLACE = re.compile(r"\{(\w+)\}")
#: What a server takes for a step within the path, however it is written.
_STEPS = frozenset({".", ".."})
_OPERATION_PREFIX = "operations/"  # operations are told by their name, the path takes the id
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a call goes.

    Args:
        path: From `/` on, encoded.
        query: Its names and values.
        body: Its JSON; None where it has none.
    """

    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None


def target(operation: Operation, fields: Mapping[str, Any]) -> Target:
    """Where a call of the operation goes.

    Args:
        operation: What is called.
        fields: The request's, flat, by their JSON names, as JSON.

    Raises:
        InvalidUse: A field of the path is missing or no text that could stand there, or a field has no place.
    """

    def placed(place: re.Match[str]) -> str:
        return _segment(place[1], fields.get(place[1]))

    path = _PLACE.sub(placed, operation.path)
    query: list[tuple[str, str]] = []
    body: dict[str, Any] = {}
    for name, value in fields.items():
        if name in operation.path_names:
            continue
        if name in operation.query_names:
            values = value if isinstance(value, list) else [value]
            query += [(name, _text(each)) for each in values]
        elif operation.has_body:
            body[name] = value
        else:
            raise InvalidUse(f"{operation.name} takes no {name}")
    return Target(path=path, query=tuple(query), body=_json(operation, body) if operation.has_body else None)


def checked_key(key: str) -> str:
    """An idempotency key as Penstock takes it.

    Raises:
        InvalidUse: It is not.
    """
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        raise InvalidUse(f"idempotency_key is {key!r}; it takes 1 to 255 visible ASCII characters, such as a UUID")
    return key


def _segment(name: str, value: object) -> str:
    if not isinstance(value, str) or not value or value in _STEPS:
        raise InvalidUse(f"{name} is {value!r}; it takes an id or a name, as Penstock has answered it")
    return quote(value.removeprefix(_OPERATION_PREFIX) if name == "operationId" else value, safe="")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _json(operation: Operation, body: dict[str, Any]) -> bytes:
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidUse(f"what {operation.name} was given cannot be told in JSON: {error}") from error
