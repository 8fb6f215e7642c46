"""Connections, as tests have them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from services.auth.connections.domain import Connection, Kind, Sealed, Standing
from shared import ids

if TYPE_CHECKING:
    from services.auth.connections.store import ConnectionStore

NOW = datetime(2026, 5, 4, 10, 30, 15, 123000, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
LATER = NOW + MINUTE
SEALED = Sealed(data_key_id="dk_1", text=b"\x00sealed\xff")
FRESH = Sealed(data_key_id="dk_1", text=b"fresh")
NEEDS_REAUTH = {"reason": "$revoked", "at": NOW + SECOND}


def make(**fields: Any) -> Connection:
    given: dict[str, Any] = {
        "id": ids.new_connection_id(),
        "tenant": "acme",
        "upstream": "http",
        "kind": Kind.BEARER,
        "sealed": SEALED,
        "created_at": NOW,
        "updated_at": NOW,
        "made_by": "key_1",
        "hosts": ("api.example.com",),
    }
    return Connection(**given | fields)


async def added(store: ConnectionStore, **fields: Any) -> Connection:
    connection = make(**fields)
    await store.add(connection)
    return connection


def standing(connection: Connection, **fields: Any) -> Standing:
    return replace(
        Standing(
            connection_id=connection.id,
            tenant=connection.tenant,
            upstream=connection.upstream,
            provider=connection.provider,
            state=connection.state,
            reason=connection.state_reason,
            since=connection.needs_reauth_since or connection.updated_at,
            jobs_wait=False,
            revision=connection.revision,
        ),
        **fields,
    )
