"""What auth holds of a tenant or a connection, as it is exported and erased.

A tenant's own document stays when the tenant was erased: its name, suspended, with nothing else. So nobody comes by the
name of another one without an operator's word, and none of the keys that were out there works again. Audit entries stay
until their time is over: nobody can have what was done taken out of the audit.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any, cast

from penstock.holdings.v1 import holdings_pb2_grpc

from services.auth.audit_store import RETENTION
from services.auth.connections.store import COLLECTION as CONNECTIONS
from services.auth.domain import to_milliseconds
from services.auth.tenant_store import DATABASE
from shared import mongo
from shared.holdings import SERVICE, Erased, HoldingServicer, Page, Shelf
from shared.holdings.mongo import MongoShelf, of_tenant
from shared.holdings.redis import RedisShelf, walk
from shared.kv import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from typing import Protocol

    import grpc
    from pymongo.asynchronous.collection import AsyncCollection

    from shared import kv
    from shared.clock import Clock
    from shared.holdings import Subject
    from shared.mongo import Client, Document

    class Connections(Protocol):
        """What is known of connections; `services.auth.connections.store.ConnectionStore` is one."""

        async def delete(self, tenant: str, connection_id: str, at: datetime) -> object | None:
            """Deletes a connection with its secret; None where there is none."""
            ...

    class Changes(Protocol):
        """Tells of a connection; `services.auth.connections.notices.Changes` is one."""

        async def tell(self, connection_id: str) -> None:
            """Tells that it is gone."""
            ...


_KEY_SECRETS = ("digest", "signing_key", "former_signing_key", "former.digest")
_CONNECTION_SECRETS = ("sealed", "refresh")
_AUTHORIZATION_SECRETS = ("sealed", "browser")
_AT_ONCE = 100
#: Why a tenant is suspended of which the name alone is left.
_ERASED = "erased"
#: The rankings over all tenants name callers as `<tenant>/<key>`.
_RANKINGS = "{auth:all}:top:"


def servicer(
    client: Client, redis: kv.Client, *, connections: Connections, changes: Changes, clock: Clock
) -> tuple[Callable[[Any, grpc.aio.Server], None], HoldingServicer, str]:
    """HoldingService, as the server takes it.

    Args:
        client: Of the database.
        redis: Keeps what is counted of requests.
        connections: Delete connections.
        changes: Tell that they are gone.
        clock: The time.
    """
    database = mongo.database(client, DATABASE)
    shelves: Sequence[Shelf] = (
        ConnectionShelf(database.get_collection(CONNECTIONS), store=connections, changes=changes, clock=clock),
        MongoShelf(
            "auth.authorizations",
            database.get_collection("authorizations"),
            of_tenant,
            made_at="begun_at",
            hidden=_AUTHORIZATION_SECRETS,
        ),
        RedisShelf("redis.auth", redis, lambda tenant: f"{{auth:tenant:{tenant}}}:"),
        RankingShelf(redis),
        # when what they have begun is gone
        MongoShelf("auth.keys", database.get_collection("keys"), of_tenant, hidden=_KEY_SECRETS),
        TenantShelf(database.get_collection("tenants")),
        AuditShelf(database.get_collection("audit")),
    )
    return holdings_pb2_grpc.add_HoldingServiceServicer_to_server, HoldingServicer(shelves), SERVICE


class ConnectionShelf(MongoShelf):
    """Connections: each is deleted as its owner would delete it, so that all who hold its secret hear of it.

    Args:
        collection: Of connections.
        store: Deletes them.
        changes: Tell that they are gone.
        clock: The time.
    """

    def __init__(
        self, collection: AsyncCollection[Document], *, store: Connections, changes: Changes, clock: Clock
    ) -> None:
        super().__init__("auth.connections", collection, _connections_of, hidden=_CONNECTION_SECRETS)
        self._connections = collection
        self._store = store
        self._changes = changes
        self._clock = clock

    async def erase(self, subject: Subject, *, before: datetime) -> Erased:
        """See `Shelf`. What is told is forgotten then; until that there is more to do."""
        wanted = {**_connections_of(subject), "created_at": {"$lt": before}, "deleted_at": None}
        async with mongo.translated():
            found = await self._connections.find(wanted, {"_id": True}).limit(_AT_ONCE).to_list()
        for each in found:
            await self._store.delete(subject.tenant, each["_id"], to_milliseconds(self._clock.now()))
            await self._changes.tell(each["_id"])
        async with mongo.translated():
            untold = await self._connections.find_one({**_connections_of(subject), "deleted_at": {"$ne": None}})
        return Erased(removed=len(found), more=len(found) == _AT_ONCE, pending=untold is not None)


class TenantShelf(MongoShelf):
    """The tenant's own document, of which the name stays."""

    def __init__(self, collection: AsyncCollection[Document]) -> None:
        super().__init__("auth.tenants", collection, _tenant_named)
        self._tenants = collection

    async def erase(self, subject: Subject, *, before: datetime) -> Erased:
        """See `Shelf`."""
        if subject.connection_id:
            return Erased()
        named = {"_id": subject.tenant, "created_at": {"$lt": before}}
        erased = {"display_name": "", "suspended_for": _ERASED, "suspended_by": ""}
        async with mongo.translated():
            changed = await self._tenants.update_one(
                {**named, "suspended_for": {"$ne": _ERASED}}, {"$set": {**erased, "erased_at": before}}
            )
        note = "the name alone stays, suspended, so that nobody else comes by it; an operator can resume it"
        return Erased(removed=changed.modified_count, note=note)


class AuditShelf(MongoShelf):
    """Audit entries, which are only added to and forgotten by their time."""

    def __init__(self, collection: AsyncCollection[Document]) -> None:
        super().__init__("auth.audit", collection, _read_by, show=lambda document: document["entry"])
        self._entries = collection

    async def erase(self, subject: Subject, *, before: datetime) -> Erased:
        """See `Shelf`."""
        del before
        query = _read_by(subject)
        if query is None:
            query = {"readers": subject.tenant, "entry.target.id": subject.connection_id}
        async with mongo.translated():
            newest = await self._entries.find(query, {"at": True, "forget_at": True}).sort("at", -1).limit(1).to_list()
        if not newest:
            return Erased()
        forgets_by = newest[0].get("forget_at") or newest[0]["at"] + RETENTION
        return Erased(forgets_by=forgets_by.astimezone(UTC), note="who did what stays until its time is over")


class RankingShelf:
    """A tenant's places in the rankings of all callers.

    Args:
        client: Connected.
    """

    name = "redis.auth.rankings"

    def __init__(self, client: kv.Client) -> None:
        self._client = cast("Any", client)

    async def export(self, subject: Subject, after: str) -> Page:
        """See `Shelf`: the counts themselves are told of the keys."""
        del subject, after
        return Page()

    async def erase(self, subject: Subject, *, before: datetime) -> Erased:
        """See `Shelf`."""
        del before
        removed = 0
        if subject.connection_id:
            return Erased()
        async for rankings in walk(self._client, _RANKINGS):
            for ranking in rankings:
                async with translated():
                    members: list[bytes] = await self._client.zrange(ranking, 0, -1, desc=True)
                    its = [member for member in members if member.startswith(f"{subject.tenant}/".encode())]
                    removed += await self._client.zrem(ranking, *its) if its else 0
        return Erased(removed=removed)


def _connections_of(subject: Subject) -> Document:
    named = {"_id": subject.connection_id} if subject.connection_id else {}
    return {"tenant": subject.tenant, **named}


def _tenant_named(subject: Subject) -> Document | None:
    return None if subject.connection_id else {"_id": subject.tenant}


def _read_by(subject: Subject) -> Document | None:
    return None if subject.connection_id else {"readers": subject.tenant}
