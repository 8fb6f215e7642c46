"""Where data keys are kept, each wrapped by a key provider: the collection `data_keys` of the database `auth`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pymongo import DESCENDING, IndexModel
from pymongo.errors import DuplicateKeyError

from services.auth.connections.sealing.key_providers import Wrapped
from services.auth.tenant_store import DATABASE
from shared import mongo
from shared.mongo import translated

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from shared.mongo import Client, Document

_NUMBER_INDEX = IndexModel([("number", DESCENDING)], name="number", unique=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataKey:
    """A data key. The one with the highest number is sealed under; the others are retiring.

    Args:
        id: `dk_<uuidv7>`.
        number: From 1; each is one above the one before it.
        wrapped: What opens with a key provider.
    """

    id: str
    number: int
    wrapped: Wrapped
    created_at: datetime


class DataKeyStore(Protocol):
    """Keeps data keys, times to the millisecond. Every method raises `Unavailable` when it cannot answer."""

    async def prepare(self) -> None:
        """Makes what the store needs, where it is not there yet."""
        ...

    async def data_keys(self) -> Sequence[DataKey]:
        """All there are, the newest first: some few."""
        ...

    async def add_data_key(self, key: DataKey) -> bool:
        """Adds a data key; answers whether its number was free, and leaves one of the same number as it is."""
        ...

    async def destroy_data_key(self, data_key_id: str) -> None:
        """Deletes a data key for good."""
        ...


class MongoDataKeyStore:
    """Data keys in MongoDB.

    Args:
        client: Connected; its writes are acknowledged by a majority.
    """

    def __init__(self, client: Client) -> None:
        self._keys = mongo.database(client, DATABASE).get_collection("data_keys")

    async def prepare(self) -> None:
        """Makes the index, where it is not there yet."""
        async with translated():
            await self._keys.create_indexes([_NUMBER_INDEX])

    async def data_keys(self) -> Sequence[DataKey]:
        """All there are, the newest first."""
        async with translated():
            documents = await self._keys.find().sort("number", DESCENDING).to_list()
        return [_data_key(document) for document in documents]

    async def add_data_key(self, key: DataKey) -> bool:
        """Adds a data key; answers whether its number was free, and leaves one of the same number as it is."""
        document = {
            "_id": key.id,
            "number": key.number,
            "key_provider": key.wrapped.provider,
            "master_key": key.wrapped.master_key,
            "wrapped": key.wrapped.text,
            "created_at": key.created_at,
        }
        try:
            async with translated():
                await self._keys.insert_one(document)
        except DuplicateKeyError:  # somebody else has made the next one at the same moment, which the answer says
            return False
        return True

    async def destroy_data_key(self, data_key_id: str) -> None:
        """Deletes a data key for good."""
        async with translated():
            await self._keys.delete_one({"_id": data_key_id})


def _data_key(document: Document) -> DataKey:
    return DataKey(
        id=document["_id"],
        number=document["number"],
        wrapped=Wrapped(
            provider=document["key_provider"], master_key=document["master_key"], text=bytes(document["wrapped"])
        ),
        created_at=document["created_at"],
    )
