"""What the comment of every RPC says of its errors, which the API's document repeats."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from penstock.errors.v1.errors_pb2 import ErrorReason

from deploy.proto_image import PROTOS
from gateway import descriptors
from gateway.routes import RouteData, route_table

#: The comment above an RPC, and the RPC's name.
_RPC = re.compile(r"(?P<comment>(?:^ *//.*\n)*)^ *rpc (?P<name>\w+)\(", re.MULTILINE)
_ERRORS = re.compile(r"\bErrors: (?P<listed>.*)$", re.DOTALL)
#: `A, B (why) with what else is to be told, and those of X`; parentheses may hold anything.
_LISTED = re.compile(r"(?:and )?(?:(?P<reason>[A-Z][A-Z_]*)(?: with [a-z ]+)?|those of (?P<rpc>\w+))")


@dataclass(frozen=True, slots=True)
class Listed:
    """What an RPC's paragraph lists; neither where it has none."""

    reasons: tuple[str, ...] = ()
    like: tuple[str, ...] = ()


def listed(comment: str) -> Listed:
    paragraph = _ERRORS.search(re.sub(r"\s*//\s*", " ", comment).strip())
    if paragraph is None:
        return Listed()
    text = re.sub(r" \([^)]*\)", "", paragraph["listed"]).partition(";")[0].removesuffix(".")
    parts = [_LISTED.fullmatch(part) for part in text.split(", ")]
    assert all(parts), f"the paragraph does not read as a list of reasons: {text}"
    found = [part for part in parts if part is not None]
    return Listed(
        tuple(part["reason"] for part in found if part["reason"]), tuple(part["rpc"] for part in found if part["rpc"])
    )


#: By the name of the file's package and the RPC's own.
PARAGRAPHS = {
    (path.parent.relative_to(PROTOS).as_posix().replace("/", "."), rpc["name"]): listed(rpc["comment"])
    for path in sorted((PROTOS / "penstock").rglob("*.proto"))
    for rpc in _RPC.finditer(path.read_text(encoding="utf-8"))
}


def test_every_name_in_a_paragraph_is_a_reason_and_given_once() -> None:
    wrong = {
        rpc: paragraph.reasons
        for rpc, paragraph in PARAGRAPHS.items()
        if not set(paragraph.reasons) <= set(ErrorReason.keys()) or len(set(paragraph.reasons)) < len(paragraph.reasons)
    }
    assert wrong == {}


def test_whose_errors_are_repeated_is_an_rpc_that_lists_some() -> None:
    lost = [
        (rpc, like) for rpc, each in PARAGRAPHS.items() for like in each.like if not PARAGRAPHS[rpc[0], like].reasons
    ]
    assert lost == []


def test_every_public_rpc_that_is_told_anything_lists_how_it_fails() -> None:
    data = RouteData.load()
    public = {binding.rpc for binding in route_table(data, set(data.packages.values())).bindings}
    silent = [
        method.full_name
        for service in descriptors.services()
        if service.full_name.startswith("penstock.")
        for method in service.methods
        if method.full_name in public | set(data.streaming)
        and method.input_type.fields
        and PARAGRAPHS[service.file.package, method.name] == Listed()
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("  // Does it.\n", Listed()),
        (
            "  // Does it.\n  // Errors: A_B, C_D (why, and how), E with field paths,\n  // F.\n",
            Listed(("A_B", "C_D", "E", "F")),
        ),
        ("  // Errors: A_B; any of them may be done then.\n", Listed(("A_B",))),
        ("  // Errors: A_B, and those of SubmitJob.\n", Listed(("A_B",), ("SubmitJob",))),
    ],
)
def test_a_paragraph_is_read(comment: str, expected: Listed) -> None:
    assert listed(comment) == expected
