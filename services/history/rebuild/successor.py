"""The collection that is to come in the place of `jobs`: how the old one is carried over into it, and the swap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymongo import UpdateOne
from pymongo.errors import OperationFailure

from services.history.jobs import indexes
from services.history.jobs.documents import COLLECTION, DATABASE
from services.history.jobs.domain import Mark
from services.history.jobs.store import MongoHistory
from shared import mongo
from shared.mongo import translated

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from shared.mongo import Client, Document

#: What the name of the collection begins with while it is being built.
PREFIX = "jobs_rebuilt_"
#: Documents carried over by one command: a second's work at most, far from the time that a command may take.
_AT_ONCE = 1000
_NAMESPACE_NOT_FOUND = 26
#: All that is to be counted of a job that was submitted, but for what was.
_UNCOUNTED: Document = {
    "$let": {
        "vars": {
            "left": {
                "$setDifference": [
                    {"$cond": [{"$ifNull": ["$finished_at", False]}, [*Mark], [Mark.SUBMISSION]]},
                    {"$ifNull": ["$counted", []]},
                ]
            }
        },
        "in": {"$cond": [{"$eq": ["$$left", []]}, "$$REMOVE", "$$left"]},
    }
}
_STANDING = ("revision", "state", "event", "result", "finished_at")
#: What the log tells of a job that both have; the old document's own where the log does not reach so far back.
_MERGED: list[Document] = [
    {
        "$replaceWith": {
            "$mergeObjects": [
                "$$new",
                "$$ROOT",
                {
                    "$cond": [
                        {"$gt": ["$$new.revision", "$revision"]},
                        {name: f"$$new.{name}" for name in _STANDING},
                        {},
                    ]
                },
                {
                    "timeline": {"$mergeObjects": ["$$new.timeline", "$timeline"]},
                    "submitted_sequence": {
                        "$ifNull": [{"$min": ["$$new.submitted_sequence", "$submitted_sequence"]}, "$$REMOVE"]
                    },
                    "counted": {"$ifNull": ["$$new.counted", "$$REMOVE"]},
                    "part": {"$ifNull": ["$$new.part", "$$REMOVE"]},
                },
            ]
        }
    },
    {"$set": {"incomplete_since": "$$REMOVE", "uncounted": _UNCOUNTED}},
]


class Successor:
    """A collection that is built beside the one that serves. Everything raises `Unavailable` where MongoDB is away.

    Args:
        client: Connected as who may make, drop and rename collections of the database.
        token: Makes its name another one than that of every other rebuild, so that one which was given up and wakes
            again finds nothing of the name that it would put in the place of `jobs`.
    """

    def __init__(self, client: Client, *, token: str) -> None:
        self._database = mongo.database(client, DATABASE)
        self._name = f"{PREFIX}{token}"
        self._old = self._database.get_collection(COLLECTION)
        self._new = self._database.get_collection(self._name)
        #: Takes what the log tells.
        self.jobs = MongoHistory(client, collection=self._name)

    async def begin(self) -> None:
        """Makes it, with every index of the one that serves, and removes what rebuilds have left that were given up."""
        async with translated():
            for name in await self._database.list_collection_names(filter={"name": {"$regex": f"^{PREFIX}"}}):
                await self._database.drop_collection(name)
            await indexes.prepare(self._old)
            present = await (await self._old.list_indexes()).to_list()
            made = [dict(index) for index in present if index["name"] != "_id_"]
            await self._database.command("createIndexes", self._name, indexes=made)

    async def carry_over(self) -> int:
        """Brings over what the old one has, and answers how many jobs that were; it may be repeated.

        Of a job that both have, the newer standing counts, and what is counted or archived of it is as the old one has
        it. Documents without a submission are left: the log tells of them, or nobody will.
        """
        carried, after = 0, ""
        while True:
            async with translated():
                cursor = self._old.find({"_id": {"$gt": after}}, projection={"_id": True})
                found = await cursor.sort("_id", 1).limit(_AT_ONCE).to_list()
            if not found:
                return carried
            upto = found[-1]["_id"]
            stages: list[Document] = [
                {"$match": {"_id": {"$gt": after, "$lte": upto}, "job": {"$exists": True}}},
                {"$set": {"uncounted": _UNCOUNTED}},
                {"$merge": {"into": self._name, "on": "_id", "whenMatched": _MERGED, "whenNotMatched": "insert"}},
            ]
            async with translated():
                await (await self._old.aggregate(stages)).to_list()
            carried, after = carried + len(found), upto

    async def settle_counts(self) -> None:
        """Learns what was counted since it was carried over: no more may be counted from then on.

        It is found among what is uncounted here; all events that the old one had must have been applied.
        """
        async with translated():
            uncounted = self._new.find({"uncounted": {"$exists": True}}, projection={"_id": True}).batch_size(_AT_ONCE)
            marked = [document["_id"] async for document in uncounted]
        for start in range(0, len(marked), _AT_ONCE):
            these: Document = {"_id": {"$in": marked[start : start + _AT_ONCE]}, "counted": {"$exists": True}}
            async with translated():
                known = await self._old.find(these, projection={"counted": True}).to_list()
                if known:
                    await self._new.bulk_write([_counted(document) for document in known], ordered=False)

    async def drop(self, what: Mapping[str, Any]) -> int:
        """Removes what is not to come into the place of the old one: what was erased, or is past its time."""
        async with translated():
            return (await self._new.delete_many(what)).deleted_count

    async def drop_incomplete(self) -> int:
        """Removes what has no submission when the log was read to its end: there will be none."""
        return await self.drop({"incomplete_since": {"$exists": True}})

    async def swap(self) -> None:
        """Puts it in the place of the old one, at once: whoever asks finds either the one or the other.

        Raises:
            Unavailable: MongoDB is away, or another rebuild has taken over.
        """
        async with translated():
            try:
                await self._new.rename(COLLECTION, dropTarget=True)
            except OperationFailure as error:
                if error.code == _NAMESPACE_NOT_FOUND:
                    raise mongo.unavailable("has nothing more of this rebuild; another one has taken over") from error
                raise


def past(tenant: Mapping[str, Any] | str, *, state: Any, before: datetime) -> Document:
    """What of a tenant ended before a time.

    Args:
        tenant: Whose, or a condition on it.
        state: A condition on it.
        before: It ended before then.
    """
    return {"tenant": tenant, "state": state, "finished_at": {"$lt": before}}


def _counted(document: Document) -> UpdateOne:
    counted = {"$literal": document["counted"]}
    return UpdateOne({"_id": document["_id"]}, [{"$set": {"counted": counted}}, {"$set": {"uncounted": _UNCOUNTED}}])
