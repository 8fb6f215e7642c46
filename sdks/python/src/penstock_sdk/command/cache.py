"""`penstock cache`: answers that are kept."""

from __future__ import annotations

import click

from penstock_sdk.command.grammar import Noun
from penstock_sdk.command.session import Session, pass_session


@click.group(cls=Noun, examples=("penstock cache invalidate --method flickr.photos.search",))
def cache() -> None:
    """Answers that are kept for identical jobs."""


@cache.command(
    examples=(
        "penstock cache invalidate --method flickr.photos.search",
        "penstock cache invalidate --connection con_0198c6f2",
        "penstock cache invalidate --all",
    )
)
@click.option("--upstream")
@click.option("--method")
@click.option("--connection", "connection_id", metavar="ID")
@click.option("--all", "everything", is_flag=True, help="Whatever is kept for your tenant.")
@pass_session
def invalidate(
    session: Session, *, upstream: str | None, method: str | None, connection_id: str | None, everything: bool
) -> None:
    """Forget the answers that fit all that is given."""
    if everything == any((upstream, method, connection_id)):
        raise click.UsageError("say which answers by --upstream, --method or --connection, or --all alone")
    gone = session.penstock.cache.invalidate(upstream=upstream, method=method, connection_id=connection_id)
    session.output.one(gone, said=f"{gone.entries} answers are forgotten")
