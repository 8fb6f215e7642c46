"""What is printed and kept of a run: rows, each with its unit and, where there is one, its mark."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a row should come to.

    Args:
        value: The least, or the most, that is good.
        most: Whether it is the most.
    """

    value: float
    most: bool = False

    def is_met(self, value: float) -> bool:
        """Whether a row's value keeps to it."""
        return value < self.value if self.most else value >= self.value

    def __str__(self) -> str:
        return f"{'<' if self.most else '>='} {self.value:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure.

    Args:
        name: What is measured.
        value: In `unit`.
        mark: What it should come to, where that is set.
        details: What else belongs to it.
    """

    name: str
    value: float
    unit: str
    mark: Mark | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def line(self) -> str:
        """The row by itself."""
        return "  ".join(part for part in (self.name, _number(self.value), self.unit, _judged(self)) if part)


@dataclass(slots=True, kw_only=True)
class Report:
    """A run's figures.

    Args:
        size: `full` or `small`.
    """

    size: str
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    settings: Mapping[str, str]
    rows: list[Row] = field(default_factory=list)
    #: What was not measured, and why.
    left_out: list[str] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Keeps it as JSON."""
        content = {
            "size": self.size,
            "machine": self.machine,
            "versions": self.versions,
            "settings": self.settings,
            "rows": [
                {
                    "name": row.name,
                    "value": round(row.value, 4),
                    "unit": row.unit,
                    **({"mark": str(row.mark), "met": row.mark.is_met(row.value)} if row.mark is not None else {}),
                    **({"details": _rounded(row.details)} if row.details else {}),
                }
                for row in self.rows
            ],
            "left_out": self.left_out,
        }
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def text(self) -> str:
        """The same as tables."""
        about = [
            f"{name}: {value}" for part in (self.machine, self.versions, self.settings) for name, value in part.items()
        ]
        cells = [(row.name, _number(row.value), row.unit, _judged(row), _listed(row.details)) for row in self.rows]
        return "\n".join(
            (
                *about,
                "",
                table(("row", "value", "unit", "mark", "details"), cells),
                "",
                *(f"left out: {each}" for each in self.left_out),
            )
        )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    )


def _rounded(details: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in details.items()}


def _number(value: float) -> str:
    """As many digits behind the point as three in all need."""
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def _judged(row: Row) -> str:
    if row.mark is None:
        return ""
    return f"{row.mark} {'met' if row.mark.is_met(row.value) else 'MISSED'}"


def _listed(details: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {_number(value) if isinstance(value, float) else value}" for name, value in details.items()
    )
