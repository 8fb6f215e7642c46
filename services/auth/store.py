"""Where tenants and keys are kept: the database `auth`; here its collection `keys`, beside that of `tenant_store`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pymongo import IndexModel, ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from services.auth import networks
from services.auth.domain import FormerSecret, FoundKey, Key, PrefixTaken
from services.auth.orders import scopes_of
from services.auth.tenant_store import DATABASE, NEWEST_FIRST, MongoTenantStore, TenantStore, comes_after
from shared import mongo
from shared.mongo import translated
from shared.permissions import Role

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from services.auth.domain import KeptSecret
    from shared.mongo import Client, Document
    from shared.paging import Position

_PREFIX_INDEX = IndexModel("prefix", name="prefix", unique=True)
_FORMER_INDEX = IndexModel(
    "former.prefix", name="former_prefix", unique=True, partialFilterExpression={"former.prefix": {"$exists": True}}
)
_TENANT_INDEX = IndexModel([("tenant", 1), *NEWEST_FIRST], name="tenant_newest_first")


class Store(TenantStore, Protocol):
    """Keeps tenants and keys, times to the millisecond. Every method raises `Unavailable` when it cannot answer."""

    async def add_key(self, key: Key) -> None:
        """Adds a key.

        Raises:
            PrefixTaken: Another key has the same prefix.
        """
        ...

    async def rotate_key(
        self, tenant: str, key_id: str, fresh: KeptSecret, *, former_expires_at: datetime, at: datetime
    ) -> Key | None:
        """Gives a tenant's key another secret, and keeps the one it had until then as its former one, in one step.

        Answers with the key as it was before; None where there is no such key that works at this time.

        Raises:
            PrefixTaken: Another key has the same prefix.
        """
        ...

    async def key(self, tenant: str, key_id: str) -> Key | None:
        """A tenant's key by its id."""
        ...

    async def keys(self, tenant: str, *, limit: int, after: Position | None = None) -> Sequence[Key]:
        """A tenant's keys, newest first, those that come after the position."""
        ...

    async def keys_by_id(self, key_ids: Collection[str]) -> Mapping[str, Key]:
        """Keys by their ids, whosever they are: for what is known to be the caller's to see."""
        ...

    async def revoke_key(self, tenant: str, key_id: str, at: datetime) -> Key | None:
        """Revokes a tenant's key; one that is revoked keeps its time. None where there is no such key."""
        ...

    async def note_used(self, uses: Mapping[str, datetime]) -> None:
        """Notes when keys were used last, by their ids, one at least; an earlier time than is known changes nothing."""
        ...

    async def find_key(self, prefix: str) -> FoundKey | None:
        """A key of any tenant by the prefix of its secret or its former one.

        The one lookup that comes before it is known who asks.
        """
        ...


class MongoStore(MongoTenantStore):
    """The store in MongoDB.

    Args:
        client: Connected; its writes are acknowledged by a majority.
    """

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._keys = mongo.database(client, DATABASE).get_collection("keys")

    async def prepare(self) -> None:
        """Makes the indexes, where they are not there yet."""
        await super().prepare()
        async with translated():
            await self._keys.create_indexes([_PREFIX_INDEX, _FORMER_INDEX, _TENANT_INDEX])

    async def add_key(self, key: Key) -> None:
        """Adds a key; `PrefixTaken` when another one has the same prefix."""
        document = {
            "_id": key.id,
            "tenant": key.tenant,
            "name": key.name,
            "prefix": key.prefix,
            "digest": key.digest,
            "scopes": sorted(key.scopes),
            "created_at": key.created_at,
            "expires_at": key.expires_at,
            "revoked_at": key.revoked_at,
            "role": key.role.value if key.role is not None else None,
            "networks": list(map(str, key.networks)),
            "rate_limit": key.rate_limit,
            "signing_key": key.sealed_signing_key,
        }
        await self._refuse_taken(key.prefix)
        try:
            async with translated():
                await self._keys.insert_one(document)
        except DuplicateKeyError:
            raise PrefixTaken from None

    async def key(self, tenant: str, key_id: str) -> Key | None:
        """A tenant's key by its id."""
        async with translated():
            document = await self._keys.find_one({"_id": key_id, "tenant": tenant})
        return _key(document) if document is not None else None

    async def keys(self, tenant: str, *, limit: int, after: Position | None = None) -> Sequence[Key]:
        """A tenant's keys, newest first, those that come after the position."""
        wanted = {"tenant": tenant, **comes_after(after)}
        async with translated():
            documents = await self._keys.find(wanted).sort(NEWEST_FIRST).limit(limit).to_list()
        return [_key(document) for document in documents]

    async def keys_by_id(self, key_ids: Collection[str]) -> Mapping[str, Key]:
        """Keys by their ids."""
        async with translated():
            documents = await self._keys.find({"_id": {"$in": list(key_ids)}}).to_list()
        return {document["_id"]: _key(document) for document in documents}

    async def revoke_key(self, tenant: str, key_id: str, at: datetime) -> Key | None:
        """Revokes a tenant's key; one that is revoked keeps its time. None where there is no such key."""
        async with translated():
            document = await self._keys.find_one_and_update(
                {"_id": key_id, "tenant": tenant},
                [{"$set": {"revoked_at": {"$ifNull": ["$revoked_at", at]}}}],  # one step, so that two at once agree
                return_document=ReturnDocument.AFTER,
            )
        return _key(document) if document is not None else None

    async def rotate_key(
        self, tenant: str, key_id: str, fresh: KeptSecret, *, former_expires_at: datetime, at: datetime
    ) -> Key | None:
        """Gives a tenant's key another secret; answers with the key as it was before, if it is there and works."""
        works = {"revoked_at": None, "$or": [{"expires_at": None}, {"expires_at": {"$gt": at}}]}
        former = {"prefix": "$prefix", "digest": "$digest", "expires_at": former_expires_at}
        rotated = {
            "prefix": fresh.prefix,
            "digest": fresh.digest,
            "signing_key": fresh.sealed_signing_key,
            # beside the former secret and not in it: a version that does not know it reads all that is in there
            "former_signing_key": {"$ifNull": ["$signing_key", None]},
        }
        await self._refuse_taken(fresh.prefix)
        try:
            async with translated():
                document = await self._keys.find_one_and_update(
                    {"_id": key_id, "tenant": tenant, **works},
                    [{"$set": {"former": former, **rotated}}],
                )
        except DuplicateKeyError:
            raise PrefixTaken from None
        return _key(document) if document is not None else None

    async def note_used(self, uses: Mapping[str, datetime]) -> None:
        """Notes when keys were used last, by their ids, in one write."""
        updates = [UpdateOne({"_id": key_id}, {"$max": {"last_used_at": at}}) for key_id, at in uses.items()]
        async with translated():
            await self._keys.bulk_write(updates, ordered=False)

    async def find_key(self, prefix: str) -> FoundKey | None:
        """A key of any tenant by the prefix of its secret or its former one."""
        async with translated():
            document = await self._keys.find_one(_with_prefix(prefix))
        if document is None:
            return None
        key = _key(document)
        return FoundKey(key=key, tenant=await self.tenant(key.tenant))

    async def _refuse_taken(self, prefix: str) -> None:
        """Each of the two indexes sees to its own field alone; two equal draws within milliseconds nobody will see."""
        async with translated():
            if await self._keys.find_one(_with_prefix(prefix), {"_id": True}) is not None:
                raise PrefixTaken


def _with_prefix(prefix: str) -> Document:
    return {"$or": [{"prefix": prefix}, {"former.prefix": prefix}]}


def _key(document: Document) -> Key:
    """The key; what a version before this one has written lacks the later fields."""
    role = Role(document["role"]) if document.get("role") else None
    former = document.get("former")
    return Key(
        id=document["_id"],
        tenant=document["tenant"],
        name=document["name"],
        prefix=document["prefix"],
        digest=document["digest"],
        scopes=scopes_of(role, document["scopes"]),
        created_at=document["created_at"],
        expires_at=document["expires_at"],
        revoked_at=document["revoked_at"],
        role=role,
        networks=tuple(map(networks.network, document.get("networks", ()))),
        rate_limit=document.get("rate_limit"),
        former=FormerSecret(**former, sealed_signing_key=document.get("former_signing_key")) if former else None,
        sealed_signing_key=document.get("signing_key"),
        last_used_at=document.get("last_used_at"),
    )
