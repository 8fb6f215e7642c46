"""`penstock stats`: how many jobs, how they ended, how long they took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from penstock_sdk import to_json
from penstock_sdk.command.grammar import Command
from penstock_sdk.command.moments import DURATION, TIME
from penstock_sdk.command.session import Session, pass_session
from penstock_sdk.command.tables import Column, at

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta


def _ended(state: str) -> Column:
    return Column(state, lambda bucket: at(bucket, f"ended.{state}") or 0)


def _by_count(error: tuple[str, int]) -> int:
    return -error[1]


def _of_total(bucket: Mapping[str, Any], name: str) -> str:
    return at(bucket, f"total.{name}") or ""


_COLUMNS = (
    Column("FROM", lambda bucket: bucket.get("startTime", "total")),
    Column("SUBMITTED", lambda bucket: bucket.get("submitted", 0)),
    _ended("SUCCEEDED"),
    _ended("FAILED"),
    Column("CACHE HITS", lambda bucket: bucket.get("cacheHits", 0)),
    Column("P50", lambda bucket: _of_total(bucket, "p50")),
    Column("P99", lambda bucket: _of_total(bucket, "p99")),
)


@click.command(
    cls=Command,
    examples=(
        "penstock stats",
        "penstock stats --from -24h --interval 1h --upstream http",
        "penstock stats --json | jq .errors",
    ),
)
@click.option("--from", "start_time", type=TIME, metavar="TIME", help="2026-11-27T00:00:00Z, or -24h.")
@click.option("--to", "end_time", type=TIME, metavar="TIME")
@click.option("--interval", type=DURATION, metavar="DURATION", help="Figures for each such stretch: 1m, 1h.")
@click.option("--upstream")
@click.option("--method")
@click.option("--connection", "connection_id", metavar="ID")
@pass_session
def stats(
    session: Session, *, start_time: datetime | None, end_time: datetime | None, interval: timedelta | None,
    upstream: str | None, method: str | None, connection_id: str | None,
) -> None:  # fmt: skip
    """Show how many jobs there were, how they ended, and how long they took."""
    found = session.penstock.stats.get(
        start_time=start_time,
        end_time=end_time,
        interval=interval,
        upstream=upstream,
        method=method,
        connection_id=connection_id,
    )
    if session.as_json:
        session.output.one(found)
        return
    total = {name: value for name, value in to_json(found.total or {}).items() if name != "startTime"}
    session.output.many([*found.buckets, total], _COLUMNS)
    for reason, count in sorted(found.errors.items(), key=_by_count):
        click.echo(f"{count} ended with {reason}")
