"""Loads a backup into empty servers, while no service runs.

Everything is read once before anything is written: a backup that is damaged changes nothing. Then NATS, Redis and
MongoDB, and what makes them fit each other:

- Consumers of what MongoDB holds are set back to where they were before it was read. One that is ahead of its stream,
  for the server has written it down later, is set back to the stream's end: it would leave out what comes next.
- The epochs of queues are put forward, so that no lease is ever given a fence that one had after the backup was made.
- Tenants and connections that were changed meanwhile are told of again: what says so may be missing in `NOTICES`.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from deploy.backup import documents, fingerprints, nats_streams, redis_load
from deploy.backup.config import MONGODB, NATS, PARTS, REDIS
from deploy.backup.errors import BackupError, NotEmptyError
from deploy.backup.sizes import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from deploy.backup.config import Config
    from deploy.backup.documents import Documents
    from deploy.backup.manifest import Manifest
    from deploy.backup.nats_streams import Streams
    from deploy.backup.shelf import Shelf

#: More than the times that a queue is rebuilt between a backup and the day that it is needed.
EPOCHS_AHEAD = 1000
#: So far clocks may be apart.
_APART = timedelta(minutes=1)
_SCHEDULER = "scheduler"
_EPOCHS = "epoch."


class Restoring:
    """Loads one backup.

    Args:
        config: Of the command.
        shelf: Where it lies.
        made: What it says of itself.
        parts: What of it is loaded.
        say: Is told how it goes.
    """

    def __init__(
        self,
        config: Config,
        shelf: Shelf,
        made: Manifest,
        *,
        parts: Collection[str] = PARTS,
        say: Callable[[str], None],
    ) -> None:
        self._config = config
        self._shelf = shelf
        self._made = made
        self._parts = parts
        self._say = say

    async def run(self, *, force: bool, other_keys: bool) -> None:
        """Loads it.

        Args:
            force: Though there is something: it is removed first.
            other_keys: Though the keys of the mesh are others.

        Raises:
            NotEmptyError: There is something, and that is not wanted.
            DamagedError: The backup is not what was put there; nothing was written.
            BackupError: A server refuses or is away, or the keys are others.
        """
        self._compare_keys(other_keys=other_keys)
        async with (
            nats_streams.connected(self._config.nats_url) as streams,
            documents.connected(self._config.mongo_url) as found,
        ):
            there = await self._what_is_there(streams, found)
            if there and not force:
                raise NotEmptyError(f"there is something already: {'; '.join(there)}. --force removes it first")
            await self._check_files()
            if NATS in self._parts:
                await self._nats(streams)
            if REDIS in self._parts:
                await self._redis()
            if MONGODB in self._parts:
                await self._mongodb(found)
            if {NATS, MONGODB} & set(self._parts):
                await self._set_back(streams)

    def _compare_keys(self, *, other_keys: bool) -> None:
        said = fingerprints.differing(self._made.keys, self._config.keys)
        for each in said:
            self._say(f"WARNING: {each}")
        if said and not other_keys:
            raise BackupError(
                "the mesh has other keys: API keys and connections of the backup would not work. Bring the keys back, "
                "or go on with --other-keys"
            )
        if not self._made.keys.fingerprints:
            self._say("the backup says nothing of the mesh's keys; see that they are those of its time")

    async def _what_is_there(self, streams: Streams, found: Documents) -> list[str]:
        there: list[str] = []
        if NATS in self._parts:
            wanted = {part.name for part in self._made.streams}
            present = [name for name in await streams.names() if name in wanted]
            there += [f"in NATS the streams {', '.join(present)}"] if present else []
        keys = await self._keys_in_redis()
        if REDIS in self._parts and keys:
            there.append(f"in Redis {keys:,} keys")
        elif NATS in self._parts and REDIS not in self._parts and keys:
            raise NotEmptyError(
                f"Redis holds {keys:,} keys, with places in a log of jobs that will not be there; empty it (FLUSHALL), "
                "and it is rebuilt from the log, or restore it too"
            )
        if MONGODB in self._parts:
            wanted = {part.database for part in self._made.collections}
            present = [name for name in await found.databases() if name in wanted]
            there += [f"in MongoDB the databases {', '.join(present)}"] if present else []
        return there

    async def _keys_in_redis(self) -> int:
        if not {NATS, REDIS} & set(self._parts):
            return 0
        try:
            return await redis_load.keys(self._config.redis_url)
        except (OSError, TimeoutError) as error:
            raise BackupError(f"Redis does not answer: {error or type(error).__name__}") from error

    async def _check_files(self) -> None:
        began = time.monotonic()
        for file in self._made.files:
            await self._shelf.check(self._made.name, file)
        self._say(f"{len(self._made.files)} files, {shown(self._made.bytes)}, are as they were put: {_since(began)}")

    async def _nats(self, streams: Streams) -> None:
        present = set(await streams.names())
        for part in self._made.streams:
            began = time.monotonic()
            if part.name in present:
                await streams.delete(part.name)
            async with self._shelf.open(self._made.name, self._made.file(part.file)) as chunks:
                await streams.restore(part, chunks, replicas=self._config.stream_replicas)
            self._say(f"the stream {part.name}, {part.messages:,} messages: {_since(began)}")
        if f"{nats_streams.BUCKETS}{_SCHEDULER}" in {part.name for part in self._made.streams}:
            for key, epoch in (await streams.numbers(_SCHEDULER, _EPOCHS)).items():
                await streams.put(_SCHEDULER, key, str(epoch + EPOCHS_AHEAD).encode())

    async def _redis(self) -> None:
        began = time.monotonic()
        file = self._made.file(self._made.redis)
        try:
            await redis_load.load(
                self._config.redis_url,
                lambda: self._shelf.open(self._made.name, file),
                size=file.content_bytes,
                reached_at=self._config.restore_address,
            )
        except (OSError, TimeoutError) as error:
            raise BackupError(f"Redis does not answer: {error or type(error).__name__}") from error
        self._say(f"Redis, {await self._keys_in_redis():,} keys: {_since(began)}")

    async def _mongodb(self, found: Documents) -> None:
        present = set(await found.databases())
        for database in {part.database for part in self._made.collections} & present:
            await found.drop(database)
        for part in self._made.collections:
            began = time.monotonic()
            async with self._shelf.open(self._made.name, self._made.file(part.file)) as chunks:
                count = await found.load(part, chunks)
            self._say(f"{part.database}.{part.name}, {count:,} documents: {_since(began)}")
        since = self._made.began_at - _APART
        told = await found.tell_again("auth", "tenants", {"revision": {"$gt": 0}, "changed_at": {"$gte": since}})
        changed = {"$or": [{"needs_reauth_since": {"$gte": since}}, {"updated_at": {"$gte": since}}]}
        told += await found.tell_again("auth", "connections", {"revision": {"$gt": 0}, **changed})
        if told:
            self._say(f"{told} tenants and connections will be told of again")

    async def _set_back(self, streams: Streams) -> None:
        present = await streams.names()
        for stream in sorted({part.name for part in self._made.streams} & set(present)):
            last = await streams.last_sequence(stream)
            for info in await streams.consumers(stream):
                consumer = str(info["name"])
                handled = int(info["ack_floor"]["stream_seq"])
                right = min(handled, last, self._noted(stream, consumer, handled))
                if right < handled or int(info["delivered"]["stream_seq"]) > last:
                    await streams.set_back(stream, consumer, right)
                    self._say(f"the consumer {consumer} of {stream} goes on after {right:,}; it was at {handled:,}")

    def _noted(self, stream: str, consumer: str, handled: int) -> int:
        """Up to where what MongoDB holds of a stream is known to be there."""
        if MONGODB not in self._parts:
            return handled
        return self._made.acknowledged.get(f"{stream}/{consumer}", handled)


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.1f} s"
