"""What the pages point to is there, and what they draw can be drawn."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.docs.pages import ROOT, blocks, pages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVERY_PAGE = [*pages(), "CHANGELOG.md", *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/adr/*.md"))]
_FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?!https?://|mailto:)([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+?)\s*$", re.MULTILINE)
#: What a heading's anchor leaves out, as GitHub makes it.
_LEFT_OUT = re.compile(r"[^\w\- ]")
_PARTICIPANT = re.compile(r"^ *(?:participant|actor) (\w+)", re.MULTILINE)
_MESSAGE = re.compile(r"^ *(\w+)-?->>[+-]?(\w+): \S", re.MULTILINE)
_DRAWN = ("sequenceDiagram", "stateDiagram-v2", "flowchart ")


def prose(path: Path) -> str:
    return _FENCED.sub("", path.read_text(encoding="utf-8"))


@cache
def anchors(path: Path) -> frozenset[str]:
    found: list[str] = []
    for heading in _HEADING.findall(prose(path)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = _LEFT_OUT.sub("", text.lower()).replace(" ", "-")
        found.append(f"{anchor}-{found.count(anchor)}" if anchor in found else anchor)
    return frozenset(found)


def broken(page: str) -> Iterator[str]:
    for link in _LINK.findall(prose(ROOT / page)):
        name, _, anchor = link.partition("#")
        target = ((ROOT / page).parent / name).resolve() if name else ROOT / page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            yield f"{page}: {link}"


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_what_a_page_links_to_is_there(page: str) -> None:
    assert list(broken(page)) == []


def test_every_page_is_found_from_the_readme() -> None:
    reached, ahead = set[str](), ["README.md"]
    while ahead:
        page = ahead.pop()
        reached.add(page)
        for link in _LINK.findall(prose(ROOT / page)):
            target = ((ROOT / page).parent / link.partition("#")[0]).resolve()
            name = str(target.relative_to(ROOT))
            if target.suffix == ".md" and name not in reached:
                ahead.append(name)
    assert set(pages()) - reached == set()


def test_pictures_have_a_kind_and_who_speaks_in_them_is_introduced() -> None:
    drawn = [
        block for page in pages() for block in blocks(page, (ROOT / page).read_text()) if block.language == "mermaid"
    ]
    assert drawn
    assert [block.place for block in drawn if not block.text.startswith(_DRAWN)] == []
    for block in drawn:
        if block.text.startswith("sequenceDiagram"):
            speakers = {name for message in _MESSAGE.findall(block.text) for name in message}
            assert speakers == set(_PARTICIPANT.findall(block.text)), block.place
