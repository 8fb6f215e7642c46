"""Where endpoints are kept: the collection `endpoints` of the database `webhooks`.

Each endpoint of a tenant has a slot, a number below the tenant's limit that no other endpoint of it has: a unique index
says so. So the one write that adds an endpoint is also what keeps the limit, however many are added at once.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from pymongo import DESCENDING, IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from services.webhooks.deliveries.documents import DATABASE
from services.webhooks.endpoints.documents import WITHOUT_SECRETS, document_of, endpoint_of
from shared import mongo
from shared.mongo import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from services.webhooks.endpoints.domain import DisabledReason, Endpoint
    from shared.mongo import Client, Document
    from shared.paging import Position

COLLECTION = "endpoints"
#: No tenant may have more, whatever the settings say: all of them are read for an event of its.
MOST_ENDPOINTS = 10_000
_NEWEST_FIRST = [("created_at", DESCENDING), ("_id", DESCENDING)]
_INDEXES = [
    IndexModel([("tenant", 1), *_NEWEST_FIRST], name="tenant_newest_first"),
    IndexModel([("tenant", 1), ("enabled", 1), *_NEWEST_FIRST], name="tenant_enabled_newest_first"),
    IndexModel([("tenant", 1), ("slot", 1)], name="tenant_slot", unique=True),
    # of the few that a crash has left so; looking for them costs nothing
    IndexModel("untold", name="untold", partialFilterExpression={"untold": True}),
]


class EndpointStore(Protocol):
    """Keeps endpoints, times to the millisecond. Every method raises `Unavailable` when it cannot answer."""

    async def prepare(self) -> None:
        """Makes what the store needs, where it is not there yet."""
        ...

    async def add(self, endpoint: Endpoint, *, limit: int = MOST_ENDPOINTS) -> bool:
        """Adds an endpoint, whose id is new; answers whether there was room for it.

        Args:
            endpoint: The endpoint.
            limit: So many its tenant may have; of some that are added at the same moment, no more than fit.
        """
        ...

    async def endpoint(self, tenant: str, endpoint_id: str) -> Endpoint | None:
        """A tenant's endpoint by its id."""
        ...

    async def endpoints(
        self, tenant: str, *, limit: int, after: Position | None = None, enabled: bool | None = None
    ) -> Sequence[Endpoint]:
        """A tenant's endpoints, newest first, those that come after the position; all, or those asked for."""
        ...

    async def of_tenants(self, tenants: Collection[str]) -> Mapping[str, Sequence[Endpoint]]:
        """Every endpoint of these tenants, disabled ones too, by tenant, in one round trip: whom events may reach.

        They come without their keys and headers, and a tenant that has none is not among them.
        """
        ...

    async def by_ids(self, endpoint_ids: Collection[str]) -> Mapping[str, Endpoint]:
        """These endpoints, whole, in one round trip; what is gone is not among them."""
        ...

    async def change(self, tenant: str, endpoint_id: str, change: Callable[[Endpoint], Endpoint]) -> Endpoint | None:
        """Changes an endpoint, and answers with it as it is then; None where there is none.

        One that is enabled then has nothing untold any more.

        Args:
            tenant: Whose.
            endpoint_id: Which.
            change: Made of the endpoint as it is; called again where it was changed meanwhile (by `revision`, which
                this raises). An answer that is equal to what it was given changes nothing.
        """
        ...

    async def delete(self, tenant: str, endpoint_id: str) -> Endpoint | None:
        """Deletes an endpoint, and answers with it as it was; None where there is none."""
        ...

    async def disable(self, endpoint_id: str, *, reason: DisabledReason, now: datetime) -> bool:
        """Disables an endpoint that is enabled, and marks that as untold: GONE or FAILING; answers whether it was."""
        ...

    async def note_health(self, endpoint_id: str, *, failing_since: datetime | None) -> datetime | None:
        """Notes how the newest attempt of an endpoint came out; answers since when every attempt has failed.

        Args:
            endpoint_id: Which.
            failing_since: When the attempt that has failed was begun: where a failure before it is noted already, that
                one stands. None where it did not fail.
        """
        ...

    async def untold(self, *, limit: int) -> Sequence[Endpoint]:
        """Endpoints whose being disabled is untold."""
        ...

    async def note_told(self, endpoint: Endpoint) -> None:
        """Notes that it was told how the endpoint is at this revision; a newer change stays untold."""
        ...


class MongoEndpointStore:
    """Endpoints in MongoDB.

    Args:
        client: Connected; its writes are acknowledged by a majority.
    """

    def __init__(self, client: Client) -> None:
        self._endpoints = mongo.database(client, DATABASE).get_collection(COLLECTION)

    async def prepare(self) -> None:
        """Makes the indexes, where they are not there yet."""
        async with translated():
            await self._endpoints.create_indexes(_INDEXES)

    async def add(self, endpoint: Endpoint, *, limit: int = MOST_ENDPOINTS) -> bool:
        """See `EndpointStore`: takes a slot that is free, and another one where somebody has come first."""
        while True:
            async with translated():
                taken = await self._endpoints.distinct("slot", {"tenant": endpoint.tenant})
            if len(taken) >= limit:
                return False
            free = set(range(limit)).difference(taken)
            slot = random.choice(tuple(free))  # noqa: S311  so that those who come together take different ones
            try:
                async with translated():
                    await self._endpoints.insert_one({**document_of(endpoint), "slot": slot})
            except DuplicateKeyError as error:
                if "slot" not in ((error.details or {}).get("keyPattern") or {}):
                    raise
            else:
                return True

    async def endpoint(self, tenant: str, endpoint_id: str) -> Endpoint | None:
        """See `EndpointStore`."""
        async with translated():
            document = await self._endpoints.find_one({"_id": endpoint_id, "tenant": tenant})
        return endpoint_of(document) if document is not None else None

    async def endpoints(
        self, tenant: str, *, limit: int, after: Position | None = None, enabled: bool | None = None
    ) -> Sequence[Endpoint]:
        """See `EndpointStore`."""
        wanted: Document = {"tenant": tenant, **_comes_after(after)}
        if enabled is not None:
            wanted["enabled"] = enabled
        async with translated():
            found = await self._endpoints.find(wanted).sort(_NEWEST_FIRST).limit(limit).to_list()
        return [endpoint_of(document) for document in found]

    async def of_tenants(self, tenants: Collection[str]) -> Mapping[str, Sequence[Endpoint]]:
        """See `EndpointStore`."""
        async with translated():
            found = await self._endpoints.find({"tenant": {"$in": list(tenants)}}, WITHOUT_SECRETS).to_list()
        by_tenant: dict[str, list[Endpoint]] = {}
        for document in found:
            by_tenant.setdefault(document["tenant"], []).append(endpoint_of(document))
        return by_tenant

    async def by_ids(self, endpoint_ids: Collection[str]) -> Mapping[str, Endpoint]:
        """See `EndpointStore`."""
        async with translated():
            found = await self._endpoints.find({"_id": {"$in": list(endpoint_ids)}}).to_list()
        return {document["_id"]: endpoint_of(document) for document in found}

    async def change(self, tenant: str, endpoint_id: str, change: Callable[[Endpoint], Endpoint]) -> Endpoint | None:
        """See `EndpointStore`; writes what differs alone, so that what is noted of its health meanwhile stays."""
        while True:
            before = await self.endpoint(tenant, endpoint_id)
            if before is None:
                return None
            wanted = change(before)
            if wanted == before:
                return before
            after = replace(wanted, revision=before.revision + 1)
            old, new = document_of(before), document_of(after)
            update: Document = {"$set": {name: value for name, value in new.items() if old[name] != value}}
            if after.enabled:
                update["$unset"] = {"untold": ""}
            async with translated():
                document = await self._endpoints.find_one_and_update(
                    {"_id": endpoint_id, "tenant": tenant, "revision": before.revision},
                    update,
                    return_document=ReturnDocument.AFTER,
                )
            if document is not None:
                return endpoint_of(document)

    async def delete(self, tenant: str, endpoint_id: str) -> Endpoint | None:
        """See `EndpointStore`."""
        async with translated():
            document = await self._endpoints.find_one_and_delete({"_id": endpoint_id, "tenant": tenant})
        return endpoint_of(document) if document is not None else None

    async def disable(self, endpoint_id: str, *, reason: DisabledReason, now: datetime) -> bool:
        """See `EndpointStore`."""
        disabled = {"enabled": False, "disabled_reason": reason.value, "disabled_at": now, "updated_at": now}
        async with translated():
            result = await self._endpoints.update_one(
                {"_id": endpoint_id, "enabled": True},
                {"$set": {**disabled, "untold": True}, "$inc": {"revision": 1}},
            )
        return result.modified_count == 1

    async def note_health(self, endpoint_id: str, *, failing_since: datetime | None) -> datetime | None:
        """See `EndpointStore`."""
        since = None if failing_since is None else {"$ifNull": ["$failing_since", failing_since]}
        async with translated():
            document = await self._endpoints.find_one_and_update(
                {"_id": endpoint_id},
                [{"$set": {"failing_since": since}}],
                projection=["failing_since"],
                return_document=ReturnDocument.AFTER,
            )
        return document["failing_since"] if document is not None else None

    async def untold(self, *, limit: int) -> Sequence[Endpoint]:
        """See `EndpointStore`."""
        async with translated():
            found = await self._endpoints.find({"untold": True}).limit(limit).to_list()
        return [endpoint_of(document) for document in found]

    async def note_told(self, endpoint: Endpoint) -> None:
        """See `EndpointStore`."""
        async with translated():
            await self._endpoints.update_one(
                {"_id": endpoint.id, "revision": endpoint.revision}, {"$unset": {"untold": ""}}
            )


def _comes_after(position: Position | None) -> Document:
    if position is None:
        return {}
    at, last_id = position.created_at, position.id
    return {"$or": [{"created_at": {"$lt": at}}, {"created_at": at, "_id": {"$lt": last_id}}]}
