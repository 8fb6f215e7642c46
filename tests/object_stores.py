"""Object stores: how they are reached, as services are told it, and how they are emptied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deploy.access.rights import OPERATOR
from shared.config import Secret
from shared.objects import ObjectSettings

if TYPE_CHECKING:
    from deploy.local.stack import Stack
    from shared.objects import Objects

#: Of a store that nobody has started, for services of which nothing large is asked: port 9 is `discard`.
AWAY: dict[str, Any] = {
    "objects_url": "http://127.0.0.1:9",
    "objects_access_key": Secret("nobody"),
    "objects_secret_key": Secret("knows"),
}


def as_config(settings: ObjectSettings) -> dict[str, Any]:
    """The fields of a service's configuration by which it reaches this store."""
    return {
        "objects_url": settings.url,
        "objects_public_url": settings.public_url,
        "objects_region": settings.region,
        "objects_bucket": settings.bucket,
        "objects_access_key": settings.access_key,
        "objects_secret_key": settings.secret_key,
    }


def settings_of(stack: Stack) -> ObjectSettings:
    """How the stack's object store is reached by whoever runs the stack."""
    return ObjectSettings(
        url=stack.layout.objects_url,
        public_url=stack.layout.objects_url,
        region="us-east-1",
        bucket="penstock",
        access_key=Secret(OPERATOR),
        secret_key=Secret(stack.layout.password("objects", OPERATOR)),
    )


async def keys_in(objects: Objects) -> list[str]:
    """The keys of all that is there."""
    answer = await objects._asking.list_objects_v2(Bucket=objects._bucket)
    return sorted(each["Key"] for each in answer.get("Contents", ()))


async def unfinished_in(objects: Objects) -> list[dict[str, str]]:
    """What was begun in parts and never ended."""
    answer = await objects._asking.list_multipart_uploads(Bucket=objects._bucket)
    return [{"Key": each["Key"], "UploadId": each["UploadId"]} for each in answer.get("Uploads", ())]


async def empty(objects: Objects) -> None:
    """Deletes all that is there."""
    for key in await keys_in(objects):
        await objects.delete(key)
    for each in await unfinished_in(objects):
        await objects._asking.abort_multipart_upload(Bucket=objects._bucket, **each)
