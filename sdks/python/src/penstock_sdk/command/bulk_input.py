"""The lines of `penstock batches run`: a job each, as JSON."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Lines that go in one batch.
_BATCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line.

    Args:
        number: From 1 on.
        digest: Of its text, short: tells whether it is another than the last time.
        job: What it asks for; None where it is empty or faulty.
        fault: Why it cannot be submitted; empty where it can.
    """

    number: int
    digest: int
    job: Mapping[str, Any] | None = None
    fault: str = ""

    @property
    def empty(self) -> bool:
        """Whether nothing stands in it."""
        return self.job is None and not self.fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A file of lines, which is read twice: once to know it, once to submit it.

    Args:
        file: Open, and seekable.
        name: What messages call it.
        digest: Of all of it.
        count: How many lines there are.
        empty: How many of them have nothing in them.
        largest: The bytes of the largest hundred lines.
    """

    file: IO[bytes]
    name: str
    digest: str
    count: int
    empty: int
    largest: int

    def lines(self) -> Iterator[Line]:
        """The lines, from the first on."""
        self.file.seek(0)
        for number, text in enumerate(self.file, start=1):
            yield _line(number, text)


def read_input(path: str) -> Input:
    """Reads through a file, or what comes on the standard input (`-`), which is kept in a file meanwhile.

    Raises:
        OSError: It cannot be read.
    """
    if path == "-":
        file = cast("IO[bytes]", tempfile.TemporaryFile())  # noqa: SIM115  # open until the process ends, and then gone
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.seek(0)
    else:
        file = Path(path).open("rb")  # noqa: SIM115  # open until the process ends
    digest, count, empty, largest, hundred = hashlib.sha256(), 0, 0, 0, 0
    for text in file:
        digest.update(text)
        hundred = len(text) + (hundred if count % _BATCH else 0)
        largest = max(largest, hundred)
        count += 1
        empty += not text.strip()
    name = "the standard input" if path == "-" else path
    return Input(file=file, name=name, digest=digest.hexdigest(), count=count, empty=empty, largest=largest)


def _line(number: int, text: bytes) -> Line:
    digest = int.from_bytes(hashlib.sha256(text.strip()).digest()[:6], "big")
    if not text.strip():
        return Line(number=number, digest=digest)
    try:
        job = json.loads(text.decode("utf-8-sig" if number == 1 else "utf-8"))
    except ValueError as error:
        return Line(number=number, digest=digest, fault=f"it is no JSON: {error}")
    if not isinstance(job, dict):
        return Line(
            number=number, digest=digest, fault='it is no object; give {"upstream": …, "method": …, "params": …}'
        )
    return Line(number=number, digest=digest, job=cast("dict[str, Any]", job))
