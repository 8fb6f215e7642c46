"""`penstock deliveries`: what was sent to your endpoints, and sending it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from penstock_sdk.command.grammar import Noun
from penstock_sdk.command.history import limit_option
from penstock_sdk.command.ids import id_argument, ids_argument, ids_option
from penstock_sdk.command.moments import TIME
from penstock_sdk.command.session import Session, pass_session
from penstock_sdk.command.tables import Column

if TYPE_CHECKING:
    from datetime import datetime

    from penstock_sdk.models import DeliveryState

_STATES = ("PENDING", "DELIVERED", "FAILED", "SKIPPED")
_COLUMNS = (
    Column("ID", "id"),
    Column("STATE", "state"),
    Column("EVENT", "eventType", shrinks=True),
    Column("ABOUT", "about", shrinks=True),
    Column("ATTEMPTS", lambda delivery: f"{delivery.get('attempts', 0)}/{delivery.get('maxAttempts', 0)}"),
    Column("ANSWERED", lambda delivery: delivery.get("lastStatus") or delivery.get("lastReason") or "", shrinks=True),
    Column("CREATED", "createdAt"),
)
_AFTER = click.option("--created-after", type=TIME, metavar="TIME", help="2026-11-27T08:00:00Z, or -2h.")
_BEFORE = click.option("--created-before", type=TIME, metavar="TIME")
_STATE = click.option("--state", type=click.Choice(_STATES, case_sensitive=False), multiple=True)
_ENDPOINT = click.option("--endpoint", "endpoint_id", metavar="ID")


@click.group(
    cls=Noun,
    examples=("penstock deliveries list --state FAILED", "penstock deliveries replay dlv_0198c6f2"),
)
def deliveries() -> None:
    """What was sent to your endpoints and callbacks, what they answered, and sending it again."""


@deliveries.command(
    "list",
    examples=(
        "penstock deliveries list --endpoint ep_0198c6f2 --state FAILED",
        "penstock deliveries list --about http-0198c6f2-6d3c-7abc-8def-0123456789ab",
    ),
)
@_ENDPOINT
@_STATE
@click.option("--event", "event_type", metavar="TYPE", help="job.failed and the like.")
@click.option("--about", metavar="ID", help="The job, batch, connection or endpoint that it tells of.")
@_AFTER
@_BEFORE
@limit_option
@ids_option
@pass_session
def list_(session: Session, *, state: tuple[DeliveryState, ...], limit: int, ids: bool, **given: Any) -> None:
    """List deliveries, the newest first."""
    found = session.penstock.deliveries.list(page_size=min(limit, 500) or 500, state=list(state) or None, **given)
    session.output.many(found, _COLUMNS, limit=limit or None, ids=ids)


@deliveries.command(examples=("penstock deliveries get dlv_0198c6f2",))
@id_argument("delivery_id", "DELIVERY_ID|-")
@pass_session
def get(session: Session, delivery_id: str) -> None:
    """Show a delivery: what was sent, and what was answered to each attempt."""
    session.output.one(session.penstock.deliveries.get(delivery_id))


@deliveries.command(
    examples=(
        "penstock deliveries replay dlv_0198c6f2",
        "penstock deliveries list --state FAILED -q | penstock deliveries replay -",
        "penstock deliveries replay --endpoint ep_0198c6f2 --created-after -6h --max-per-second 50",
    )
)
@ids_argument("delivery_ids", "DELIVERY_ID", required=False)
@_ENDPOINT
@_STATE
@_AFTER
@_BEFORE
@click.option("--max-per-second", type=click.IntRange(1), metavar="N", help="How fast all that match are sent.")
@pass_session
def replay(
    session: Session, delivery_ids: tuple[str, ...], *, endpoint_id: str | None, state: tuple[DeliveryState, ...],
    created_after: datetime | None, created_before: datetime | None, max_per_second: int | None,
) -> None:  # fmt: skip
    """Send deliveries again: those that are named, or all that match.

    Of an endpoint, those that are FAILED or SKIPPED unless --state says otherwise.
    """
    sifted = {
        "endpointId": endpoint_id,
        "state": list(state) or None,
        "createdAfter": created_after,
        "createdBefore": created_before,
    }
    wanted = {name: value for name, value in sifted.items() if value is not None}
    if bool(delivery_ids) == bool(wanted):
        raise click.UsageError(
            "name deliveries, or say which by --endpoint, --state, --created-after, --created-before"
        )
    if wanted:
        begun = session.penstock.deliveries.replay_many(filter=wanted, max_per_second=max_per_second)
        session.output.one(begun, said=f"{begun.id}  {begun.state}  {begun.replayed} of {begun.total} replayed")
        return
    for delivery_id in delivery_ids:
        delivery = session.penstock.deliveries.replay(delivery_id)
        session.output.line(delivery, f"{delivery.id}  {delivery.state}")
