"""Rows in columns as wide as the terminal is, and things as one field a line."""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_GAP = "  "
_LEAST_WIDTH = 8
_FRACTION = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d+Z")
_LONG_SECONDS = re.compile(r"\d+\.\d{3,}s")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_COLOURS = {
    "SUCCEEDED": "green",
    "ACTIVE": "green",
    "DELIVERED": "green",
    "DONE": "green",
    "READY": "green",
    "RUNNING": "cyan",
    "RETRYING": "yellow",
    "PENDING": "yellow",
    "NEEDS_REAUTH": "red",
    "FAILED": "red",
    "OUTCOME_UNKNOWN": "red",
    "EXPIRED": "red",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Args:
        title: Its head.
        path: Where its value stands in the thing's JSON (`error.reason`), or what makes it of that.
        shrinks: Whether it is cut where the terminal is too narrow. Ids never are: they are there to be copied.
    """

    title: str
    path: str | Callable[[Mapping[str, Any]], Any]
    shrinks: bool = False

    def cell(self, thing: Mapping[str, Any]) -> str:
        """What stands in it for a thing."""
        return shown(at(thing, self.path) if isinstance(self.path, str) else self.path(thing))


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of things, below one line of heads.

    Args:
        columns: From left to right.
    """

    columns: Sequence[Column]

    def lines(self, things: Sequence[Mapping[str, Any]], *, headed: bool = True) -> Iterator[str]:
        """The lines of the table; no longer than the terminal is wide, where there is one."""
        rows = [[column.cell(thing) for column in self.columns] for thing in things]
        heads = [[column.title for column in self.columns]] if headed else []
        widths = self._widths([*heads, *rows])
        for row in heads:
            yield click.style(_joined([*zip(row, widths, strict=True)]), bold=True)
        for row in rows:
            cells = [(_cut(text, width), width) for text, width in zip(row, widths, strict=True)]
            yield _GAP.join(coloured(text) + " " * (width - len(text)) for text, width in cells).rstrip()

    def _widths(self, rows: Sequence[Sequence[str]]) -> list[int]:
        widths = [max((len(row[number]) for row in rows), default=0) for number in range(len(self.columns))]
        over = sum(widths) + len(_GAP) * (len(widths) - 1) - width_of_terminal() if sys.stdout.isatty() else 0
        for number in sorted(range(len(widths)), key=lambda each: -widths[each]):
            if over > 0 and self.columns[number].shrinks:
                kept = max(widths[number] - over, min(_LEAST_WIDTH, widths[number]))
                over -= widths[number] - kept
                widths[number] = kept
        return widths


def fields(thing: Mapping[str, Any]) -> Iterator[str]:
    """A thing as lines of a name and a value; what is nested has dotted names (`error.reason`)."""
    flat = [*_flattened(thing, "")]
    width = max((len(name) for name, _ in flat), default=0)
    for name, text in flat:
        yield f"{click.style(f'{name:{width}}', dim=True)}{_GAP}{coloured(text)}".rstrip()


def at(thing: Mapping[str, Any], path: str) -> Any:
    """The value under a dotted path; None where there is none."""
    value: Any = thing
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def shown(value: Any) -> str:
    """A value as a word.

    Times and durations come without their last digits, and nothing with control characters, which steer a terminal.
    """
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}"
        case list():
            return ", ".join(shown(each) for each in value)
        case dict():
            return ", ".join(f"{name}={shown(each)}" for name, each in value.items())
        case _:
            text = _FRACTION.sub(r"\1Z", str(value))
            return f"{float(text[:-1]):.3g}s" if _LONG_SECONDS.fullmatch(text) else _CONTROL.sub(" ", text)


def coloured(text: str) -> str:
    """A state in its colour; everything else as it is."""
    colour = _COLOURS.get(text.strip())
    return click.style(text, fg=colour) if colour else text


def width_of_terminal() -> int:
    """Its columns; `COLUMNS` counts first."""
    return shutil.get_terminal_size().columns


def _flattened(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _flattened(each, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        for number, each in enumerate(value):
            yield from _flattened(each, f"{name}[{number}]")
    else:
        yield name, shown(value)


def _joined(cells: Sequence[tuple[str, int]]) -> str:
    return _GAP.join(f"{text:{width}}" for text, width in cells).rstrip()


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
