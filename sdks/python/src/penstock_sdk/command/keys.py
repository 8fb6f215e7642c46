"""`penstock keys`: who may call, how much they do, and an end to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from penstock_sdk.command.grammar import Noun
from penstock_sdk.command.ids import id_argument, ids_argument, ids_option
from penstock_sdk.command.moments import DURATION, TIME
from penstock_sdk.command.output import note
from penstock_sdk.command.session import Session, pass_session
from penstock_sdk.command.tables import Column

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from penstock_sdk.models import KeyRole

_COLUMNS = (
    Column("ID", "id"),
    Column("NAME", "name", shrinks=True),
    Column("PREFIX", "prefix"),
    Column("MAY", lambda key: key.get("role") or " ".join(key.get("scopes", ())), shrinks=True),
    Column("LAST USED", "lastUsedAt"),
    Column("ENDS", lambda key: key.get("revokedAt") or key.get("expiresAt") or ""),
)
_DAYS = (
    Column("DATE", "date"),
    *(Column(title, lambda day, name=name: day.get(name, 0)) for title, name in (
        ("REQUESTS", "requests"), ("ALLOWED", "allowed"), ("RATE LIMITED", "rateLimited"), ("REFUSED", "refused"),
        ("JOBS", "jobs"), ("ERRORS", "errors"),
    )),
)  # fmt: skip
_ONCE = "the secret is shown this once; keep it where secrets are kept"


@click.group(cls=Noun, examples=("penstock keys list", "penstock keys create reports --role VIEWER"))
def keys() -> None:
    """API keys: who may call, how much they do, and an end to it."""


@keys.command(
    examples=(
        "penstock keys create reports --role VIEWER --expires-at 2026-12-31T00:00:00Z",
        "penstock keys create worker --scope jobs:write --scope jobs:read --cidr 203.0.113.0/24 --rate-limit 120",
        "penstock keys create ci --role DEVELOPER --json | jq -r .secret",
    )
)
@click.argument("name")
@click.option("--role", type=click.Choice(["ADMIN", "OPERATOR", "DEVELOPER", "VIEWER"], case_sensitive=False))
@click.option("--scope", "scopes", multiple=True, metavar="SCOPE", help="Instead of a role: jobs:write and the like.")
@click.option("--expires-at", type=TIME, metavar="TIME", help="2026-12-31T00:00:00Z, or +30d.")
@click.option("--cidr", "cidrs", multiple=True, metavar="NETWORK", help="Networks from which alone it works.")
@click.option("--rate-limit", type=click.IntRange(1), metavar="N", help="Requests a minute.")
@click.option("--tenant", metavar="NAME", help="Another tenant's; operators alone.")
@pass_session
def create(
    session: Session, name: str, *, role: KeyRole | None, scopes: tuple[str, ...], expires_at: datetime | None,
    cidrs: tuple[str, ...], rate_limit: int | None, tenant: str | None,
) -> None:  # fmt: skip
    """Make a key, and show its secret: the last line, and the only time."""
    made = session.penstock.keys.create(
        name,
        role=role,
        scopes=scopes or None,
        expires_at=expires_at,
        allowed_cidrs=cidrs or None,
        rate_limit=rate_limit,
        tenant=tenant,
    )
    note(_ONCE)
    session.output.one(made, said=f"{made.key.id if made.key else ''}\n{made.secret}")


@keys.command("list", examples=("penstock keys list", "penstock keys list --json | jq -r 'select(.revokedAt) | .id'"))
@ids_option
@pass_session
def list_(session: Session, *, ids: bool) -> None:
    """List your tenant's keys."""
    session.output.many(session.penstock.keys.list(), _COLUMNS, ids=ids)


@keys.command(examples=("penstock keys get key_0198c6f2",))
@id_argument("key_id", "KEY_ID|-")
@pass_session
def get(session: Session, key_id: str) -> None:
    """Show a key; its secret is shown to nobody."""
    session.output.one(session.penstock.keys.get(key_id))


@keys.command(examples=("penstock keys rotate key_0198c6f2", "penstock keys rotate key_0198c6f2 --grace 1h"))
@id_argument("key_id", "KEY_ID|-")
@click.option("--grace", type=DURATION, metavar="DURATION", help="How long the old secret works on; a day unless told.")
@pass_session
def rotate(session: Session, key_id: str, *, grace: timedelta | None) -> None:
    """Give a key a new secret; the old one works on for a while."""
    made = session.penstock.keys.rotate(key_id, grace_period=grace)
    note(_ONCE)
    session.output.one(made, said=made.secret)


@keys.command(examples=("penstock keys revoke key_0198c6f2",))
@ids_argument("key_ids", "KEY_ID")
@pass_session
def revoke(session: Session, key_ids: tuple[str, ...]) -> None:
    """End keys for good."""
    for key_id in key_ids:
        session.penstock.keys.revoke(key_id)
        session.output.done(f"{key_id} is revoked")


@keys.command(examples=("penstock keys usage key_0198c6f2 --days 7",))
@id_argument("key_id", "KEY_ID|-")
@click.option("--days", type=click.IntRange(1), metavar="N", help="So many of the last days; 30 unless told.")
@pass_session
def usage(session: Session, key_id: str, *, days: int | None) -> None:
    """Show how much a key was used, day by day."""
    session.output.many(session.penstock.keys.usage(key_id, days=days).days, _DAYS)
