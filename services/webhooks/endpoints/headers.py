"""An endpoint's own headers: which it may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import FieldViolation, shown
from shared.formats import credential_header_problem, header_value_problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_HEADERS = 20
MAX_VALUE_CHARACTERS = 4096
#: Of all names and values: the commonest servers take 8 KiB of headers, Penstock's own among them.
MAX_CHARACTERS = 6144
#: Say who calls, and what the body is; both are Penstock's to say.
_OWN = frozenset({"user-agent"})
_OWN_PREFIXES = ("webhook-", "content-")


def header_violations(headers: Mapping[str, str]) -> Iterator[FieldViolation]:
    """What is wrong with them. No value is shown, for they are secret."""
    if len(headers) > MAX_HEADERS:
        yield FieldViolation("headers", f"are {len(headers)}; there may be {MAX_HEADERS}")
        return
    seen: set[str] = set()
    for name, value in headers.items():
        path = f"headers.values[{shown(name)}]"
        if name.lower() in seen:
            yield FieldViolation(path, "is there twice, since names of headers have no case; give it once")
        seen.add(name.lower())
        problem = _name_problem(name) or _value_problem(value)
        if problem:
            yield FieldViolation(path, problem)
    characters = sum(len(name) + len(value) for name, value in headers.items())
    if characters > MAX_CHARACTERS:
        yield FieldViolation("headers", f"have {characters} characters together; they may have {MAX_CHARACTERS}")


def _name_problem(name: str) -> str | None:
    lowered = name.lower()
    if lowered in _OWN or lowered.startswith(_OWN_PREFIXES):
        return f"must not set {shown(name)}, which Penstock sets itself; leave it out"
    return credential_header_problem(name)


def _value_problem(value: str) -> str | None:
    if not value:
        return "is empty; give it a value, or leave it out"
    if len(value) > MAX_VALUE_CHARACTERS:
        return f"has a value of {len(value)} characters; it may have {MAX_VALUE_CHARACTERS}"
    if value != value.strip():
        return "has a value that begins or ends with a space, which would be lost on its way; leave it out"
    problem = header_value_problem(value)
    return f"has a value that {problem}" if problem else None
