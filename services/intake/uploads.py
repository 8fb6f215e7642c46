"""Uploads: what is too large for params, on its way from a client to the object store and from there to jobs.

What was told of an upload waits in Redis until its bytes are there. From then on the object store is all there is to
know of it: an upload is READY when its object is where only Penstock can write. So it survives the loss of Redis.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from services.intake.domain import Content
from shared import ids, observability
from shared.errors import Unavailable, UploadIncomplete, UploadNotFound
from shared.objects import ObjectNotFoundError, incoming_key, upload_key

if TYPE_CHECKING:
    from shared.clock import Clock
    from shared.objects import ObjectInfo, SignedPut

log = observability.logger()

MAX_UPLOAD_BYTES = 100 * 1024 * 1024
#: From its creation; by then it is READY or nothing.
PENDING_LIFETIME = timedelta(hours=24)
#: Of the link by which its bytes are sent.
LINK_LIFETIME = timedelta(minutes=15)
#: How long jobs may name it once it is READY. A job may live for as long again, and the object store keeps it for both.
READY_LIFETIME = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An upload.

    Args:
        ready: Its bytes are there and checked.
        expires_at: Until when it must be completed, or jobs may name it.
    """

    id: str
    content: Content
    ready: bool
    expires_at: datetime

    @property
    def created_at(self) -> datetime:
        """When it was created; its id tells."""
        return ids.made_at(self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """How an upload's bytes are sent, and until when."""

    put: SignedPut
    expires_at: datetime


class UploadStore(Protocol):
    """Keeps what was told of uploads that are not READY yet."""

    async def add(self, tenant: str, upload_id: str, content: Content) -> None:
        """Keeps it for `PENDING_LIFETIME`.

        Raises:
            Unavailable: The store is away.
        """
        ...

    async def find(self, tenant: str, upload_id: str) -> Content | None:
        """What was told, or None.

        Raises:
            Unavailable: The store is away.
        """
        ...

    async def remove(self, tenant: str, upload_id: str) -> bool:
        """Forgets it; whether it was there.

        Raises:
            Unavailable: The store is away.
        """
        ...


class UploadObjects(Protocol):
    """The object store, as far as uploads need it: `shared.objects.Objects`."""

    async def head(self, key: str) -> ObjectInfo | None:
        """What is there."""
        ...

    async def copy(self, source: str, target: str) -> None:
        """Copies an object."""
        ...

    async def delete(self, key: str) -> None:
        """Deletes an object, if it is there."""
        ...

    async def upload_link(
        self, key: str, *, size: int, content_type: str, sha256: bytes, lifetime: timedelta
    ) -> SignedPut:
        """How anyone puts this object."""
        ...


class Uploads:
    """Creates, completes and finds uploads.

    Args:
        store: Keeps what was told.
        objects: Keeps the bytes.
        clock: Tells the time.
    """

    def __init__(self, *, store: UploadStore, objects: UploadObjects, clock: Clock) -> None:
        self._store = store
        self._objects = objects
        self._clock = clock

    async def create(self, tenant: str, content: Content) -> tuple[Upload, Sending]:
        """A new upload, PENDING, and how its bytes are sent.

        Raises:
            Unavailable: Redis is away.
        """
        upload_id = ids.new_upload_id()
        await self._store.add(tenant, upload_id, content)
        upload = _pending(upload_id, content)
        log.info("upload_created", upload=upload_id, size=content.size)
        return upload, await self._sending(tenant, upload)

    async def get(self, tenant: str, upload_id: str, *, to_send: bool) -> tuple[Upload, Sending | None]:
        """An upload, and while it is PENDING how its bytes are sent.

        Args:
            tenant: Whose.
            upload_id: Well formed.
            to_send: Whether the caller may send bytes.

        Raises:
            UploadNotFound: The tenant has no such upload.
            Unavailable: The object store or Redis is away.
        """
        ready = await self._ready(tenant, upload_id)
        if ready is not None:
            return ready, None
        upload = _pending(upload_id, await self._told(tenant, upload_id))
        return upload, await self._sending(tenant, upload) if to_send else None

    async def complete(self, tenant: str, upload_id: str) -> Upload:
        """The upload, READY: its bytes are those that were told, and lie where nobody else can write.

        Raises:
            UploadNotFound: The tenant has no such upload.
            UploadIncomplete: Its bytes are not there, or are others.
            Unavailable: The object store or Redis is away.
        """
        ready = await self._ready(tenant, upload_id)
        if ready is not None:
            return ready
        told = await self._told(tenant, upload_id)
        source, target = incoming_key(tenant, upload_id), upload_key(tenant, upload_id)
        _check(upload_id, told, await self._objects.head(source))
        try:
            await self._objects.copy(source, target)
        except ObjectNotFoundError:  # another call has completed it in between, or deleted it
            log.info("upload_moved_meanwhile", upload=upload_id)
        try:
            copied = _check(upload_id, told, await self._objects.head(target))
        except UploadIncomplete:  # it was written anew between the look and the copy
            await self._objects.delete(target)
            raise
        await self._tidy(tenant, upload_id)
        log.info("upload_completed", upload=upload_id, size=told.size)
        return _completed(upload_id, copied)

    async def delete(self, tenant: str, upload_id: str) -> None:
        """Deletes an upload, with its bytes.

        Raises:
            UploadNotFound: The tenant has no such upload.
            Unavailable: The object store or Redis is away.
        """
        ready = await self._ready(tenant, upload_id)
        if ready is None:
            await self._told(tenant, upload_id)  # raises where there is no such upload
        await self._store.remove(tenant, upload_id)  # first: without it nothing can be completed any more
        await self._objects.delete(upload_key(tenant, upload_id))
        await self._objects.delete(incoming_key(tenant, upload_id))
        log.info("upload_deleted", upload=upload_id)

    async def why_not_ready(self, tenant: str, upload_id: str) -> Upload | str:
        """The upload, READY; or why it is not, to be read behind its id.

        Raises:
            Unavailable: The object store or Redis is away.
        """
        ready = await self._ready(tenant, upload_id)
        if ready is not None:
            return ready
        if await self._store.find(tenant, upload_id) is not None:
            return "is an upload that is not complete; PUT its bytes to its link, complete it, and submit again"
        return "is no upload, or one whose time is over; create another, and name that"

    async def _ready(self, tenant: str, upload_id: str) -> Upload | None:
        info = await self._objects.head(upload_key(tenant, upload_id))
        ready = _completed(upload_id, info) if info is not None else None
        return ready if ready is not None and ready.expires_at > self._clock.now() else None

    async def _told(self, tenant: str, upload_id: str) -> Content:
        told = await self._store.find(tenant, upload_id)
        if told is None:
            raise _not_found(upload_id)
        return told

    async def _sending(self, tenant: str, upload: Upload) -> Sending:
        now = self._clock.now()
        lifetime = max(min(LINK_LIFETIME, upload.expires_at - now), timedelta(seconds=1))
        put = await self._objects.upload_link(
            incoming_key(tenant, upload.id),
            size=upload.content.size,
            content_type=upload.content.content_type,
            sha256=upload.content.sha256,
            lifetime=lifetime,
        )
        return Sending(put=put, expires_at=now + lifetime)

    async def _tidy(self, tenant: str, upload_id: str) -> None:
        """Removes what a completed upload needs no more; what stays behind ends by itself within a day."""
        try:
            await self._objects.delete(incoming_key(tenant, upload_id))
            await self._store.remove(tenant, upload_id)
        except Unavailable as error:
            log.warning("upload_left_untidy", upload=upload_id, error=error.message)


def _pending(upload_id: str, content: Content) -> Upload:
    return Upload(id=upload_id, content=content, ready=False, expires_at=ids.made_at(upload_id) + PENDING_LIFETIME)


def _completed(upload_id: str, info: ObjectInfo) -> Upload:
    return Upload(
        id=upload_id,
        content=Content(size=info.size, sha256=info.sha256, content_type=info.content_type),
        ready=True,
        expires_at=info.modified + READY_LIFETIME,
    )


def _not_found(upload_id: str) -> UploadNotFound:
    return UploadNotFound(
        f"there is no upload {upload_id}, or its time is over; create another", metadata={"upload": upload_id}
    )


def _check(upload_id: str, told: Content, info: ObjectInfo | None) -> ObjectInfo:
    """What is there; raises where the bytes are not there, or are not those that were told.

    The signed link lets no others in; this is for a store that does not keep to what is signed.
    """
    if info is None:
        raise UploadIncomplete(
            f"the bytes of {upload_id} are not there; PUT them to its link, with its headers, and complete it then",
            metadata={"upload": upload_id},
        )
    differing = [
        f"{what} is {found} and not {wanted}"
        for what, found, wanted in (
            ("size", str(info.size), str(told.size)),
            ("content type", info.content_type, told.content_type),
            ("SHA-256", info.sha256.hex() or "unknown", told.sha256.hex()),
        )
        if found != wanted
    ]
    if differing:
        raise UploadIncomplete(
            f"what was sent for {upload_id} is not what was told: {'; '.join(differing)}; PUT the right bytes to its "
            "link, or create another upload",
            metadata={"upload": upload_id},
        )
    return info
