"""The table of RPCs in `docs/api.md`, as tests read it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
_HEAD = "| RPC | HTTP | scope | success | errors |\n|---|---|---|---|---|\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One RPC.

    Args:
        http: What is said of its paths.
        bindings: Verb and path of each of its forms, without what examples ask.
        scope: Which a key needs; `none` for none.
        success: The statuses that it succeeds with, the usual one first.
        errors: Its own errors: the HTTP status of each reason.
    """

    http: str
    bindings: tuple[tuple[str, str], ...]
    scope: str
    success: tuple[int, ...]
    errors: Mapping[str, int]


def pages() -> set[str]:
    """The paths that the table's last row has, which are no RPC's."""
    text = PAGE.read_text(encoding="utf-8").partition("\n| pages |")[2].partition("\n")[0]
    return set(re.findall(r"`GET (/[^`]*)`", text))


def rows() -> dict[str, Row]:
    """By `Service.Rpc`; what is no RPC's row is left out."""
    lines = PAGE.read_text(encoding="utf-8").partition(_HEAD)[2].partition("\n\n")[0].splitlines()
    found: dict[str, Row] = {}
    for line in lines:
        rpc, http, scope, success, errors = (
            cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")
        )
        if rpc.startswith("`"):
            found[rpc.strip("`")] = Row(
                http=http,
                bindings=tuple(re.findall(r"`([A-Z]+) ([^?`]+)", http)),
                scope=scope.lstrip("`").partition("`")[0],
                success=tuple(map(int, re.findall(r"\d{3}", success))),
                errors={
                    reason: int(status)
                    for status, reasons in re.findall(r"(\d{3}) ([^;]+)", errors)
                    for reason in re.findall(r"`(\w+)`", reasons)
                },
            )
    return found
