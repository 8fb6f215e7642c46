"""`penstock upstreams`: what can be called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from penstock_sdk.command.grammar import Noun
from penstock_sdk.command.ids import ids_option
from penstock_sdk.command.session import Session, pass_session
from penstock_sdk.command.tables import Column, at

if TYPE_CHECKING:
    from collections.abc import Mapping

_COLUMNS = (
    Column("NAME", "name"),
    Column("TITLE", "title", shrinks=True),
    Column("METHODS", lambda upstream: len(upstream.get("methods", ()))),
    Column("CONNECTION", "connectionUse"),
)


def _params(method: Mapping[str, Any]) -> list[str]:
    """The names of a method's params, those first that it has to be given."""
    required = at(method, "paramsSchema.required") or ()
    names = at(method, "paramsSchema.properties") or ()
    return [f"{name}*" for name in required] + sorted(name for name in names if name not in required)


_METHODS = (
    Column("METHOD", "name"),
    Column("KIND", "kind"),
    Column("IDEMPOTENT", "idempotent"),
    Column("PARAMS", _params, shrinks=True),
)


@click.group(cls=Noun, examples=("penstock upstreams list", "penstock upstreams get http"))
def upstreams() -> None:
    """The APIs that jobs can call, and their methods."""


@upstreams.command("list", examples=("penstock upstreams list",))
@ids_option
@pass_session
def list_(session: Session, *, ids: bool) -> None:
    """List the upstreams."""
    session.output.many(session.penstock.upstreams.list(), _COLUMNS, ids=ids)


@upstreams.command(
    examples=(
        "penstock upstreams get http",
        """penstock upstreams get http --json | jq '.methods[] | select(.name == "http.get").paramsSchema'""",
    )
)
@click.argument("upstream")
@pass_session
def get(session: Session, upstream: str) -> None:
    """Show an upstream's methods with their params, those marked * that they have to be given.

    With --json all of it, schemas and limits too.
    """
    found = session.penstock.upstreams.get(upstream)
    if session.as_json:
        session.output.one(found)
    else:
        session.output.many(found.methods, _METHODS)
