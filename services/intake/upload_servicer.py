"""What intake answers of uploads: protos to domain and back, and what a request must be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from google.protobuf import empty_pb2
from penstock.jobs.v1 import uploads_pb2, uploads_pb2_grpc

from services.intake.canonical import shortened
from services.intake.domain import Content
from services.intake.uploads import MAX_UPLOAD_BYTES
from shared import ids
from shared.errors import FieldViolation, InvalidArgument, TooLarge
from shared.media_types import UNTYPED
from shared.permissions import Scope
from shared.rpc import call as current_call

if TYPE_CHECKING:
    import grpc

    from services.intake.uploads import Sending, Upload, Uploads

_MAX_CONTENT_TYPE_CHARACTERS = 255
_MAX_SHOWN_CHARACTERS = 80
_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
_NAME = r"[!#$%&'+.^_`|~0-9A-Za-z-]+"  # RFC 9110, 5.6.2, without `*`, which stands for any type
_QUOTED = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e]|\\[\t \x21-\x7e])*"'  # RFC 9110, 5.6.4, of ASCII alone
#: RFC 9110, 8.3.1.
_CONTENT_TYPE = re.compile(rf"{_NAME}/{_NAME}(?:[ \t]*;[ \t]*{_NAME}=(?:{_NAME}|{_QUOTED}))*")


class UploadServicer(uploads_pb2_grpc.UploadServiceServicer):
    """Answers `penstock.jobs.v1.UploadService`.

    Args:
        uploads: Knows them.
    """

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    async def CreateUpload(  # noqa: N802  gRPC's name
        self, request: uploads_pb2.CreateUploadRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> uploads_pb2.Upload:
        """Says where the bytes of a new upload go."""
        del context
        upload, sending = await self._uploads.create(current_call.current_tenant(), read_content(request))
        return _upload(upload, sending)

    async def GetUpload(  # noqa: N802  gRPC's name
        self, request: uploads_pb2.GetUploadRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> uploads_pb2.Upload:
        """Answers with an upload; who may only read is told no link that writes."""
        del context
        tenant = current_call.current_tenant()
        may_send = Scope.JOBS_WRITE in current_call.current_principal().scopes
        upload, sending = await self._uploads.get(tenant, _id(request.upload_id), to_send=may_send)
        return _upload(upload, sending)

    async def CompleteUpload(  # noqa: N802  gRPC's name
        self, request: uploads_pb2.CompleteUploadRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> uploads_pb2.Upload:
        """Checks the bytes, and makes the upload READY."""
        del context
        return _upload(await self._uploads.complete(current_call.current_tenant(), _id(request.upload_id)))

    async def DeleteUpload(  # noqa: N802  gRPC's name
        self, request: uploads_pb2.DeleteUploadRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> empty_pb2.Empty:
        """Deletes an upload."""
        del context
        await self._uploads.delete(current_call.current_tenant(), _id(request.upload_id))
        return empty_pb2.Empty()


def read_content(request: uploads_pb2.CreateUploadRequest) -> Content:
    """What the request tells of the bytes that will come.

    Raises:
        InvalidArgument: It names every fault.
        TooLarge: The same, where they are too many.
    """
    content_type = request.content_type or UNTYPED
    faults: list[FieldViolation] = []
    if not 1 <= request.size <= MAX_UPLOAD_BYTES:
        faults.append(FieldViolation("size", f"is {request.size}; it must be 1 to {MAX_UPLOAD_BYTES} bytes"))
    if _SHA256.fullmatch(request.sha256) is None:
        shown = shortened(request.sha256, _MAX_SHOWN_CHARACTERS)
        faults.append(FieldViolation("sha256", f"is {shown!r}; send the SHA-256 of the bytes, 64 hexadecimal digits"))
    if len(content_type) > _MAX_CONTENT_TYPE_CHARACTERS or _CONTENT_TYPE.fullmatch(content_type) is None:
        shown = shortened(content_type, _MAX_SHOWN_CHARACTERS)
        faults.append(
            FieldViolation(
                "contentType",
                f"is {shown!r}; send a type such as image/png, of at most {_MAX_CONTENT_TYPE_CHARACTERS} characters",
            )
        )
    if request.size > MAX_UPLOAD_BYTES:
        raise TooLarge(InvalidArgument.of(faults).message, faults, metadata={"limit_bytes": str(MAX_UPLOAD_BYTES)})
    if faults:
        raise InvalidArgument.of(faults)
    return Content(size=request.size, sha256=bytes.fromhex(request.sha256), content_type=content_type)


def _id(text: str) -> str:
    if not ids.is_upload_id(text):
        shown = shortened(text, _MAX_SHOWN_CHARACTERS)
        raise InvalidArgument.field("uploadId", f"is {shown!r}, which is no id of an upload; send one as it was told")
    return text


def _upload(upload: Upload, sending: Sending | None = None) -> uploads_pb2.Upload:
    message = uploads_pb2.Upload(
        id=upload.id,
        state=uploads_pb2.Upload.READY if upload.ready else uploads_pb2.Upload.PENDING,
        content_type=upload.content.content_type,
        size=upload.content.size,
        sha256=upload.content.sha256.hex(),
    )
    message.created_at.FromDatetime(upload.created_at)
    message.expires_at.FromDatetime(upload.expires_at)
    if sending is not None:
        message.put.url = sending.put.url
        message.put.headers.update(sending.put.headers)
        message.put.expires_at.FromDatetime(sending.expires_at)
    return message
