"""`python -m deploy.sdks` writes what is made anew; with `--check` it says where what is there is something else."""

from __future__ import annotations

import difflib
import os
import sys
from itertools import islice
from typing import TYPE_CHECKING

from deploy.local.layout import ROOT
from deploy.sdks.outputs import SYNC, outputs, schema_output, surface
from deploy.sdks.typescript_schema import NotInstalled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

#: The lines of a difference that are shown, of each file.
_SHOWN = 20


def main() -> int:
    """Writes, or compares."""
    match sys.argv[1:]:
        case []:
            return write()
        case ["--check"]:
            return check()
        case _:
            print("usage: python -m deploy.sdks [--check]", file=sys.stderr)
            return 2


def write() -> int:
    """Writes every file anew, and removes of the sync half what is made no more."""
    of, written = surface(), set[str]()
    for path, text in outputs(of):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.add(str(path))
    for path in left_over(written):
        path.unlink()
    try:
        path, text = schema_output(of)
    except NotInstalled as missing:
        print(missing, file=sys.stderr)
        return 1
    path.write_text(text, encoding="utf-8")
    return 0


def check() -> int:
    """Says which files are not what would be written, and wherein."""
    of, made = surface(), dict[str, str]()
    for path, text in outputs(of):
        made[str(path)] = text
    sound = [_compare(SYNC.parent.joinpath(path), text) for path, text in made.items()]
    for path in left_over(made):
        print(f"{path.relative_to(ROOT)} is made of nothing any more")
        sound.append(False)
    try:
        sound.append(_compare(*schema_output(of)))
    except NotInstalled as missing:
        print(f"not compared: {missing}", file=sys.stderr)
        sound.append(os.environ.get("CI") != "true")
    if not all(sound):
        print("`make sdks` makes them anew")
        return 1
    return 0


def left_over(made: Iterable[str]) -> Iterator[Path]:
    """The modules of the sync half that are made of nothing any more.

    Args:
        made: The paths of those that are.
    """
    known = set(made)
    return (path for path in sorted(SYNC.rglob("*.py")) if str(path) not in known)


def _compare(path: Path, text: str) -> bool:
    """Whether a file says what it is to say; shows where it does not."""
    name = str(path.relative_to(ROOT))
    if not path.is_file():
        print(f"{name} is not there")
        return False
    there = path.read_text(encoding="utf-8")
    if there == text:
        return True
    print(f"{name} is not what it is made of")
    lines = difflib.unified_diff(there.splitlines(), text.splitlines(), "committed", "made", lineterm="", n=1)
    print("\n".join(f"    {line}" for line in islice(lines, _SHOWN)))
    return False


if __name__ == "__main__":
    sys.exit(main())
