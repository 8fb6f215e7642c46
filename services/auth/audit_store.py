"""Where audit entries are kept: the collection `audit` of the database `auth`. It is only added to.

    {_id, at, forget_at, readers, refused, entry}

`entry` is the entry as JSON has it. `readers` are the tenant that it belongs to, if any, and `-`, which stands for the
operators: so one index a filter serves both. MongoDB itself removes an entry when it is to be forgotten: by how long
its tenant had entries kept when it was added. What the version before has added lacks that, and is kept for a year.
"""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Protocol

from google.protobuf.json_format import MessageToDict, ParseDict
from penstock.events.v1.audit_pb2 import AuditEntry
from pymongo import DESCENDING, IndexModel
from pymongo.errors import BulkWriteError

from services.auth.domain import to_milliseconds
from services.auth.store import DATABASE
from shared import mongo
from shared.mongo import translated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.history.v1.retention_pb2 import Retention

    from services.auth.audit_filter import AuditFilter
    from shared.mongo import Client, Document
    from shared.paging import Position

#: Who may read all entries.
OPERATORS = "-"
#: Where nobody has told another one.
RETENTION = timedelta(days=365)
#: By which all entries went that had had a year.
_OUT_OF_USE = "expiry"
_DUPLICATE_KEY = 11000
_NEWEST_FIRST = [("at", DESCENDING), ("_id", DESCENDING)]
_PLACES = {
    "principal": "entry.actor.id",
    "action": "entry.action",
    "target": "entry.target.id",
    "outcome": "entry.outcome",
    "address": "entry.client_address",
    "request_id": "entry.request_id",
}


class Retentions(Protocol):
    """Tells for how long entries are kept; `shared.retentions.ToldRetentions` is one."""

    def of(self, tenant: str) -> Retention | None:
        """What holds for a tenant; None where that is not known."""
        ...


class AuditStore(Protocol):
    """Keeps audit entries, times to the millisecond."""

    async def add(self, entries: Sequence[AuditEntry]) -> None:
        """Adds entries, one at least; those that it has already stay as they are.

        Raises:
            Unavailable: The store is away. Any of them may be added.
        """
        ...

    async def list(
        self, reader: str, wanted: AuditFilter, *, after: Position | None, limit: int
    ) -> Sequence[AuditEntry]:
        """Entries that match, newest first, those that come after the position.

        Args:
            reader: The tenant whose entries, or `OPERATORS` for all.
            wanted: Which of them.
            after: The last one that is known already.
            limit: How many at most.

        Raises:
            Unavailable: The store is away.
        """
        ...


class MongoAuditStore:
    """The store in MongoDB.

    Args:
        client: Connected; its writes are acknowledged by a majority.
        retentions: For how long entries are kept; a year where it is not told.
    """

    def __init__(self, client: Client, *, retentions: Retentions | None = None) -> None:
        self._entries = mongo.database(client, DATABASE).get_collection("audit")
        self._retentions = retentions

    async def prepare(self) -> None:
        """Makes the indexes, where they are not there yet."""
        indexes = [
            IndexModel("forget_at", name="forget", expireAfterSeconds=0),
            IndexModel(
                "at",
                name="earlier",
                expireAfterSeconds=int(RETENTION.total_seconds()),
                partialFilterExpression={"forget_at": None},
            ),
            IndexModel([("readers", 1), *_NEWEST_FIRST], name="newest_first"),
            IndexModel(
                [("readers", 1), ("refused", 1), *_NEWEST_FIRST],
                name="refused",
                partialFilterExpression={"refused": True},
            ),
            *(IndexModel([("readers", 1), (place, 1), *_NEWEST_FIRST], name=name) for name, place in _PLACES.items()),
        ]
        async with translated():
            await self._entries.create_indexes(indexes)
            if _OUT_OF_USE in await self._entries.index_information():  # when those that take its place are there
                await self._entries.drop_index(_OUT_OF_USE)

    async def add(self, entries: Sequence[AuditEntry]) -> None:
        """Adds entries, one at least; those that it has already stay as they are."""
        try:
            async with translated():
                await self._entries.insert_many([self._document(entry) for entry in entries], ordered=False)
        except BulkWriteError as error:
            if any(each["code"] != _DUPLICATE_KEY for each in error.details["writeErrors"]):
                raise

    async def list(
        self, reader: str, wanted: AuditFilter, *, after: Position | None, limit: int
    ) -> Sequence[AuditEntry]:
        """Entries that match, newest first, those that come after the position."""
        query = query_of(reader, wanted, after)
        async with translated():
            documents = await self._entries.find(query).sort(_NEWEST_FIRST).limit(limit).to_list()
        return [ParseDict(document["entry"], AuditEntry(), ignore_unknown_fields=True) for document in documents]

    def _document(self, entry: AuditEntry) -> Document:
        at = to_milliseconds(entry.time.ToDatetime(tzinfo=UTC))
        told = self._retentions.of(entry.tenant) if self._retentions is not None else None
        return {
            "_id": entry.id,
            "at": at,
            "forget_at": at + (told.audit.ToTimedelta() if told is not None else RETENTION),
            "readers": [entry.tenant, OPERATORS] if entry.tenant else [OPERATORS],
            "refused": entry.refused,
            "entry": MessageToDict(entry, preserving_proto_field_name=True),
        }


def query_of(reader: str, wanted: AuditFilter, after: Position | None) -> Document:
    """What finds the entries."""
    query: Document = {"readers": reader}
    query |= {place: getattr(wanted, name) for name, place in _PLACES.items() if getattr(wanted, name)}
    if wanted.refused_only:
        query["refused"] = True
    at: Document = {}
    if wanted.start is not None:
        at["$gte"] = wanted.start
    if wanted.end is not None:
        at["$lt"] = wanted.end
    if after is not None:
        at["$lte"] = after.created_at
        query["$or"] = [{"at": {"$lt": after.created_at}}, {"_id": {"$lt": after.id}}]
    if at:
        query["at"] = at
    return query
