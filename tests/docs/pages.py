"""The pages of the repository, and the blocks of code in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[2]
#: What is run, and what may show what a run has printed.
RUN = frozenset({"sh", "python", "js", "go"})
SHOWN = frozenset({"json", "console", "text"})
#: What is there to be looked at. A language that is in none of the three is a mistake: nobody would run its blocks.
OTHER = frozenset({"", "http", "mermaid", "proto", "yaml"})

_BACKUPS = "docs/backups.md"
_BEFORE = ("README.md", "sdks/python/README.md", "sdks/typescript/README.md")
_FENCE = re.compile(r"(?P<indent> *)```(?P<info>.*)")
_FILE = re.compile(r"`(?P<name>[\w/-]+\.\w+)`:$")
_COMMENT = re.compile(r"<!-- (?:not run: (?P<why>.+)|run by (?P<test>tests/\S+)|(?P<message>penstock\.[\w.]+)) -->")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block of code.

    Args:
        page: Its page, from the root of the repository on.
        line: The line of its fence.
        language: As its fence says.
        text: What stands in it.
        follows: Whether nothing stands between it and the block before it.
        file: The file into which it is to be saved, by the line before it; empty where it is to be run.
        why_not: Why it is not run; empty where it is.
        test: The test that runs it; empty where this one does.
        message: The full name of the message that it shows, where it says so.
    """

    page: str
    line: int
    language: str
    text: str
    follows: bool = False
    file: str = ""
    why_not: str = ""
    test: str = ""
    message: str = ""

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.page}:{self.line}"

    @property
    def is_run(self) -> bool:
        """Whether it is a program that is run where it stands."""
        return self.language in RUN and not (self.file or self.why_not or self.test)

    @property
    def needs_go(self) -> bool:
        """Whether it takes Go, which no Python package brings at a price that is worth it."""
        return self.language == "go" or (self.language == "sh" and self.text.startswith("go "))


def pages() -> Sequence[str]:
    """Every page that says how Penstock is used, the READMEs first.

    The one on backups is last: for a moment after one, this stack, whose Redis is alone, takes no jobs.
    """
    found = ROOT.glob("docs/**/*.md")
    names = sorted(str(path.relative_to(ROOT)) for path in found if path.parent.name != "adr")
    names.sort(key=_BACKUPS.__eq__)
    return [*_BEFORE, *names]


def blocks(page: str, text: str) -> Iterator[Block]:
    """The blocks of a page.

    Raises:
        ValueError: A fence is never closed, or is of a language that nobody knows what to do with.
    """
    lines = text.splitlines()
    number, last = 0, 0
    while number < len(lines):
        fence = _FENCE.fullmatch(lines[number])
        number += 1
        if fence is None:
            continue
        if fence["info"] not in RUN | SHOWN | OTHER:
            raise ValueError(f"{page}:{number}: {fence['info']!r} is no language of blocks; give one of {RUN | SHOWN}")
        end = next((at for at in range(number, len(lines)) if lines[at] == f"{fence['indent']}```"), None)
        if end is None:
            raise ValueError(f"{page}:{number}: this block is never closed")
        before = [line.strip() for line in lines[last : number - 1] if line.strip()]
        yield Block(
            page=page,
            line=number,
            language=fence["info"],
            text="".join(f"{line.removeprefix(fence['indent'])}\n" for line in lines[number:end]),
            follows=last > 0 and not before,
            **_said_before(before),
        )
        number = last = end + 1


def _said_before(before: Sequence[str]) -> dict[str, str]:
    """What the lines before a block say of it: a comment, and the file that it is."""
    told = dict[str, str]()
    for line in before[-2:]:
        if comment := _COMMENT.fullmatch(line):
            told = {"why_not": comment["why"] or "", "test": comment["test"] or "", "message": comment["message"] or ""}
    said = [line for line in before[-2:] if _COMMENT.fullmatch(line) is None]
    file = _FILE.search(said[-1]) if said else None
    return told | ({"file": file["name"]} if file else {})
