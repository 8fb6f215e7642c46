"""The page `docs/api.md` has the errors that the protos name, and what they mark as deprecated."""

from __future__ import annotations

from datetime import UTC

import yaml

from deploy.local.layout import ROOT
from deploy.openapi import errors
from deploy.openapi.contract import Contract
from gateway import deprecation
from tests import api_table

_COMMENTS = ROOT / "deploy" / "openapi" / "data" / "comments.yaml"
#: What any call may be answered with stands once, below the table.
_COMMON = {
    "INVALID_ARGUMENT",
    "BAD_REQUEST",
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
    "TENANT_SUSPENDED",
    "TOO_LARGE",
    "UNSUPPORTED_MEDIA_TYPE",
    "RATE_LIMITED",
    "INTERNAL",
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
}


def _short(rpc: str) -> str:
    return ".".join(rpc.split(".")[-2:])


def test_the_table_has_the_errors_that_the_protos_name() -> None:
    contract = Contract.read(yaml.safe_load(_COMMENTS.read_text(encoding="utf-8")))
    statuses = errors.statuses()
    rows = api_table.rows()
    for name, method in contract.methods.items():
        if (rpc := _short(name)) in rows:
            named = errors.named(contract, method).keys() - _COMMON
            assert rows[rpc].errors == {reason: statuses[reason].code for reason in named}, rpc


def test_all_that_is_deprecated_is_listed_and_nothing_else() -> None:
    section = api_table.PAGE.read_text(encoding="utf-8").partition("| deprecated | since | gone from | instead |\n")[2]
    listed = {
        tuple(cell.strip().strip("`") for cell in line.strip("|").split("|"))
        for line in section.partition("\n\n")[0].splitlines()[1:]
    }
    contract = Contract.read()
    marks: dict[str, deprecation.Deprecation] = {}
    for method in contract.methods.values():
        marks |= deprecation.of_paths(method)
        if (whole := deprecation.of_rpc(method)) is not None:
            marks[_short(method.full_name)] = whole
        for field in method.input_type.fields:
            if (mark := deprecation.of_field(field)) is not None:
                marks[field.json_name] = mark
    days = {
        name: (mark.since.astimezone(UTC).date().isoformat(), mark.sunset and mark.sunset.date().isoformat())
        for name, mark in marks.items()
    }
    assert {(name, since, None if gone == "not decided" else gone) for name, since, gone, _ in listed} == {
        (name, *days[name]) for name in marks
    }
