"""`penstock jobs list`, `export` and `result`: what has been, and what came of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from penstock_sdk.command.grammar import Command
from penstock_sdk.command.ids import id_argument, ids_option
from penstock_sdk.command.moments import TIME
from penstock_sdk.command.output import json_line, note
from penstock_sdk.command.params import Pair
from penstock_sdk.command.session import Session, pass_session
from penstock_sdk.command.tables import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

F = TypeVar("F", bound="Callable[..., Any]")

STATES = ("QUEUED", "RUNNING", "RETRYING", "SUCCEEDED", "FAILED", "OUTCOME_UNKNOWN", "CANCELED", "EXPIRED")
COLUMNS = (
    Column("ID", "id"),
    Column("STATE", "state"),
    Column("METHOD", "method", shrinks=True),
    Column("CREATED", "createdAt"),
    Column("ATTEMPT", lambda job: f"{job.get('attempt', 0)}/{job.get('maxAttempts', 0)}"),
    Column("ERROR", "error.reason", shrinks=True),
)
_FILTERS = (
    click.option("--upstream"),
    click.option("--method"),
    click.option("--state", type=click.Choice(STATES, case_sensitive=False), multiple=True, help="One or several."),
    click.option("--priority", type=click.Choice(["HIGH", "NORMAL", "LOW"], case_sensitive=False)),
    click.option("--connection", "connection_id", metavar="ID"),
    click.option("--batch", "batch_id", metavar="ID"),
    click.option("--created-after", type=TIME, metavar="TIME", help="2026-11-27T08:00:00Z, or -2h."),
    click.option("--created-before", type=TIME, metavar="TIME"),
    click.option("-m", "--metadata", type=Pair(), multiple=True, metavar="KEY=TEXT", help="An indexed key of yours."),
    click.option("--order-by", metavar="FIELD", help="createdAt for the oldest first."),
)


def _filter_options(command: F) -> F:
    for option in reversed(_FILTERS):
        command = option(command)
    return command


def _filters(given: Mapping[str, Any]) -> dict[str, Any]:
    metadata = [f"{key}={text}" for key, text in given["metadata"]]
    return {**given, "state": list(given["state"]) or None, "metadata": metadata or None}


def limit_option(command: F) -> F:
    """How much of a list is printed."""
    return click.option(
        "--limit",
        type=click.IntRange(0),
        default=50,
        show_default=True,
        metavar="N",
        help="At most so many; 0 for all.",
    )(command)


@click.command(
    "list",
    cls=Command,
    examples=(
        "penstock jobs list --state FAILED --created-after -2h",
        "penstock jobs list --upstream http --limit 0 --json | jq -r .method | sort | uniq -c",
        "penstock jobs list --state RUNNING -q | penstock jobs wait -",
    ),
)
@_filter_options
@limit_option
@ids_option
@pass_session
def list_(session: Session, *, limit: int, ids: bool, **given: Any) -> None:
    """List jobs, the newest first."""
    size = min(limit, 500) or 500
    found = session.penstock.jobs.list(page_size=size, **_filters(given))
    session.output.many(found, COLUMNS, limit=limit or None, ids=ids)


@click.command(
    cls=Command,
    examples=(
        "penstock jobs export --created-after 2026-11-01T00:00:00Z --output november.ndjson",
        "penstock jobs export --batch batch_0198c6f2 --order-by createdAt | jq -r .state | sort | uniq -c",
    ),
)
@_filter_options
@click.option("-o", "--output", type=click.File("w", encoding="utf-8", lazy=True), default="-", metavar="FILE")
@pass_session
def export(session: Session, *, output: Any, **given: Any) -> None:
    """Write all jobs that match as NDJSON, however many there are."""
    count = 0
    for job in session.penstock.jobs.export(**_filters(given)):
        output.write(f"{json_line(job)}\n")
        count += 1
    if output.name not in {"-", "<stdout>"}:
        note(f"{count} jobs in {output.name}")


@click.command(
    cls=Command,
    examples=(
        "penstock jobs result http-0198c6f2-6d3c-7abc-8def-0123456789ab",
        "penstock jobs result http-0198c6f2-6d3c-7abc-8def-0123456789ab --output photo.jpg",
    ),
)
@id_argument("job_id", "JOB_ID|-")
@click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help="Goes on where it broke off.")
@pass_session
def result(session: Session, job_id: str, *, output: str | None) -> None:
    """Write what the upstream has answered, byte for byte."""
    write_result(session, job_id, output)


def write_result(session: Session, job_id: str, output: str | None) -> None:
    """Writes a job's result to a file, or to the standard output."""
    if output is None:
        sys.stdout.buffer.write(session.penstock.jobs.result(job_id).content)
        sys.stdout.flush()
        return
    session.penstock.jobs.download(job_id, Path(output))
    note(f"{Path(output).stat().st_size} bytes in {output}")
