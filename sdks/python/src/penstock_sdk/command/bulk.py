"""`penstock batches run`: as many jobs as a file has lines, made once each, however often it is begun again."""

from __future__ import annotations

import re
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click
from tqdm import tqdm

from penstock_sdk import ApiError, PenstockError, to_json
from penstock_sdk.command.bulk_input import Input, Line, read_input
from penstock_sdk.command.bulk_journal import Journal, open_journal
from penstock_sdk.command.exits import ExitCode, Failed, Terminated
from penstock_sdk.command.grammar import Command
from penstock_sdk.command.output import json_line, note
from penstock_sdk.command.session import Session, pass_session

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from penstock_sdk import Outcome

_SHOWN_FAULTS = 20
#: Where there is no terminal to draw on: a line at every tenth, of ten jobs at least, or when none came for so long.
_PARTS, _FEWEST, _SILENCE_S = 10, 10, 30.0
_PLACE = re.compile(r"^jobs\[\d+\]\.?")


@click.command(
    cls=Command,
    examples=(
        "penstock batches run jobs.ndjson --output results.ndjson",
        """jq -c '{upstream: "http", method: "http.get", params: {url: .}}' urls.json | penstock batches run -""",
        "penstock batches run jobs.ndjson --no-results | jq -r 'select(.job.state != \"SUCCEEDED\") | .line'",
    ),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True), metavar="FILE.ndjson|-")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where results go, a line each.",
)
@click.option("--name", metavar="NAME", help="Of the run; made of the file unless given. Give one to run a file anew.")
@click.option(
    "--concurrency",
    type=click.IntRange(100),
    default=500,
    show_default=True,
    metavar="N",
    help="At most so many jobs at a time that have not ended.",
)
@click.option("--results/--no-results", default=True, help="Whether lines have what the upstreams have answered.")
@pass_session
def run(
    session: Session, file: str, *, output: Path | None, name: str | None, concurrency: int, results: bool
) -> None:  # fmt: skip
    r"""Submit a job for each line of a file, wait for all of them, and write what came of each.

    A line is a job as the API takes it: {"upstream": "http", "method": "http.get", "params": {"url": "https://…"}},
    with priority, connectionId, metadata and the rest if you like. The results have a line for each, in the order in
    which they end: {"line": 7, "job": {…}}, or {"line": 8, "error": {…}} for one that was refused, which keeps no other
    from being done.

    Stop it as you like, kill it, lose the network: the same command with the same --output goes on where it was. No job
    is made twice, and none is lost. Lines that were refused may be mended in the file meanwhile. Without --output that
    holds for 24 hours, and all results are printed again.

    Ends with 1 where a line was refused or a job has not succeeded.
    """
    source = read_input(file)
    journal = open_journal(output, source, name) if output else None
    with ExitStack() as closing:
        into = closing.enter_context(output.open("a", encoding="utf-8")) if output else sys.stdout
        if journal is not None:
            closing.callback(journal.file.close)
        going = _Run(source=source, into=into, journal=journal, progress=_progress(source, journal))
        closing.callback(going.progress.close)
        try:
            going.take(
                session.penstock.map(
                    going.jobs(),
                    name=name or (journal.name if journal else source.digest[:32]),
                    concurrency=concurrency,
                    results=results,
                    journal=journal,
                    done=journal or (),
                )
            )
            if journal is not None:
                journal.all_told()
        except (KeyboardInterrupt, Terminated, PenstockError, Failed):
            going.progress.close()
            note(f"stopped: {going.progress.words()}; the same command goes on from there")
            raise
    raise click.exceptions.Exit(going.told(output))


@dataclass(kw_only=True)
class _Run:
    source: Input
    into: IO[str]
    journal: Journal | None
    progress: _Progress
    faults: dict[int, str] = field(default_factory=dict)
    empty: set[int] = field(default_factory=set)

    def jobs(self) -> Iterator[Mapping[str, Any]]:
        """A job for each line, so that its index is the line's; `{}`, which is refused, for one that is none."""
        for line in self.source.lines():
            if self.journal is not None:
                self.journal.check(line)
            self._note(line)
            yield line.job or {}

    def take(self, outcomes: Iterator[Outcome]) -> None:
        """Writes down what came of each, as it comes."""
        for outcome in outcomes:
            number = outcome.index + 1
            if number in self.empty:
                continue
            entry: dict[str, Any] = {"line": number}
            if outcome.job is not None:
                entry["job"] = to_json(outcome.job)
                state = str(outcome.job.state)
            else:
                entry["error"] = self._fault(number, outcome.error)
                state = "REFUSED"
            self.into.write(f"{json_line(entry)}\n")
            self.into.flush()
            self.progress.add(state)

    def told(self, output: Path | None) -> ExitCode:
        """Says how it went; the exit code."""
        self.progress.close()
        for number, fault in sorted(self.faults.items())[:_SHOWN_FAULTS]:
            note(f"line {number}: {fault}")
        if len(self.faults) > _SHOWN_FAULTS:
            note(f"… and {len(self.faults) - _SHOWN_FAULTS} more lines that were refused")
        where = f"; results in {output}" if output else ""
        note(f"{self.progress.words()}{where}")
        return ExitCode.DONE if self.progress.all_succeeded else ExitCode.FAILED

    def _note(self, line: Line) -> None:
        if line.empty:
            self.empty.add(line.number)
        elif line.fault:
            self.faults[line.number] = line.fault

    def _fault(self, number: int, error: PenstockError | None) -> dict[str, Any]:
        reason = error.reason if isinstance(error, ApiError) else "INVALID_ARGUMENT"
        if number in self.faults:
            return {"reason": "INVALID_ARGUMENT", "message": self.faults[number]}
        violations = error.violations if isinstance(error, ApiError) else ()
        faults = [f"{_PLACE.sub('', each.field) or 'it'}: {each.description}" for each in violations]
        message = "; ".join(faults) or _PLACE.sub("", str(error))
        self.faults[number] = message
        return {"reason": reason, "message": message}


class _Progress:
    """How far it is: a bar on a terminal, lines elsewhere.

    Args:
        total: The lines that have a job.
        before: How many of them have ended before this run of the command.
    """

    def __init__(self, total: int, before: dict[str, int]) -> None:
        self._total = total
        self._counts = dict(before)
        self._done = sum(before.values())
        self._said_at, self._said_done = time.monotonic(), self._done
        self._bar = (
            tqdm(total=total, initial=self._done, unit="job", file=sys.stderr, dynamic_ncols=True)
            if sys.stderr.isatty()
            else None
        )
        if before:
            note(f"going on: {self.words()}")

    @property
    def all_succeeded(self) -> bool:
        """Whether every line has a job that has succeeded."""
        return self._counts.get("SUCCEEDED", 0) == self._total

    def add(self, state: str) -> None:
        """Counts one more."""
        self._counts[state] = self._counts.get(state, 0) + 1
        self._done += 1
        if self._bar is not None:
            self._bar.set_postfix_str(self._by_state(), refresh=False)
            self._bar.update()
        elif self._is_due() and self._done < self._total:
            self._said_at, self._said_done = time.monotonic(), self._done
            note(self.words())

    def words(self) -> str:
        """How far it is."""
        by_state = self._by_state()
        return f"{self._done} of {self._total} ended" + (f": {by_state}" if by_state else "")

    def close(self) -> None:
        """Leaves the bar as it stands."""
        if self._bar is not None:
            self._bar.close()

    def _is_due(self) -> bool:
        enough = self._done - self._said_done >= max(self._total / _PARTS, _FEWEST)
        return enough or time.monotonic() - self._said_at >= _SILENCE_S

    def _by_state(self) -> str:
        return ", ".join(f"{count} {state.lower().replace('_', ' ')}" for state, count in sorted(self._counts.items()))


def _progress(source: Input, journal: Journal | None) -> _Progress:
    return _Progress(source.count - source.empty, journal.states if journal else {})
