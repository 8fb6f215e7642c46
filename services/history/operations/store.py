"""Where operations are kept: the collection `operations` of the database `history`. Every step is one round trip."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pymongo import DESCENDING, IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from services.history.operations.documents import document_of, ended_query, operation_of, progress_of
from services.history.operations.domain import RETENTION, State
from shared.mongo import translated

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from pymongo.asynchronous.database import AsyncDatabase

    from services.history.operations.domain import Filter, Kind, Operation, Step
    from shared.mongo import Document
    from shared.paging import Position

_NEWEST_FIRST = [("created_at", DESCENDING), ("_id", DESCENDING)]
_RUNNING: Document = {"state": State.RUNNING}
_INDEXES = [
    IndexModel([("tenant", 1), *_NEWEST_FIRST], name="tenant_newest_first"),
    IndexModel([("tenant", 1), ("kind", 1), *_NEWEST_FIRST], name="kind_newest_first"),
    # of those that run alone; looking for them costs nothing
    IndexModel("due_at", name="due", partialFilterExpression=_RUNNING),
    IndexModel([("tenant", 1), *_NEWEST_FIRST], name="running_newest_first", partialFilterExpression=_RUNNING),
    IndexModel(
        [("tenant", 1), ("request_id", 1)],
        name="request_id",
        unique=True,
        partialFilterExpression={"request_id": {"$gt": ""}},  # most are given none
    ),
    IndexModel("finished_at", name="retention", expireAfterSeconds=int(RETENTION.total_seconds())),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The right to go on with an operation, which one at a time has.

    Args:
        operation: As it was left.
        token: By which it is known that nobody has taken it since.
        failures: How many turns in a row have failed before this one.
    """

    operation: Operation
    token: str
    failures: int = 0


class OperationStore(Protocol):
    """Keeps operations. Every method raises `Unavailable` when it cannot answer."""

    async def prepare(self) -> None:
        """Makes what the store needs, where it is not there yet."""
        ...

    async def add(self, operation: Operation) -> bool:
        """Adds an operation, whose id is new; its turn is at once.

        Answers whether it was added: False where the tenant has one of the same `request_id`.
        """
        ...

    async def of_request(self, tenant: str, request_id: str) -> Operation | None:
        """The operation that a tenant's request has begun; the id is not empty."""
        ...

    async def operation(self, tenant: str | None, operation_id: str) -> Operation | None:
        """A tenant's operation by its id; None stands for any tenant."""
        ...

    async def operations(
        self, tenant: str, wanted: Filter, *, limit: int, after: Position | None = None
    ) -> Sequence[Operation]:
        """A tenant's operations that match, newest first, those that come after the position."""
        ...

    async def running(self, tenant: str, kind: Kind, *, limit: int) -> int:
        """How many of a tenant's operations of a kind run; it counts no further than the limit."""
        ...

    async def running_among(self, operation_ids: Collection[str]) -> set[str]:
        """Which of these run, whosever they are."""
        ...

    async def ask_to_cancel(self, tenant: str, operation_id: str, *, now: datetime) -> Operation | None:
        """Notes that an operation is to end, where it runs; its turn is at once. None where there is none."""
        ...

    async def remove(self, tenant: str, operation_id: str) -> bool:
        """Forgets an operation that has ended; answers whether there was one."""
        ...

    async def take(
        self, kinds: Collection[Kind], *, now: datetime, until: datetime, passing_over: Collection[str] = ()
    ) -> Turn | None:
        """Takes the turn that has been due longest, for as long; None where none is.

        Args:
            kinds: Of operations of these kinds.
            now: The time.
            until: When the turn runs out, and somebody else may have it.
            passing_over: Tenants whose turns are not taken.
        """
        ...

    async def keep(self, turn: Turn, step: Step, *, now: datetime) -> bool:
        """Notes what a turn came to, where it is still had; answers whether it was.

        Where a cancel was asked for while it was taken, the next turn is due at once.
        """
        ...

    async def put_off(self, turn: Turn, *, due: datetime, failures: int) -> None:
        """Gives a turn back that came to nothing, where it is still had; the next one is due then."""
        ...

    async def next_due(self, kinds: Collection[Kind], *, passing_over: Collection[str] = ()) -> datetime | None:
        """When the next turn is due that `take` would take, or None where there is none."""
        ...


class MongoOperationStore:
    """The store in MongoDB.

    Args:
        database: History's own; its writes are acknowledged by a majority.
    """

    def __init__(self, database: AsyncDatabase[Document]) -> None:
        self._operations = database.get_collection("operations")

    async def prepare(self) -> None:
        """Makes the indexes, where they are not there yet."""
        async with translated():
            await self._operations.create_indexes(_INDEXES)

    async def add(self, operation: Operation) -> bool:
        """See `OperationStore`."""
        document = {**document_of(operation), "due_at": operation.created_at, "turn": None, "failures": 0}
        async with translated():
            try:
                await self._operations.insert_one(document)
            except DuplicateKeyError:
                return False
        return True

    async def of_request(self, tenant: str, request_id: str) -> Operation | None:
        """See `OperationStore`."""
        return await self._one({"tenant": tenant, "request_id": request_id})

    async def operation(self, tenant: str | None, operation_id: str) -> Operation | None:
        """See `OperationStore`."""
        return await self._one({"_id": operation_id} if tenant is None else {"_id": operation_id, "tenant": tenant})

    async def operations(
        self, tenant: str, wanted: Filter, *, limit: int, after: Position | None = None
    ) -> Sequence[Operation]:
        """See `OperationStore`."""
        query: Document = {"tenant": tenant, **ended_query(wanted.ended)}
        if wanted.kind is not None:
            query["kind"] = wanted.kind
        if after is not None:
            query["created_at"] = {"$lte": after.created_at}
            query["$or"] = [{"created_at": {"$lt": after.created_at}}, {"_id": {"$lt": after.id}}]
        index = "tenant_newest_first" if wanted.kind is None else "kind_newest_first"
        if wanted.ended is False:
            index = "running_newest_first"
        async with translated():
            found = await self._operations.find(query, hint=index).sort(_NEWEST_FIRST).limit(limit).to_list()
        return [operation_of(each) for each in found]

    async def running(self, tenant: str, kind: Kind, *, limit: int) -> int:
        """See `OperationStore`."""
        query = {"tenant": tenant, "kind": kind, **_RUNNING}
        async with translated():
            return await self._operations.count_documents(query, limit=limit, hint="running_newest_first")

    async def running_among(self, operation_ids: Collection[str]) -> set[str]:
        """See `OperationStore`."""
        query = {"_id": {"$in": list(operation_ids)}, **_RUNNING}
        async with translated():
            return {each["_id"] for each in await self._operations.find(query, projection=["_id"]).to_list()}

    async def ask_to_cancel(self, tenant: str, operation_id: str, *, now: datetime) -> Operation | None:
        """See `OperationStore`; whoever has the turn keeps it, and comes to know of it by the next."""
        due = {"$cond": [{"$eq": ["$turn", None]}, now, "$due_at"]}
        async with translated():
            document = await self._operations.find_one_and_update(
                {"_id": operation_id, "tenant": tenant, **_RUNNING},
                [{"$set": {"cancel_requested": True, "due_at": due}}],
                return_document=ReturnDocument.AFTER,
            )
        return operation_of(document) if document is not None else await self.operation(tenant, operation_id)

    async def remove(self, tenant: str, operation_id: str) -> bool:
        """See `OperationStore`."""
        query = {"_id": operation_id, "tenant": tenant, **ended_query(True)}  # noqa: FBT003  that it has ended
        async with translated():
            return (await self._operations.delete_one(query)).deleted_count == 1

    async def take(
        self, kinds: Collection[Kind], *, now: datetime, until: datetime, passing_over: Collection[str] = ()
    ) -> Turn | None:
        """See `OperationStore`; a turn that is had is due again when it runs out."""
        token = uuid.uuid4().hex
        async with translated():
            document = await self._operations.find_one_and_update(
                {**_takeable(kinds, passing_over), "due_at": {"$lte": now}},
                {"$set": {"due_at": until, "turn": token}},
                sort=[("due_at", 1)],
                hint="due",
                return_document=ReturnDocument.AFTER,
            )
        if document is None:
            return None
        return Turn(operation=operation_of(document), token=token, failures=document["failures"])

    async def keep(self, turn: Turn, step: Step, *, now: datetime) -> bool:
        """See `OperationStore`."""
        due: Document = {"$literal": step.due_at}
        if step.due_at is not None and not turn.operation.cancel_requested:
            due = {"$cond": ["$cancel_requested", now, step.due_at]}
        changes = {name: {"$literal": value} for name, value in progress_of(step, now=now).items()}
        async with translated():
            result = await self._operations.update_one(
                _had(turn), [{"$set": {**changes, "due_at": due, "turn": None, "failures": 0}}]
            )
        return result.matched_count == 1

    async def put_off(self, turn: Turn, *, due: datetime, failures: int) -> None:
        """See `OperationStore`."""
        async with translated():
            await self._operations.update_one(_had(turn), {"$set": {"due_at": due, "turn": None, "failures": failures}})

    async def next_due(self, kinds: Collection[Kind], *, passing_over: Collection[str] = ()) -> datetime | None:
        """See `OperationStore`."""
        query = _takeable(kinds, passing_over)
        async with translated():
            document = await self._operations.find_one(query, projection=["due_at"], sort=[("due_at", 1)], hint="due")
        return document["due_at"] if document is not None else None

    async def _one(self, query: Document) -> Operation | None:
        async with translated():
            document = await self._operations.find_one(query)
        return operation_of(document) if document is not None else None


def _had(turn: Turn) -> Document:
    return {"_id": turn.operation.id, "turn": turn.token, **_RUNNING}


def _takeable(kinds: Collection[Kind], passing_over: Collection[str]) -> Document:
    query: Document = {**_RUNNING, "kind": {"$in": list(kinds)}}
    if passing_over:
        query["tenant"] = {"$nin": list(passing_over)}
    return query
