"""Makes a backup while the mesh works.

The order is what makes it one (decision 39):

1. Redis. It is older than everything else, as one that has lost its last writes: what it does not know yet, the log of
   jobs tells it, and it knows of no place in that log that is not there.
2. `NOTICES`, `AUDIT`, then the buckets. What a consumer has acknowledged is in what is read later: the scheduler's
   bucket, and MongoDB. Of what a bucket says of the log (epochs, floors) nothing is newer than the log.
3. MongoDB, at one cluster time. Just before, it is noted how far the consumers are of what is kept there.
4. `ATTEMPTS`, then `JOBS`. An outcome that is no longer in the one has become an event in the other.

So MongoDB is older than `JOBS`: a restore sets its consumers back to what was noted, and what has happened since is
applied again, as after any time without MongoDB. The other way round history would know of ends that never were.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deploy.access.rights import SERVICES
from deploy.backup import documents, fingerprints, manifest, nats_streams, redis_dump
from deploy.backup.config import MONGODB, NATS, REDIS
from deploy.backup.errors import BackupError
from deploy.backup.manifest import Manifest
from deploy.backup.sizes import shown
from shared.streams import ATTEMPTS, AUDIT, JOBS, NOTICES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from deploy.backup.config import Config
    from deploy.backup.documents import Documents, Snapshot
    from deploy.backup.manifest import CollectionPart, File, StreamPart
    from deploy.backup.nats_streams import Streams
    from deploy.backup.shelf import Shelf

#: Packed by the server in its own way: while it is sent, the server holds what is written meanwhile.
REDIS_FILE = "redis/dump.rdb"
#: What a stream's snapshot is called; the server has packed it already.
_STREAM_FILE = "nats/{}.snapshot"
_COLLECTION_FILE = "mongodb/{}.bson.gz"
#: Another snapshot is begun where collections were changed while one was read, such as by an upgrade.
_TRIES = 3


def consumers_into_mongodb() -> list[tuple[str, str]]:
    """The streams and consumers by which facts come to MongoDB, by the table of rights."""
    return [
        (stream, consumer)
        for service in SERVICES
        if service.mongo is not None
        for stream, consumers in service.nats.consumes.items()
        for consumer in consumers
    ]


class Creating:
    """Makes one backup.

    Args:
        config: Of the command.
        shelf: Where it goes.
        say: Is told how it goes.
    """

    def __init__(self, config: Config, shelf: Shelf, *, say: Callable[[str], None]) -> None:
        self._config = config
        self._shelf = shelf
        self._say = say
        self._name = ""
        self._servers: dict[str, str] = {}
        self._files: list[File] = []
        self._streams: list[StreamPart] = []

    async def run(self) -> Manifest:
        """Makes it; what is there of it when that fails is no backup, and is removed by `prune` after a day.

        Raises:
            BackupError: A server refuses or is away.
            Unavailable: The object store is away or refuses.
        """
        began = datetime.now(UTC)
        self._name = manifest.name_at(began)
        if any(each.name == self._name for each in await self._shelf.found()):
            raise BackupError(f"another backup was begun in this second, {self._name}; try again")
        keys = fingerprints.of(self._config.keys)
        async with AsyncExitStack() as stack:
            streams = await stack.enter_async_context(nats_streams.connected(self._config.nats_url))
            found = await stack.enter_async_context(documents.connected(self._config.mongo_url))
            self._servers |= {NATS: streams.version, MONGODB: await found.version()}
            await self._redis()
            names = await streams.names()
            buckets = [name for name in names if name.startswith(nats_streams.BUCKETS)]
            for name in (NOTICES, AUDIT, *buckets):
                await self._stream(streams, name, names)
            acknowledged = await _acknowledged(streams)
            if said := await found.raise_window(self._config.mongo_history):
                self._say(said)
            collections, cluster_time = await self._mongodb(found)
            for name in (ATTEMPTS, JOBS):
                await self._stream(streams, name, names)
        made = Manifest(
            name=self._name,
            began_at=began,
            ended_at=datetime.now(UTC),
            servers=self._servers,
            redis=REDIS_FILE,
            streams=self._streams,
            acknowledged=acknowledged,
            collections=collections,
            cluster_time=cluster_time,
            keys=keys,
            files=self._files,
        )
        await self._shelf.finish(made)
        return made

    async def _redis(self) -> None:
        try:
            async with redis_dump.opened(self._config.redis_url) as (version, chunks):
                self._servers[REDIS] = version
                await self._put(REDIS_FILE, chunks, "Redis")
        except (OSError, TimeoutError) as error:
            raise BackupError(f"Redis does not answer: {error or type(error).__name__}") from error

    async def _stream(self, streams: Streams, name: str, names: list[str]) -> None:
        if name not in names:  # of a mesh that has never needed it
            return
        file = _STREAM_FILE.format(name)
        async with streams.snapshot(name, file) as (part, chunks):
            self._streams.append(part)
            await self._put(file, chunks, f"the stream {name}, {part.messages:,} messages")

    async def _mongodb(self, found: Documents) -> tuple[list[CollectionPart], int]:
        tries = 0
        while True:
            tries += 1
            collections = await found.collections(_COLLECTION_FILE)
            if not collections:
                return [], 0
            try:
                async with found.snapshot(collections[0]) as snapshot:
                    files = [await self._collection(snapshot, part) for part in collections]
                    self._files += files
                    read = [replace(part, documents=snapshot.documents[part.file]) for part in collections]
                    return read, snapshot.cluster_time
            except documents.Changed as error:
                if tries == _TRIES:
                    raise
                self._say(f"{error}; it is read anew")

    async def _collection(self, snapshot: Snapshot, part: CollectionPart) -> File:
        began = time.monotonic()
        async with aclosing(snapshot.read(part)) as chunks:
            file = await self._shelf.put(self._name, part.file, chunks)
        what = f"{part.database}.{part.name}, {snapshot.documents[part.file]:,} documents"
        self._say(f"{what}: {shown(file.bytes)} in {time.monotonic() - began:.1f} s")
        return file

    async def _put(self, file: str, chunks: AsyncIterator[bytes], what: str) -> None:
        began = time.monotonic()
        put = await self._shelf.put(self._name, file, chunks)
        self._files.append(put)
        self._say(f"{what}: {shown(put.bytes)} in {time.monotonic() - began:.1f} s")


async def _acknowledged(streams: Streams) -> dict[str, int]:
    found: dict[str, int] = {}
    for stream, consumer in consumers_into_mongodb():
        sequence = await streams.acknowledged(stream, consumer)
        if sequence is not None:
            found[f"{stream}/{consumer}"] = sequence
    return found
