"""`penstock batches`: many jobs at once."""

from __future__ import annotations

from typing import Any

import click

from penstock_sdk import to_json
from penstock_sdk.command import bulk
from penstock_sdk.command.bulk_input import read_input
from penstock_sdk.command.grammar import Noun
from penstock_sdk.command.history import COLUMNS
from penstock_sdk.command.ids import id_argument, ids_option
from penstock_sdk.command.session import Session, pass_session

_MOST = 100


@click.group(cls=Noun, examples=("penstock batches run jobs.ndjson --output results.ndjson",))
def batches() -> None:
    """Many jobs at once: one batch of up to 100, or a file of any length."""


@batches.command(
    examples=(
        "penstock batches submit jobs.ndjson",
        "penstock batches submit - --idempotency-key import-7-0001 < jobs.ndjson",
    )
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True), metavar="FILE.ndjson|-")
@click.option("--idempotency-key", metavar="KEY", help="The same key and jobs within 24 hours are the same batch.")
@click.option("--callback-url", metavar="URL", help="Is told when the last of them has ended.")
@ids_option
@pass_session
def submit(session: Session, file: str, *, idempotency_key: str | None, callback_url: str | None, ids: bool) -> None:
    """Submit a batch of 1 to 100 jobs, a line each: all of them, or none where one is wrong.

    For more jobs, and to wait for them: penstock batches run.
    """
    jobs = list[Any]()
    for line in read_input(file).lines():
        if line.fault:
            raise click.UsageError(f"line {line.number}: {line.fault}")
        if line.job is not None:
            jobs.append(line.job)
    if not 1 <= len(jobs) <= _MOST:
        raise click.UsageError(
            f"{len(jobs)} lines have a job; a batch has 1 to {_MOST}: penstock batches run takes any number"
        )
    made = session.penstock.batches.submit(jobs, idempotency_key=idempotency_key, callback_url=callback_url)
    session.output.one(made, said=made.id if ids else f"{made.id}  {made.size} jobs")


@batches.command(examples=("penstock batches get batch_0198c6f2", "penstock batches get batch_0198c6f2 -q"))
@id_argument("batch_id", "BATCH_ID|-")
@ids_option
@pass_session
def get(session: Session, batch_id: str, *, ids: bool) -> None:
    """Show how many of a batch's jobs stand where, and its jobs."""
    found = session.penstock.batches.get(batch_id)
    if session.as_json:
        session.output.one(found)
        return
    if not ids:
        click.echo(_standing(to_json(found)))
    session.output.many(found.jobs, COLUMNS, ids=ids)


@batches.command(examples=("penstock batches cancel batch_0198c6f2", "penstock batches cancel batch_0198c6f2 --force"))
@id_argument("batch_id", "BATCH_ID|-")
@click.option("--force", is_flag=True, help="Break off the calls too that are under way.")
@pass_session
def cancel(session: Session, batch_id: str, *, force: bool) -> None:
    """Cancel those of its jobs that wait; with --force also those that run."""
    found = session.penstock.batches.cancel(batch_id, force=force or None)
    session.output.one(found, said=_standing(to_json(found)))


batches.add_command(bulk.run)


def _standing(batch: dict[str, Any]) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in (batch.get("counts") or {}).items())
    return f"{batch.get('id', '')}  {batch.get('size', 0)} jobs: {counts}"
