"""MongoDB: all collections of Penstock at one moment, while writes go on, and back into an empty one.

Reads with the concern `snapshot` in one session all show the cluster time of the first of them. The server can go back
so far as `minSnapshotHistoryWindowInSeconds` has it; whatever is read later fails. Documents pass as they are (BSON),
unread.
"""

from __future__ import annotations

import struct
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from bson import json_util
from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient
from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError
from pymongo.write_concern import WriteConcern

from deploy.backup.errors import BackupError, DamagedError
from deploy.backup.manifest import CollectionPart

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence
    from datetime import timedelta

    from pymongo.asynchronous.client_session import AsyncClientSession

    from shared.config import Secret

    Client = AsyncMongoClient[dict[str, Any]]

#: Of the server itself.
_NOT_OURS = frozenset({"admin", "config", "local"})
_TIMEOUT_MS = 10_000
_WINDOW = "minSnapshotHistoryWindowInSeconds"
_UNAUTHORIZED = 13
#: A collection was renamed, dropped, or given another index since the snapshot: it begins anew.
_CHANGED = frozenset({175, 246})  # QueryPlanKilled, SnapshotUnavailable
_SNAPSHOT_TOO_OLD = 239
#: Of documents that are written at once; the server takes 48 MB.
_MAX_BATCH = 1000
_MAX_BATCH_BYTES = 16 * 1024 * 1024
_LENGTH = struct.Struct("<i")


class Changed(BackupError):
    """The collections themselves were changed meanwhile; another snapshot may do."""


class Documents:
    """All of Penstock's databases of one server.

    Args:
        client: Connected.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def version(self) -> str:
        """Of the server."""
        return str((await self._client.server_info())["version"])

    async def databases(self) -> list[str]:
        """Those that our user may read, but for the server's own."""
        answer = await self._client.admin.command("listDatabases", nameOnly=True, authorizedDatabases=True)
        return sorted(each["name"] for each in answer["databases"] if each["name"] not in _NOT_OURS)

    async def drop(self, database: str) -> None:
        """Drops a database."""
        await self._client.drop_database(database)

    async def raise_window(self, wanted: timedelta) -> str:
        """Has the server go back so far, where its user may say so; answers with what is to be said of it."""
        seconds = int(wanted.total_seconds())
        try:
            known = int((await self._client.admin.command({"getParameter": 1, _WINDOW: 1}))[_WINDOW])
            if known >= seconds:
                return ""
            await self._client.admin.command({"setParameter": 1, _WINDOW: seconds})
        except OperationFailure as error:
            if error.code != _UNAUTHORIZED:
                raise
            return (
                f"MongoDB is not told to keep {seconds} s of its history, for this user may not; where the backup "
                f"takes longer than {_WINDOW} (300 unless set), set that at the server"
            )
        return f"MongoDB now keeps {seconds} s of its history ({_WINDOW}), until it is started anew"

    async def collections(self, files: str) -> list[CollectionPart]:
        """The collections with their options and indexes, no documents yet.

        Args:
            files: The form of a file's name, with `{}` for the collection's.
        """
        found: list[CollectionPart] = []
        for database in await self.databases():
            known = [each async for each in await self._client[database].list_collections()]
            for each in sorted(known, key=lambda each: str(each["name"])):
                name = str(each["name"])
                if each.get("type") != "collection" or name.startswith("system."):
                    continue
                indexes = [
                    dict(index)
                    async for index in await self._client[database][name].list_indexes()
                    if index["name"] != "_id_"
                ]
                found.append(
                    CollectionPart(
                        database=database,
                        name=name,
                        options=json_util.dumps(
                            each.get("options") or {}, json_options=json_util.CANONICAL_JSON_OPTIONS
                        ),
                        indexes=json_util.dumps(indexes, json_options=json_util.CANONICAL_JSON_OPTIONS),
                        documents=0,
                        file=files.format(f"{database}.{name}"),
                    )
                )
        return found

    @asynccontextmanager
    async def snapshot(self, first: CollectionPart) -> AsyncGenerator[Snapshot]:
        """The state of now, for as long as the server can go back to it.

        Args:
            first: Any collection: the first read sets the time.
        """
        async with self._client.start_session(snapshot=True) as session:
            with _translated():
                await self._client[first.database][first.name].find_one({}, {"_id": 1}, session=session)
            yield Snapshot(self._client, session)

    async def load(self, part: CollectionPart, chunks: AsyncIterator[bytes]) -> int:
        """Makes a collection with its documents, and then its indexes; answers with how many documents there were.

        Raises:
            DamagedError: The chunks are no documents.
        """
        database = self._client.get_database(part.database, write_concern=WriteConcern(w="majority"))
        with _translated():
            await database.command({"create": part.name, **json_util.loads(part.options)})
        collection = database.get_collection(part.name)
        count = 0
        async for batch in _batches(chunks, f"{part.database}.{part.name}"):
            with _translated():
                await collection.insert_many([RawBSONDocument(document) for document in batch], ordered=False)
            count += len(batch)
        indexes = json_util.loads(part.indexes)
        if indexes:
            with _translated():
                await database.command({"createIndexes": part.name, "indexes": indexes})
        return count

    async def tell_again(self, database: str, collection: str, wanted: dict[str, Any]) -> int:
        """Marks documents as untold; answers with how many."""
        found = self._client[database].get_collection(collection, write_concern=WriteConcern(w="majority"))
        with _translated():
            return (await found.update_many(wanted, {"$set": {"untold": True}})).modified_count


class Snapshot:
    """Reads at one cluster time.

    Args:
        client: Connected.
        session: It has read once.
    """

    def __init__(self, client: Client, session: AsyncClientSession) -> None:
        self._client = client
        self._session = session
        self.documents: dict[str, int] = {}

    @property
    def cluster_time(self) -> int:
        """In seconds since the epoch."""
        time = cast("Any", self._session)._snapshot_time  # noqa: SLF001  the driver tells it nowhere else
        return int(time.time) if time is not None else 0

    async def read(self, part: CollectionPart) -> AsyncGenerator[bytes]:
        """The documents of a collection, as they are on the wire; `documents` counts them by file.

        Raises:
            Changed: The collection was.
            BackupError: The server cannot go back so far any more.
        """
        count = 0
        with _translated():
            cursor = self._client[part.database][part.name].find_raw_batches(session=self._session)
            async for each in cursor:
                batch = cast("bytes", each)  # the driver's annotation has them decoded
                count += len(_documents(batch))
                yield batch
        self.documents[part.file] = count


@asynccontextmanager
async def connected(url: Secret) -> AsyncGenerator[Documents]:
    """A server that has answered.

    Raises:
        BackupError: It is away, or refuses.
    """
    client: Client = AsyncMongoClient(
        url.reveal(), serverSelectionTimeoutMS=_TIMEOUT_MS, connectTimeoutMS=_TIMEOUT_MS, w="majority"
    )
    try:
        with _translated():
            await client.admin.command("ping")
        yield Documents(client)
    finally:
        await client.close()


class _translated:  # noqa: N801  it reads as a function
    """Raises the driver's errors as ours."""

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OperationFailure):
            said = str(error).split(", full error", 1)[0]
            if error.code in _CHANGED:
                raise Changed(f"a collection of MongoDB was changed while it was read: {said}") from error
            if error.code == _SNAPSHOT_TOO_OLD:
                raise BackupError(f"MongoDB cannot go back so far: raise its {_WINDOW} ({said})") from error
            raise BackupError(f"MongoDB refuses: {said}") from error
        if isinstance(error, ConnectionFailure):
            raise BackupError(f"MongoDB does not answer: {str(error)[:300]}") from error
        if isinstance(error, PyMongoError):
            raise BackupError(f"MongoDB: {str(error)[:300]}") from error


def _documents(data: bytes) -> Sequence[bytes]:
    """The documents of some bytes that begin and end with one."""
    found: list[bytes] = []
    start = 0
    while start < len(data):
        (length,) = _LENGTH.unpack_from(data, start)
        found.append(data[start : start + length])
        start += length
    return found


async def _batches(chunks: AsyncIterator[bytes], what: str) -> AsyncGenerator[list[bytes]]:
    """The documents, some at a time."""
    held = bytearray()
    batch: list[bytes] = []
    size = 0
    async for chunk in chunks:
        held += chunk
        start = 0
        while len(held) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(held, start)
            if length < _LENGTH.size + 1:
                raise DamagedError(f"what should be documents of {what} is not")
            if len(held) - start < length:
                break
            batch.append(bytes(held[start : start + length]))
            start += length
            size += length
            if len(batch) >= _MAX_BATCH or size >= _MAX_BATCH_BYTES:
                yield batch
                batch, size = [], 0
        del held[:start]
    if held:
        raise DamagedError(f"the last document of {what} lacks its end")
    if batch:
        yield batch
