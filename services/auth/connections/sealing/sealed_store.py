"""The secrets of all connections, as `resealing` sees them: by the data keys that they are sealed under."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pymongo import ASCENDING, IndexModel, UpdateOne

from services.auth.connections import documents
from services.auth.connections.store import COLLECTION
from services.auth.tenant_store import DATABASE
from shared import mongo
from shared.mongo import translated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.auth.connections.domain import Kept, Sealed
    from shared.mongo import Client

_DATA_KEY_INDEX = IndexModel([("sealed.data_key_id", ASCENDING), ("_id", ASCENDING)], name="data_key")


class SealedStore(Protocol):
    """Finds sealed secrets, and replaces them. Every method raises `Unavailable` when it cannot answer."""

    async def prepare(self) -> None:
        """Makes what the store needs, where it is not there yet."""
        ...

    async def sealed_under(self, data_key_id: str, *, limit: int, after: str = "") -> Sequence[Kept]:
        """Secrets of any tenant that are sealed under a data key, by the ids of their connections, after this one."""
        ...

    async def count_sealed_under(self, data_key_id: str) -> int:
        """How many are."""
        ...

    async def reseal(self, resealed: Sequence[tuple[Kept, Sealed]]) -> int:
        """Keeps secrets as they were sealed anew, one at least; answers how many.

        Those that are sealed in another way by now stay as they are.
        """
        ...


class MongoSealedStore:
    """Sealed secrets in MongoDB: a field of connections.

    Args:
        client: Connected; its writes are acknowledged by a majority.
    """

    def __init__(self, client: Client) -> None:
        self._connections = mongo.database(client, DATABASE).get_collection(COLLECTION)

    async def prepare(self) -> None:
        """Makes the index, where it is not there yet."""
        async with translated():
            await self._connections.create_indexes([_DATA_KEY_INDEX])

    async def sealed_under(self, data_key_id: str, *, limit: int, after: str = "") -> Sequence[Kept]:
        """Secrets of any tenant that are sealed under a data key, by the ids of their connections, after this one."""
        wanted = {"sealed.data_key_id": data_key_id, "_id": {"$gt": after}}
        fields = {"tenant": True, "sealed": True}
        async with translated():
            found = (
                await self._connections.find(wanted, fields)
                .sort("_id", ASCENDING)
                .limit(limit)
                .hint("data_key")
                .to_list()
            )
        return [documents.kept(document) for document in found]

    async def count_sealed_under(self, data_key_id: str) -> int:
        """How many are."""
        async with translated():
            return await self._connections.count_documents({"sealed.data_key_id": data_key_id})

    async def reseal(self, resealed: Sequence[tuple[Kept, Sealed]]) -> int:
        """Keeps secrets as they were sealed anew, in one write."""
        updates = [
            UpdateOne(
                {"_id": kept.connection_id, "sealed": documents.sealed_document(kept.sealed)},
                {"$set": {"sealed": documents.sealed_document(fresh)}},
            )
            for kept, fresh in resealed
        ]
        async with translated():
            result = await self._connections.bulk_write(updates, ordered=False)
        return result.modified_count
