"""`penstock queues`: what waits at each upstream, and holding it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from penstock_sdk.command.grammar import Noun
from penstock_sdk.command.session import Session, pass_session
from penstock_sdk.command.tables import Column, at

if TYPE_CHECKING:
    from collections.abc import Mapping


def _depth(name: str) -> Column:
    return Column(name.upper(), lambda queue: at(queue, f"depth.{name}") or 0)


def _held(queue: Mapping[str, Any]) -> str:
    if queue.get("recovering"):
        return "being rebuilt"
    pauses = [f"paused {each['lane']}" if each.get("lane") else "paused" for each in queue.get("pauses", ())]
    breaker = at(queue, "breaker.state")
    return ", ".join([*pauses, *([f"breaker {breaker}"] if breaker else [])])


_COLUMNS = (
    Column("UPSTREAM", "upstream"),
    _depth("ready"),
    _depth("delayed"),
    _depth("leased"),
    Column("ENDED/S", lambda queue: queue.get("drainRate", 0)),
    Column("WAITING SINCE", "oldestWaitingSince"),
    Column("HELD BACK", _held, shrinks=True),
)
_LANE = click.option("--lane", metavar="LANE", help="A connection, or a host, as `queues get` has it; else all of it.")


@click.group(cls=Noun, examples=("penstock queues list", "penstock queues pause http --lane api.example.com"))
def queues() -> None:
    """What waits at each upstream: look at it, hold it back, let it go on."""


@queues.command("list", examples=("penstock queues list",))
@pass_session
def list_(session: Session) -> None:
    """List the queues with what waits in them."""
    session.output.many(session.penstock.queues.list(), _COLUMNS)


@queues.command(examples=("penstock queues get http", "penstock queues get http --json | jq .budgets"))
@click.argument("upstream")
@pass_session
def get(session: Session, upstream: str) -> None:
    """Show a queue: its depth, lanes, budgets, pauses and breaker."""
    session.output.one(session.penstock.queues.get(upstream))


@queues.command(
    examples=(
        "penstock queues pause http",
        "penstock queues pause http --lane api.example.com --reason 'its owner asks us to wait'",
    )
)
@click.argument("upstream")
@_LANE
@click.option("--reason", metavar="TEXT", help="Told to whoever asks why a job waits.")
@pass_session
def pause(session: Session, upstream: str, *, lane: str | None, reason: str | None) -> None:
    """Give no more calls to your jobs; those under way go on, and submits are accepted."""
    session.penstock.queues.pause(upstream, lane=lane, reason=reason)
    session.output.done(f"{_named(upstream, lane)} is paused; {_resuming(upstream, lane)} lets it go on")


@queues.command(examples=("penstock queues resume http", "penstock queues resume http --lane api.example.com"))
@click.argument("upstream")
@_LANE
@pass_session
def resume(session: Session, upstream: str, *, lane: str | None) -> None:
    """Let what was paused go on."""
    session.penstock.queues.resume(upstream, lane=lane)
    session.output.done(f"{_named(upstream, lane)} goes on")


def _named(upstream: str, lane: str | None) -> str:
    return f"{upstream}, lane {lane}," if lane else upstream


def _resuming(upstream: str, lane: str | None) -> str:
    return f"`penstock queues resume {upstream}{f' --lane {lane}' if lane else ''}`"
