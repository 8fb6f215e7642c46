"""The shelf: where backups lie in the object store, each under its time, and how their files get there and back."""

from __future__ import annotations

from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deploy.backup import manifest, packing, retention
from deploy.backup.errors import BackupError, DamagedError
from deploy.backup.manifest import MANIFEST, File
from shared.objects import ObjectNotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from deploy.backup.manifest import Manifest
    from shared.objects import Objects

PREFIX = "backups/"
#: What ends so is packed.
PACKED = ".gz"
_MAX_MANIFEST_BYTES = 64 * 1024 * 1024
_MANY = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What lies under one time.

    Args:
        name: The time.
        keys: Of its objects.
    """

    name: str
    keys: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether it is a backup, and not what is left of one that was not finished."""
        return f"{PREFIX}{self.name}/{MANIFEST}" in self.keys


class Shelf:
    """Backups in one bucket. Everything raises `Unavailable` where the store is away or refuses.

    Args:
        objects: The bucket.
    """

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def found(self) -> list[Found]:
        """What there is, the oldest first, whole or not."""
        keys: dict[str, list[str]] = {}
        async for some in self._objects.older(PREFIX, datetime.max.replace(tzinfo=UTC)):
            for key in some:
                keys.setdefault(key.removeprefix(PREFIX).split("/", 1)[0], []).append(key)
        names = sorted(name for name in keys if manifest.time_of(name) is not None)
        return [Found(name=name, keys=tuple(keys[name])) for name in names]

    async def manifest(self, name: str) -> Manifest:
        """What a backup says of itself.

        Raises:
            BackupError: There is no such backup, or it is not whole.
            DamagedError: What it says cannot be read.
        """
        try:
            text = await self._objects.get(_key(name, MANIFEST), at_most=_MAX_MANIFEST_BYTES)
        except ObjectNotFoundError:
            whole = [each.name for each in await self.found() if each.is_whole]
            there = f"the newest is {whole[-1]}" if whole else "there is none"
            raise BackupError(f"there is no backup {name!r}; {there} (`list` shows all)") from None
        return manifest.read(text, name=name)

    async def put(self, name: str, file: str, chunks: AsyncIterator[bytes]) -> File:
        """Puts a file as it comes; answers with what the manifest says of it. Its name says whether it is packed.

        Args:
            name: Of the backup.
            file: Of the file.
            chunks: What it raises is raised here.
        """
        content, stored = packing.Meter(), packing.Meter()
        async with AsyncExitStack() as stack:
            passing = await stack.enter_async_context(aclosing(content.through(chunks)))
            if file.endswith(PACKED):
                passing = await stack.enter_async_context(aclosing(packing.packed(passing)))
            passing = await stack.enter_async_context(aclosing(stored.through(passing)))
            await self._objects.put_stream(
                _key(name, file), passing, size=None, content_type="application/octet-stream"
            )
        return File(name=file, bytes=stored.bytes, sha256=stored.sha256, content_bytes=content.bytes)

    async def finish(self, made: Manifest) -> None:
        """Puts the manifest: from now on it is a backup."""
        await self._objects.put(_key(made.name, MANIFEST), manifest.dump(made), content_type="application/json")

    @asynccontextmanager
    async def open(self, name: str, file: File) -> AsyncGenerator[AsyncIterator[bytes]]:
        """A file's content as it comes. At its end it is known that it is what was put there.

        Raises:
            DamagedError: It is not; also in the middle.
        """
        what = f"the file {file.name} of the backup {name}"
        try:
            async with (
                self._objects.open(_key(name, file.name)) as chunks,
                aclosing(_checked(chunks, file, what)) as passing,
            ):
                if not file.name.endswith(PACKED):
                    yield passing
                else:
                    async with aclosing(packing.unpacked(passing, what=what)) as content:
                        yield content
        except ObjectNotFoundError:
            raise DamagedError(f"{what} is missing") from None

    async def check(self, name: str, file: File) -> None:
        """Reads a file from its beginning to its end.

        Raises:
            DamagedError: It is not what was put there.
        """
        size = 0
        async with self.open(name, file) as content:
            async for chunk in content:
                size += len(chunk)
        if size != file.content_bytes:
            raise DamagedError(
                f"the file {file.name} of the backup {name} holds {size} bytes and not {file.content_bytes}"
            )

    async def prune(self, *, now: datetime, daily: int, monthly: int) -> list[str]:
        """Removes backups that have had their time, and what is left of those that were never finished; names them."""
        found = await self.found()
        kept = retention.kept((each.name for each in found if each.is_whole), now=now, daily=daily, monthly=monthly)
        removed: list[str] = []
        for each in found:
            begun = manifest.time_of(each.name)
            is_recent = begun is not None and begun > now - retention.UNFINISHED
            if each.name in kept or (is_recent and not each.is_whole):
                continue
            await self._remove(each)
            removed.append(each.name)
        await self._objects.abort_uploads(PREFIX, now - retention.UNFINISHED)
        return removed

    async def _remove(self, found: Found) -> None:
        """The manifest goes first: a backup of which a part is gone is none."""
        first = _key(found.name, MANIFEST)
        if first in found.keys:
            await self._objects.delete(first)
        rest = [key for key in found.keys if key != first]
        for start in range(0, len(rest), _MANY):
            await self._objects.delete_many(rest[start : start + _MANY])


async def _checked(chunks: AsyncIterator[bytes], file: File, what: str) -> AsyncGenerator[bytes]:
    meter = packing.Meter()
    async for chunk in meter.through(chunks):
        yield chunk
    if meter.bytes != file.bytes:
        raise DamagedError(f"{what} has {meter.bytes} bytes and not {file.bytes}")
    if meter.sha256 != file.sha256:
        raise DamagedError(f"{what} is damaged: its SHA-256 is {meter.sha256} and not {file.sha256}")


def _key(name: str, file: str) -> str:
    return f"{PREFIX}{name}/{file}"
