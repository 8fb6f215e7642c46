"""Where connections are kept: the collection `connections` of the database `auth`. Every step is one round trip."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from pymongo import IndexModel, ReturnDocument

from services.auth.connections import documents, updates
from services.auth.connections.domain import Claim, State
from services.auth.tenant_store import DATABASE, NEWEST_FIRST, comes_after
from shared import mongo
from shared.mongo import translated

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from services.auth.connections.domain import (
        Change,
        Connection,
        Kind,
        Refreshed,
        Standing,
    )
    from shared.mongo import Client, Document
    from shared.paging import Position

COLLECTION = "connections"
_INDEXES = [
    IndexModel([("tenant", 1), *NEWEST_FIRST], name="tenant_newest_first"),
    IndexModel([("tenant", 1), ("upstream", 1), *NEWEST_FIRST], name="tenant_upstream_newest_first"),
    IndexModel([("tenant", 1), ("state", 1), *NEWEST_FIRST], name="tenant_state_newest_first"),
    # of the few that a crash has left so; looking for them costs nothing
    IndexModel("untold", name="untold", partialFilterExpression={"untold": True}),
]


class ConnectionStore(Protocol):
    """Keeps connections, times to the millisecond. Every method raises `Unavailable` when it cannot answer.

    A connection that was deleted is found by none of them, save for what is to be told of it.
    """

    async def prepare(self) -> None:
        """Makes what the store needs, where it is not there yet."""
        ...

    async def add(self, connection: Connection) -> None:
        """Adds a connection, whose id is new."""
        ...

    async def connection(self, tenant: str, connection_id: str) -> Connection | None:
        """A tenant's connection by its id."""
        ...

    async def connections(
        self,
        tenant: str,
        *,
        limit: int,
        after: Position | None = None,
        upstream: str = "",
        state: State | None = None,
    ) -> Sequence[Connection]:
        """A tenant's connections, newest first, those that come after the position; all, or those asked for."""
        ...

    async def count(self, tenant: str, *, limit: int) -> int:
        """How many a tenant has; it counts no further than the limit."""
        ...

    async def change(
        self,
        tenant: str,
        connection_id: str,
        change: Change,
        *,
        kinds: Collection[Kind] | None = None,
        provider: str | None = None,
    ) -> Connection | None:
        """Changes a connection; answers with it as it is then.

        A given secret raises its version and has it active; its revision grows where its standing changes, which is
        untold from then on. None where there is no such connection, of one of these kinds, of this provider.
        """
        ...

    async def delete(self, tenant: str, connection_id: str, at: datetime) -> Connection | None:
        """Deletes a connection with its secret; answers with it as it was. What is left of it is untold."""
        ...

    async def claim_refresh(
        self, tenant: str, connection_id: str, *, version: int, lasting: timedelta, over: int = 0
    ) -> Claim | None:
        """Claims the refresh of a secret for so long, by the database's clock; answers who has the claim then.

        One that was given back is free. One that has lapsed is free for who names its fence, and so has seen it lapse:
        its owner may be at keeping what the refresh has brought.
        None where the secret is not of this version any more, or the connection is not active.
        """
        ...

    async def release_refresh(self, tenant: str, connection_id: str, *, fence: int) -> None:
        """Gives a claim back before its time; one that somebody else has claimed since stays."""
        ...

    async def replace_secret(
        self, tenant: str, connection_id: str, refreshed: Refreshed, *, version: int, fence: int
    ) -> Connection | None:
        """Keeps what a refresh has brought, under the next version, and ends the claim; answers with the connection.

        One that was found to need to be authorized anew meanwhile is active again: the provider has just said so.
        None, and nothing is kept, where the secret is not of this version any more or the fence is not the newest.
        """
        ...

    async def mark_needs_reauth(
        self, tenant: str, connection_id: str, *, version: int, reason: str, at: datetime
    ) -> Connection | None:
        """Notes that a connection needs to be authorized anew, which is untold from then on; answers with it.

        One that does already stays as it is. None where its secret is not of this version any more.
        """
        ...

    async def untold(self, *, limit: int) -> Sequence[Standing]:
        """How connections stand of which the last change is to be told."""
        ...

    async def note_told(self, standing: Standing) -> None:
        """Notes that it was told; a newer one stays untold. Of a connection that was deleted nothing is left then."""
        ...


class MongoConnectionStore:
    """Connections in MongoDB.

    Args:
        client: Connected; its writes are acknowledged by a majority.
    """

    def __init__(self, client: Client) -> None:
        self._connections = mongo.database(client, DATABASE).get_collection(COLLECTION)

    async def prepare(self) -> None:
        """Makes the indexes, where they are not there yet."""
        async with translated():
            await self._connections.create_indexes(_INDEXES)

    async def add(self, connection: Connection) -> None:
        """Adds a connection, whose id is new."""
        async with translated():
            await self._connections.insert_one(documents.document(connection))

    async def connection(self, tenant: str, connection_id: str) -> Connection | None:
        """A tenant's connection by its id."""
        async with translated():
            document = await self._connections.find_one(_named(tenant, connection_id))
        return documents.connection(document) if document is not None else None

    async def connections(
        self,
        tenant: str,
        *,
        limit: int,
        after: Position | None = None,
        upstream: str = "",
        state: State | None = None,
    ) -> Sequence[Connection]:
        """A tenant's connections, newest first, those that come after the position; all, or those asked for."""
        wanted: Document = {"tenant": tenant, "deleted_at": None, **comes_after(after)}
        if upstream:
            wanted["upstream"] = upstream
        if state is not None:
            wanted["state"] = state.value
        async with translated():
            found = await self._connections.find(wanted).sort(NEWEST_FIRST).limit(limit).to_list()
        return [documents.connection(document) for document in found]

    async def count(self, tenant: str, *, limit: int) -> int:
        """How many a tenant has; it counts no further than the limit. Those just deleted count until that is told."""
        async with translated():
            return await self._connections.count_documents({"tenant": tenant}, limit=limit, hint="tenant_newest_first")

    async def change(
        self,
        tenant: str,
        connection_id: str,
        change: Change,
        *,
        kinds: Collection[Kind] | None = None,
        provider: str | None = None,
    ) -> Connection | None:
        """Changes a connection in one step; answers with it as it is then."""
        wanted = _named(tenant, connection_id)
        if kinds is not None:
            wanted["kind"] = {"$in": [kind.value for kind in kinds]}
        if provider is not None:
            wanted["provider"] = provider
        return await self._update(wanted, updates.changed(change))

    async def delete(self, tenant: str, connection_id: str, at: datetime) -> Connection | None:
        """Deletes a connection with its secret in one step; answers with it as it was."""
        async with translated():
            document = await self._connections.find_one_and_update(_named(tenant, connection_id), updates.deleted(at))
        return documents.connection(document) if document is not None else None

    async def claim_refresh(
        self, tenant: str, connection_id: str, *, version: int, lasting: timedelta, over: int = 0
    ) -> Claim | None:
        """Claims the refresh of a secret for so long in one step; answers who has the claim then."""
        mark = secrets.token_hex(8)
        async with translated():
            document = await self._connections.find_one_and_update(
                {**_named(tenant, connection_id), "version": version, "state": State.ACTIVE.value},
                updates.claimed(mark, lasting=lasting, over=over),
                projection={
                    "refresh": True,
                    "left_ms": {"$subtract": ["$refresh.until", "$$NOW"]},
                },
                return_document=ReturnDocument.AFTER,
            )
        if document is None:
            return None
        return Claim(
            fence=document["refresh"]["fence"],
            mine=document["refresh"]["by"] == mark,
            left=timedelta(milliseconds=document["left_ms"]),
        )

    async def release_refresh(self, tenant: str, connection_id: str, *, fence: int) -> None:
        """Gives a claim back before its time; the fence stays, so that the next one is another."""
        wanted = {**_named(tenant, connection_id), "refresh.fence": fence}
        async with translated():
            await self._connections.update_one(wanted, {"$unset": {"refresh.until": ""}})

    async def replace_secret(
        self, tenant: str, connection_id: str, refreshed: Refreshed, *, version: int, fence: int
    ) -> Connection | None:
        """Keeps what a refresh has brought in one step, if nobody has come in between."""
        return await self._update(
            {**_named(tenant, connection_id), "version": version, "refresh.fence": fence},
            updates.refreshed(refreshed),
        )

    async def mark_needs_reauth(
        self, tenant: str, connection_id: str, *, version: int, reason: str, at: datetime
    ) -> Connection | None:
        """Notes in one step that a connection needs to be authorized anew."""
        return await self._update(
            {**_named(tenant, connection_id), "version": version}, updates.needs_reauth(reason, at)
        )

    async def untold(self, *, limit: int) -> Sequence[Standing]:
        """How connections stand of which the last change is to be told."""
        async with translated():
            found = await self._connections.find({"untold": True}).limit(limit).to_list()
        return [documents.standing(document) for document in found]

    async def note_told(self, standing: Standing) -> None:
        """Notes that it was told; a newer one stays untold. Of a connection that was deleted nothing is left then."""
        told = {"_id": standing.connection_id, "revision": standing.revision}
        async with translated():
            if standing.state is None:
                await self._connections.delete_one({**told, "deleted_at": {"$ne": None}})
            else:
                await self._connections.update_one(told, {"$unset": {"untold": ""}})

    async def _update(self, wanted: Document, update: list[Document]) -> Connection | None:
        async with translated():
            document = await self._connections.find_one_and_update(wanted, update, return_document=ReturnDocument.AFTER)
        return documents.connection(document) if document is not None else None


def _named(tenant: str, connection_id: str) -> Document:
    return {"_id": connection_id, "tenant": tenant, "deleted_at": None}
