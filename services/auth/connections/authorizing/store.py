"""Where authorizations are kept until their time is over: the collection `authorizations` of the database `auth`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol

from pymongo import IndexModel, ReturnDocument

from services.auth.connections import documents
from services.auth.connections.authorizing.authorization import Authorization, AuthorizationOrder
from services.auth.connections.domain import ReauthPolicy, Sealed
from services.auth.tenant_store import DATABASE
from shared import mongo
from shared.mongo import translated

if TYPE_CHECKING:
    from datetime import timedelta

    from shared.mongo import Client, Document

_END_INDEX = IndexModel("ends_at", name="end", expireAfterSeconds=0)
_DATA_KEY_INDEX = IndexModel("sealed.data_key_id", name="data_key")


class AuthorizationStore(Protocol):
    """Keeps authorizations. Every method raises `Unavailable` when it cannot answer.

    One whose time is over, by the database's clock, is found by none of them.
    """

    async def prepare(self) -> None:
        """Makes what the store needs, where it is not there yet."""
        ...

    async def add(self, authorization: Authorization) -> None:
        """Adds an authorization."""
        ...

    async def find(self, digest: bytes) -> Authorization | None:
        """The authorization whose state has this digest."""
        ...

    async def bind(self, digest: bytes, browser: bytes) -> bool:
        """Binds an authorization to a browser in one step; answers whether it was bound to none before."""
        ...

    async def claim(self, digest: bytes, *, lasting: timedelta) -> bool:
        """Claims the completion of an authorization for so long; answers whether nobody else has."""
        ...

    async def release(self, digest: bytes) -> None:
        """Gives the claim back: it was not completed, and can be."""
        ...

    async def remove(self, digest: bytes) -> None:
        """Ends an authorization: it was completed, or cannot be any more."""
        ...


class MongoAuthorizationStore:
    """Authorizations in MongoDB, which itself removes what is over.

    Args:
        client: Connected; its writes are acknowledged by a majority.
    """

    def __init__(self, client: Client) -> None:
        self._authorizations = mongo.database(client, DATABASE).get_collection("authorizations")

    async def prepare(self) -> None:
        """Makes the indexes, where they are not there yet."""
        async with translated():
            await self._authorizations.create_indexes([_END_INDEX, _DATA_KEY_INDEX])

    async def add(self, authorization: Authorization) -> None:
        """Adds an authorization."""
        async with translated():
            await self._authorizations.insert_one(_document(authorization))

    async def find(self, digest: bytes) -> Authorization | None:
        """The authorization whose state has this digest."""
        async with translated():
            document = await self._authorizations.find_one(_lasting(digest))
        return _authorization(document) if document is not None else None

    async def bind(self, digest: bytes, browser: bytes) -> bool:
        """Binds an authorization to a browser, if it is bound to none."""
        async with translated():
            result = await self._authorizations.update_one(
                {**_lasting(digest), "browser": None}, {"$set": {"browser": browser}}
            )
        return result.modified_count == 1

    async def claim(self, digest: bytes, *, lasting: timedelta) -> bool:
        """Claims the completion of an authorization, if nobody has, or not for long enough any more."""
        unclaimed = {"$lte": [{"$ifNull": ["$claimed_until", "$$NOW"]}, "$$NOW"]}
        until = {"$add": ["$$NOW", int(lasting.total_seconds() * 1000)]}
        async with translated():
            document = await self._authorizations.find_one_and_update(
                {"_id": digest, "$expr": {"$and": [unclaimed, _NOT_OVER]}},
                [{"$set": {"claimed_until": until}}],
                projection={"_id": True},
                return_document=ReturnDocument.AFTER,
            )
        return document is not None

    async def release(self, digest: bytes) -> None:
        """Gives the claim back."""
        async with translated():
            await self._authorizations.update_one({"_id": digest}, {"$unset": {"claimed_until": ""}})

    async def remove(self, digest: bytes) -> None:
        """Ends an authorization."""
        async with translated():
            await self._authorizations.delete_one({"_id": digest})

    async def count_sealed_under(self, data_key_id: str) -> int:
        """How many a data key seals, those that are over and not yet removed among them."""
        async with translated():
            return await self._authorizations.count_documents({"sealed.data_key_id": data_key_id})


_NOT_OVER: Document = {"$gt": ["$ends_at", "$$NOW"]}


def _lasting(digest: bytes) -> Document:
    """One whose time is not over: MongoDB removes those once a minute."""
    return {"_id": digest, "$expr": _NOT_OVER}


def _document(authorization: Authorization) -> Document:
    return {
        "_id": authorization.digest,
        "tenant": authorization.tenant,
        "principal": authorization.principal,
        "order": asdict(authorization.order),
        "sealed": documents.sealed_document(authorization.sealed),
        "begun_at": authorization.begun_at,
        "ends_at": authorization.ends_at,
        "browser": authorization.browser,
    }


def _authorization(document: Document) -> Authorization:
    order = dict(document["order"])
    policy, scopes = order.pop("reauth_policy"), order.pop("scopes")
    return Authorization(
        digest=bytes(document["_id"]),
        tenant=document["tenant"],
        principal=document["principal"],
        order=AuthorizationOrder(
            **order,
            scopes=tuple(scopes),
            reauth_policy=ReauthPolicy(policy) if policy is not None else None,
        ),
        sealed=Sealed(data_key_id=document["sealed"]["data_key_id"], text=bytes(document["sealed"]["text"])),
        begun_at=document["begun_at"],
        ends_at=document["ends_at"],
        browser=bytes(document["browser"]) if document["browser"] is not None else None,
    )
