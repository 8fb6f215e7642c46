"""Buckets: small values by key that all replicas share, changed by compare-and-set, and watched (NATS KV)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import nats.js.errors
from nats.js.api import DiscardPolicy, StorageType, StreamConfig

from shared import observability
from shared.bus.driver import translated
from shared.errors import PenstockError
from shared.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from nats.js import JetStreamContext

    from shared.bus.reader import Reader, Stored

log = observability.logger()

_BACKOFF = Backoff(initial=timedelta(milliseconds=200), maximum=timedelta(seconds=5))
#: The server's errors that another revision is the newest.
_OTHER_REVISION = (10071, 10164)
#: Without a message while more are to come, they are counted anew.
_SILENCE_S = 2.0
_OPERATION = "KV-Operation"
_EXPECTED = "Nats-Expected-Last-Subject-Sequence"
_TTL = "Nats-TTL"


class Conflict(Exception):
    """Another one was faster: the key exists, or its newest revision is not the one that was expected."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A value, and the revision under which it was put; revisions grow over all keys of a bucket."""

    value: bytes
    revision: int


class Bucket:
    """Values by key, on disk at NATS.

    A key is of letters, digits and `-_=/`, in parts by dots. Whatever raises `Unavailable` may have taken effect.

    Args:
        jetstream: Where the bucket is.
        name: Of the bucket.
        read: Makes a reader of the newest message of each of its subjects.
    """

    def __init__(
        self,
        jetstream: JetStreamContext,
        name: str,
        read: Callable[[str, str], AbstractAsyncContextManager[Reader]],
    ) -> None:
        self._jetstream = jetstream
        self._stream = _stream_of(name)
        self._prefix = f"$KV.{name}."
        self._read = read

    async def apply(self, *, replicas: int) -> None:
        """Makes the bucket, or brings it to its definition.

        Raises:
            Unavailable: NATS does not answer.
        """
        config = StreamConfig(
            name=self._stream,
            subjects=[f"{self._prefix}>"],
            max_msgs_per_subject=1,
            storage=StorageType.FILE,
            num_replicas=replicas,
            discard=DiscardPolicy.NEW,
            allow_rollup_hdrs=True,
            deny_delete=True,
            allow_msg_ttl=True,
            allow_direct=False,  # what was put is read from the leader, or an older value might be seen after it
        )
        async with translated():
            try:
                await self._jetstream.add_stream(config)
            except nats.js.errors.BadRequestError:  # it exists, and was defined otherwise
                await self._jetstream.update_stream(config)

    async def get(self, key: str) -> Entry | None:
        """The newest value; None where there is none.

        Raises:
            Unavailable: NATS does not answer.
        """
        found = await self._newest(key)
        return None if found is None or found[1] else found[0]

    async def create(self, key: str, value: bytes, *, ttl: timedelta | None = None) -> int:
        """Puts the first value of a key, or the first since its deletion; answers with its revision.

        Args:
            key: Of the value.
            value: To put.
            ttl: In whole seconds: then it goes by itself, and `watch` tells nothing of that. None to keep it.

        Raises:
            Conflict: The key has one.
            Unavailable: NATS does not answer.
        """
        try:
            return await self._put(key, value, {_EXPECTED: "0", **_lifetime(ttl)})
        except Conflict:
            found = await self._newest(key)
            if found is None or not found[1]:
                raise
            return await self._put(key, value, {_EXPECTED: str(found[0].revision), **_lifetime(ttl)})

    async def update(self, key: str, value: bytes, revision: int, *, ttl: timedelta | None = None) -> int:
        """Puts another value in the place of the one of this revision; answers with the new revision.

        Args:
            key: Of the value.
            value: To put.
            revision: Of the value that is there.
            ttl: As of `create`.

        Raises:
            Conflict: That one is not the newest any more.
            Unavailable: NATS does not answer.
        """
        return await self._put(key, value, {_EXPECTED: str(revision), **_lifetime(ttl)})

    async def put(self, key: str, value: bytes) -> int:
        """Puts a value, whatever is there; answers with its revision.

        Raises:
            Unavailable: NATS does not answer.
        """
        return await self._put(key, value, {})

    async def delete(self, key: str) -> None:
        """Removes the value, if there is one.

        Raises:
            Unavailable: NATS does not answer.
        """
        await self._put(key, b"", {_OPERATION: "DEL"})

    async def entries(self) -> dict[str, Entry]:
        """Every key and its value.

        Raises:
            Unavailable: NATS does not answer.
        """
        while True:
            try:
                return await self._entries()
            except TimeoutError:  # what was still to come has run out or was overwritten meanwhile, and never comes
                continue

    async def _entries(self) -> dict[str, Entry]:
        """Raises TimeoutError where the server has less to send than it has said at first."""
        found: dict[str, Entry] = {}
        async with self._read(self._stream, f"{self._prefix}>") as reader:
            more = await reader.opened()
            while more:
                async with asyncio.timeout(_SILENCE_S):
                    batch = await reader.batch()
                for message in batch:
                    if not _is_deletion(message.headers):
                        found[self._key(message)] = Entry(message.payload, message.sequence)
                    more = message.pending > 0
        return found

    async def keys(self) -> list[str]:
        """Every key that has a value, in order.

        Raises:
            Unavailable: NATS does not answer.
        """
        return sorted(await self.entries())

    async def watch(self, handle: Callable[[str, bytes | None], Awaitable[None]]) -> None:
        """Calls `handle` with each key that is there, and then with each change, None for a deletion; until canceled.

        After a loss of the server it goes on with what has changed meanwhile; values that were overwritten before they
        were read are left out. What `handle` fails on by an error of the tree comes again.
        """
        seen: dict[str, int] = {}
        failures = 0
        while True:
            try:
                async with self._read(self._stream, f"{self._prefix}>") as reader:
                    while True:
                        for message in await reader.batch():
                            failures = 0
                            await self._tell(message, seen, handle)
            except PenstockError as error:
                failures += 1
                pause = _BACKOFF.pause(failures)
                log.warning("watch_interrupted", stream=self._stream, error=error.message)
                await asyncio.sleep(pause.total_seconds())

    async def _tell(
        self, message: Stored, seen: dict[str, int], handle: Callable[[str, bytes | None], Awaitable[None]]
    ) -> None:
        key = self._key(message)
        if seen.get(key) == message.sequence:
            return
        deleted = _is_deletion(message.headers)
        if key in seen or not deleted:
            await handle(key, None if deleted else message.payload)
        seen[key] = message.sequence

    async def _newest(self, key: str) -> tuple[Entry, bool] | None:
        """The newest message of a key, and whether it is its deletion."""
        async with translated():
            try:
                message = await self._jetstream.get_last_msg(self._stream, self._prefix + key)
            except nats.js.errors.NotFoundError:
                return None
        return Entry(message.data or b"", message.seq or 0), _is_deletion(message.headers or {})

    async def _put(self, key: str, value: bytes, headers: dict[str, str]) -> int:
        async with translated():
            try:
                answer = await self._jetstream.publish(self._prefix + key, value, headers=headers)
            except nats.js.errors.APIError as error:
                if error.err_code in _OTHER_REVISION:
                    raise Conflict(f"the key {key} has another revision than the one expected") from error
                raise
        return answer.seq

    def _key(self, message: Stored) -> str:
        return message.subject.removeprefix(self._prefix)


def _stream_of(name: str) -> str:
    return f"KV_{name}"


def _lifetime(ttl: timedelta | None) -> dict[str, str]:
    return {_TTL: f"{ttl // timedelta(seconds=1)}s"} if ttl is not None else {}


def _is_deletion(headers: Mapping[str, str]) -> bool:
    return headers.get(_OPERATION) in {"DEL", "PURGE"}
