"""The client of the object store.

What is small goes by the driver. What streams goes by links that the driver signs, over plain HTTP: the driver would
have to hold or hash it first.
"""

from __future__ import annotations

import base64
import hashlib
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from shared.objects import bucket, driver
from shared.objects.driver import ObjectNotFoundError, ObjectTooLargeError, translated
from shared.objects.streams import Streams
from shared.objects.values import ObjectInfo, SignedPut

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence
    from datetime import datetime, timedelta

    from shared.objects.settings import ObjectSettings


class Objects:
    """One bucket of an object store.

    Args:
        settings: Of the store.
        asking: The driver's client that asks the store.
        signing: The one that signs links for the store's clients.
        resources: Closes what was opened.
        streams: Carries what streams.
    """

    def __init__(
        self, settings: ObjectSettings, *, asking: Any, signing: Any, resources: AsyncExitStack, streams: Streams
    ) -> None:
        self._settings = settings
        self._bucket = settings.bucket
        self._asking = asking
        self._signing = signing
        self._resources = resources
        self._streams = streams
        self._ensured = False

    async def check(self) -> None:
        """Tries the store; makes the bucket and applies its rules where this client has not done so.

        Raises:
            Unavailable: The store is away, or refuses.
        """
        async with translated():
            try:
                if self._ensured:
                    await bucket.look(self._asking, self._bucket)
                else:
                    await bucket.ensure(self._asking, self._bucket, region=self._settings.region)
                    self._ensured = True
            except ClientError as error:  # whatever it is, an operator may mend it
                self._ensured = False
                raise driver.unavailable(f"the object store refuses its bucket {self._bucket}: {error}") from error

    async def close(self) -> None:
        """Closes every connection."""
        await self._resources.aclose()

    async def put(self, key: str, body: bytes, *, content_type: str) -> None:
        """Puts an object, whole or not at all; what was there is replaced.

        Raises:
            Unavailable: It may have been put, or not.
        """
        async with translated(key):
            await self._asking.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=body,
                ContentType=content_type,
                ChecksumSHA256=_base64(hashlib.sha256(body).digest()),
            )

    async def put_stream(self, key: str, chunks: AsyncIterator[bytes], *, size: int | None, content_type: str) -> int:
        """Puts an object as its bytes come, and answers with how many they were; nothing half is ever visible.

        Args:
            key: Where to.
            chunks: What it raises is raised here.
            size: Bytes, where that is known: they pass without being gathered. Else parts of 5 MiB are.
            content_type: As it will be told.

        Raises:
            ValueError: There were more or fewer bytes than `size`.
            Unavailable: It may have been put, or not.
        """
        if size is None:
            return await self._streams.put_parts(key, chunks, content_type=content_type)
        return await self._streams.put_sized(key, chunks, size=size, content_type=content_type)

    async def get(self, key: str, *, at_most: int) -> bytes:
        """The bytes of an object.

        Args:
            key: Where it is.
            at_most: So many bytes.

        Raises:
            ObjectNotFoundError: There is none.
            ObjectTooLargeError: It has more bytes.
            Unavailable: The store is away.
        """
        body = bytearray()
        async with self.open(key) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > at_most:
                    raise ObjectTooLargeError(f"{key} has more than {at_most} bytes")
        return bytes(body)

    @asynccontextmanager
    async def open(self, key: str) -> AsyncGenerator[AsyncIterator[bytes]]:
        """The bytes of an object as they come, in chunks of 64 KiB at most; memory stays flat.

        Raises:
            ObjectNotFoundError: There is none.
            Unavailable: The store is away; also in the middle.
        """
        async with self._streams.get(key) as response, aclosing(self._streams.chunks(response)) as chunks:
            yield chunks

    async def head(self, key: str) -> ObjectInfo | None:
        """What the store says of an object, or None where there is none.

        Raises:
            Unavailable: The store is away.
        """
        try:
            async with translated(key):
                answer = await self._asking.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
        except ObjectNotFoundError:
            return None
        return ObjectInfo(
            size=answer["ContentLength"],
            content_type=answer.get("ContentType", ""),
            sha256=_digest(answer.get("ChecksumSHA256", "")),
            modified=answer["LastModified"],
        )

    async def copy(self, source: str, target: str) -> None:
        """Copies an object within the store, with its type and digest; what was there is replaced.

        Raises:
            ObjectNotFoundError: There is no source.
            Unavailable: It may have been copied, or not.
        """
        async with translated(source, within=driver.COPY_TIMEOUT):
            await self._asking.copy_object(
                Bucket=self._bucket, Key=target, CopySource={"Bucket": self._bucket, "Key": source}
            )

    async def delete(self, key: str) -> None:
        """Deletes an object, if it is there.

        Raises:
            Unavailable: It may have been deleted, or not.
        """
        async with translated(key):
            await self._asking.delete_object(Bucket=self._bucket, Key=key)

    async def older(self, prefix: str, before: datetime) -> AsyncGenerator[list[str]]:
        """The keys under a prefix whose objects were put before a time, many at a time.

        Raises:
            Unavailable: The store is away; also in the middle.
        """
        token: dict[str, str] = {}
        while True:
            async with translated(prefix):
                page = await self._asking.list_objects_v2(Bucket=self._bucket, Prefix=prefix, **token)
            found = [each["Key"] for each in page.get("Contents", ()) if each["LastModified"] < before]
            if found:
                yield found
            if not page.get("IsTruncated"):
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    async def delete_many(self, keys: Sequence[str]) -> None:
        """Deletes objects, 1,000 at most, those that are there.

        Raises:
            Unavailable: Any of them may have been deleted, or not.
        """
        async with translated():
            answer = await self._asking.delete_objects(
                Bucket=self._bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
            )
        if answer.get("Errors"):
            raise driver.unavailable(f"the object store kept {len(answer['Errors'])} of {len(keys)} objects")

    async def abort_uploads(self, prefix: str, before: datetime) -> None:
        """Removes the parts of uploads under a prefix that were begun before a time and never ended.

        Raises:
            Unavailable: Any of them may have been removed, or not.
        """
        async with translated(prefix):
            page = await self._asking.list_multipart_uploads(Bucket=self._bucket, Prefix=prefix)
        for each in page.get("Uploads", ()):  # who comes again and again finds those of the next page
            if each["Initiated"] < before:
                with suppress(ObjectNotFoundError):  # it was ended or removed meanwhile
                    async with translated(each["Key"]):
                        await self._asking.abort_multipart_upload(
                            Bucket=self._bucket, Key=each["Key"], UploadId=each["UploadId"]
                        )

    async def link(self, key: str, *, lifetime: timedelta, content_disposition: str = "") -> str:
        """A URL under which anyone gets the object until the lifetime ends; nothing is asked of the store.

        Args:
            key: Of the object.
            lifetime: At most 7 days.
            content_disposition: The header of that name (RFC 6266); empty for none.
        """
        parameters = {"Bucket": self._bucket, "Key": key}
        if content_disposition:
            parameters["ResponseContentDisposition"] = content_disposition
        return await self._signing.generate_presigned_url(
            "get_object", Params=parameters, ExpiresIn=int(lifetime.total_seconds())
        )

    async def upload_link(
        self, key: str, *, size: int, content_type: str, sha256: bytes, lifetime: timedelta
    ) -> SignedPut:
        """The request by which anyone puts this object, and no other one, until the lifetime ends.

        Args:
            key: Of the object.
            size: Its bytes.
            content_type: Its type.
            sha256: Its digest, which the store checks.
            lifetime: At most 7 days.
        """
        digest = _base64(sha256)
        url = await self._signing.generate_presigned_url(
            "put_object",
            Params={
                "Bucket": self._bucket,
                "Key": key,
                "ContentLength": size,
                "ContentType": content_type,
                "ChecksumSHA256": digest,
            },
            ExpiresIn=int(lifetime.total_seconds()),
        )
        return SignedPut(url=url, headers={"Content-Type": content_type, "x-amz-checksum-sha256": digest})


async def open_objects(settings: ObjectSettings) -> Objects:
    """A client that has asked the store nothing yet; `check` does what `connect` would."""
    async with AsyncExitStack() as resources:
        asking, signing = await driver.open_clients(settings, resources)
        http = await resources.enter_async_context(driver.http_session())
        streams = Streams(asking, http, bucket=settings.bucket)
        return Objects(settings, asking=asking, signing=signing, resources=resources.pop_all(), streams=streams)


async def connect(settings: ObjectSettings) -> Objects:
    """A client of a store that has answered, and has the bucket with its rules.

    Raises:
        Unavailable: The store does not answer, or refuses.
    """
    objects = await open_objects(settings)
    try:
        await objects.check()
    except BaseException:  # a cancel too: nothing stays open
        await objects.close()
        raise
    return objects


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def _digest(text: str) -> bytes:
    """The digest of the whole object; one put in parts has a digest of digests (`…-<parts>`), which helps nobody."""
    return b"" if "-" in text else base64.b64decode(text)
