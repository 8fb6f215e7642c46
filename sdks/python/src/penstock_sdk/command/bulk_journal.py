"""What a run of many jobs has on disk, so that it can be killed at any moment and begun again.

Two files: the results, a line for each job that has ended, and beside them the journal (`….journal`), which has what
the run is of and which batch was accepted under which key. A line of either is written before anything follows from it.
Both may end in the middle of a line, where the process was killed; what is half there counts as not there.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

from penstock_sdk.command.exits import ExitCode, Failed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from penstock_sdk.command.bulk_input import Input, Line

#: Below this a hundred lines are one batch, however they are written anew.
_ONE_BATCH_BYTES = 2 * 1024**2
#: An hour less than the API keeps idempotency keys.
_KEYS_HOLD_S = 23 * 3600
#: Of a batch's first job, in its key.
_FIRST = re.compile(r"-(\d+)")
_ANOTHER = "give another --output for it"


@dataclass(kw_only=True)
class Journal:
    """A run's journal; `penstock.map` asks it which batches there are.

    Args:
        file: Open to append.
        name: Of the run: what its keys begin with.
        batches: What was accepted, by key.
        sent: When a key was first submitted, in Unix seconds.
        digests: Of the lines that were accepted, by number.
        ended: How the jobs have ended whose results are written, by line.
        _read: The digests of lines that were read since a batch was accepted.
    """

    file: IO[str]
    name: str
    batches: dict[str, str] = field(default_factory=dict)
    sent: dict[str, float] = field(default_factory=dict)
    digests: dict[int, int] = field(default_factory=dict)
    ended: dict[int, str] = field(default_factory=dict)
    _read: dict[int, int] = field(default_factory=dict)

    def __contains__(self, index: object) -> bool:
        """Whether the outcome of the job with an index (from 0 on) is not wanted again."""
        return isinstance(index, int) and index + 1 in self.ended

    @property
    def states(self) -> dict[str, int]:
        """How many have ended how."""
        return dict(Counter(self.ended.values()))

    def batch_of(self, key: str, /) -> str | None:
        """What was accepted under a key; notes, where nothing was, that it is about to be submitted.

        Raises:
            Failed: It was submitted so long ago that its key may hold no more, and nobody has heard how that went.
        """
        if key in self.batches:
            return self.batches[key]
        if key not in self.sent:
            self.sent[key] = time.time()
            _append(self.file, {"key": key, "sent": self.sent[key]})
        elif time.time() - self.sent[key] > _KEYS_HOLD_S:
            at = datetime.fromtimestamp(self.sent[key], UTC)
            raise Failed(
                f"line {self.first_of(key)} and those after it were submitted at {at:%Y-%m-%dT%H:%M:%SZ}, and the"
                " answer was lost; submitted again after a day they might be made twice",
                hint=f"penstock jobs list --created-after {at:%Y-%m-%dT%H:%M:%SZ} shows whether they were accepted; if"
                f' not, take the line with "{key}" and "sent" out of {self.file.name}',
            )
        return None

    def read(self, entry: Mapping[str, Any]) -> None:
        """Takes up what was noted before."""
        match entry:
            case {"told": True}:
                self.sent.clear()
            case {"key": key, "sent": at}:
                self.sent[key] = at
            case {"key": key, "batch": batch, "lines": lines}:
                self.batches[key] = batch
                self.digests |= {int(number): digest for number, digest in lines.items()}
            case _:
                raise Failed(f"{self.file.name} has a line that is none of a journal's: {_text(entry)}", hint=_ANOTHER)

    @staticmethod
    def first_of(key: str) -> int:
        """The number of the first line of a batch: its key ends with the index of its first job."""
        return int(_FIRST.findall(key)[-1]) + 1

    def all_told(self) -> None:
        """Notes that the outcome of every line is known, so that what was not accepted was refused."""
        if self.sent.keys() - self.batches.keys():
            _append(self.file, {"told": True})

    def accepted(self, key: str, batch: str, /) -> None:
        """Notes a batch, and that for its lines no other text will do.

        Behind the batch's id stand the places of those that were refused.
        """
        first = self.first_of(key)
        without = {first + int(position) for position in batch.split()[1:]}
        lines = {number: digest for number, digest in self._read.items() if number >= first and number not in without}
        _append(self.file, {"key": key, "batch": batch, "lines": lines})
        self.batches[key] = batch
        self.digests |= lines
        self._read.clear()

    def check(self, line: Line) -> None:
        """Looks whether a line is the one that was accepted.

        Raises:
            Failed: It is another.
        """
        known = self.digests.get(line.number)
        if known is None:
            self._read[line.number] = line.digest
        elif known != line.digest:
            raise Failed(
                f"line {line.number} was accepted as something else when this run was begun; only lines that were"
                " refused may be mended, and none may be added",
                ExitCode.USAGE,
                hint=_ANOTHER,
            )


def open_journal(output: Path, source: Input, name: str | None) -> Journal:
    """The journal of the run whose results go to a file; goes on with what is there.

    Raises:
        Failed: It is of other lines.
    """
    path = output.with_name(f"{output.name}.journal")
    head, *entries = _whole_lines(path) or [dict[str, Any]()]
    facts: dict[str, Any] = {"input": source.digest, "lines": source.count, "largest": source.largest}
    if not head and output.exists() and output.stat().st_size:
        raise Failed(f"{output} is there, and of no run that could be gone on with", ExitCode.USAGE, hint=_ANOTHER)
    if head and not _same_run(head, facts):
        raise Failed(f"{output} is of a run of other lines than {source.name} has now", ExitCode.USAGE, hint=_ANOTHER)
    if head and name not in (None, head["name"]):
        raise Failed(f"{output} is of the run {head['name']}, not {name}", ExitCode.USAGE, hint=_ANOTHER)
    file = path.open("a", encoding="utf-8")
    if not head:
        head = {"name": name or source.digest[:32], **facts}
        _append(file, head)
    journal = Journal(file=file, name=head["name"])
    for entry in entries:
        journal.read(entry)
    journal.ended |= _kept(output)
    return journal


def _same_run(head: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    if head["input"] == facts["input"]:
        return True
    return head["lines"] == facts["lines"] and max(head["largest"], facts["largest"]) < _ONE_BATCH_BYTES


def _kept(output: Path) -> dict[int, str]:
    """How jobs have ended, by line; leaves nothing else in the results: what was refused is tried again."""
    ended = {entry["line"]: entry for entry in _whole_lines(output) if "job" in entry}
    fresh = output.with_name(f"{output.name}.new")
    with fresh.open("w", encoding="utf-8") as file:
        file.writelines(f"{_text(entry)}\n" for entry in ended.values())
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(output)
    return {number: str(entry["job"].get("state", "")) for number, entry in ended.items()}


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file; cuts off the last one where it is half there."""
    with suppress(FileNotFoundError), path.open("r+b") as file:
        found, good = list[dict[str, Any]](), 0
        for line in _ended(file):
            found.append(json.loads(line))
            good += len(line)
        file.truncate(good)
        return found
    return []


def _ended(file: IO[bytes]) -> Iterator[bytes]:
    for line in file:
        if not line.endswith(b"\n"):
            return
        yield line


def _append(file: IO[str], entry: Mapping[str, Any]) -> None:
    file.write(f"{_text(entry)}\n")
    file.flush()
    os.fsync(file.fileno())


def _text(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":"))
