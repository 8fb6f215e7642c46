"""What a job may be submitted with, as options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from penstock_sdk.command.moments import TIME
from penstock_sdk.command.params import JsonObject, Pair, merged, params_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penstock_sdk import Job

F = TypeVar("F", bound="Callable[..., Any]")

_OPTIONS = (
    click.option("--connection", "connection_id", metavar="ID", help="Whose credentials are used upstream."),
    click.option(
        "--priority", type=click.Choice(["HIGH", "NORMAL", "LOW"], case_sensitive=False), help="NORMAL unless told."
    ),
    click.option("--not-before", type=TIME, metavar="TIME", help="2026-12-31T18:00:00Z, or +10m."),
    click.option("--expires-at", type=TIME, metavar="TIME", help="By when it must have begun: a time, or +2h."),
    click.option(
        "--cache", "cache_policy", type=click.Choice(["DEFAULT", "BYPASS", "REFRESH"], case_sensitive=False),
        help="Whether a kept answer will do.",
    ),
    click.option("--retry", type=JsonObject(), metavar="JSON", help="""'{"maxAttempts": 3}'."""),
    click.option("--callback-url", metavar="URL", help="Is told of the job's end."),
    click.option("-m", "--metadata", type=Pair(), multiple=True, metavar="KEY=TEXT", help="Yours; stays with the job."),
    click.option(
        "--idempotency-key", metavar="KEY", help="The same key and request within 24 hours is the same job."
    ),
)  # fmt: skip


def submit_options(command: F) -> F:
    """What `jobs submit` and `jobs run` take beside upstream and method."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return params_options(command)


def submission(given: Mapping[str, Any]) -> dict[str, Any]:
    """What the options have given, as `submit` takes it."""
    told = dict(given)
    params = merged(told.pop("params"), told.pop("parts"))
    return {**told, "params": params, "metadata": dict(told["metadata"]) or None}


def standing(job: Job) -> str:
    """A job in a line: how it stands, and why."""
    state = f"{job.id}  {job.state}"
    if job.error is not None:
        return f"{state}  {job.error.reason}: {job.error.message}"
    return state
