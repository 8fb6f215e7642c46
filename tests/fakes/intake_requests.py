"""A catalogue with one upstream, and requests to it that are good."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from penstock.jobs.v1 import jobs_pb2
from penstock.upstream.v1 import upstream_pb2

from services.intake.catalogue import ConnectionUse, Method, Upstream
from services.intake.params import ParamsSchema
from shared import ids
from shared.addresses import AddressGuard
from shared.formats import formats

GUARD = AddressGuard()
#: Like that of the http connector, and with one keyword of each kind that params are judged by.
PARAMS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["url"],
    "additionalProperties": False,
    "properties": {
        "url": {"type": "string", "format": "public-url", "maxLength": 2048},
        "headers": {
            "type": "object",
            "propertyNames": {"format": "callable-header"},
            "additionalProperties": {"type": "string", "format": "header-value"},
            "maxProperties": 3,
        },
        "query": {"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "number"}]}},
        "json": {},
        "text": {"type": "string", "minLength": 2, "maxLength": 5},
        "timeoutS": {"type": "number", "exclusiveMinimum": 0, "maximum": 60},
        "mode": {"enum": ["fast", "slow"]},
        "code": {"type": "string", "pattern": "^[a-z]+$"},
        "version": {"const": 2},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3, "uniqueItems": True},
        "page": {"type": "integer", "minimum": 1, "exclusiveMaximum": 100, "multipleOf": 2},
        "never": False,
    },
    "not": {"required": ["json", "text"]},
}
HTTP_GET = Method(
    name="http.get",
    kind="read",
    idempotent=True,
    timeout=timedelta(seconds=20),
    schema=ParamsSchema(PARAMS_SCHEMA, formats=formats(GUARD)),
)
#: Sends an upload.
UPLOAD_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "additionalProperties": False,
    "properties": {
        "file": {"type": "string", "format": "upload-id"},
        "thumbnail": {"type": "string", "format": "upload-id"},
        "title": {"type": "string"},
    },
}
PHOTOS_UPLOAD = Method(
    name="photos.upload",
    kind="upload",
    idempotent=False,
    timeout=timedelta(seconds=60),
    schema=ParamsSchema(UPLOAD_SCHEMA, formats=formats(GUARD)),
    upload_params=("file", "thumbnail"),
)
UPSTREAMS = {
    "http": Upstream(
        name="http", methods={"http.get": HTTP_GET}, lane_param="url", connection_use=ConnectionUse.OPTIONAL
    ),
    "photos": Upstream(name="photos", methods={"photos.upload": PHOTOS_UPLOAD}),
    "empty": Upstream(name="empty", methods={}),
}


def aged_job_id(age: timedelta) -> str:
    """A job id that was made so long ago."""
    milliseconds = int((datetime.now(UTC) - age).timestamp() * 1000)
    return f"http-{uuid.UUID(int=(milliseconds << 80) | (ids.uuid7().int & ((1 << 80) - 1)))}"


def request(**changes: Any) -> jobs_pb2.SubmitJobRequest:
    """A request that is good, with these fields changed."""
    fields: dict[str, Any] = {
        "upstream": "http",
        "method": "http.get",
        "params": {"url": "https://example.com/x"},
    } | changes
    return jobs_pb2.SubmitJobRequest(**fields)


def catalogue_page() -> upstream_pb2.ListUpstreamsResponse:
    """The same catalogue, as the upstream service answers with it."""
    method = upstream_pb2.Method(name="http.get", kind=upstream_pb2.Method.READ, idempotent=True)
    method.timeout.FromTimedelta(HTTP_GET.timeout)
    method.params_schema.update(PARAMS_SCHEMA)
    upload = upstream_pb2.Method(
        name="photos.upload", kind=upstream_pb2.Method.UPLOAD, upload_params=PHOTOS_UPLOAD.upload_params
    )
    upload.timeout.FromTimedelta(PHOTOS_UPLOAD.timeout)
    upload.params_schema.update(UPLOAD_SCHEMA)
    return upstream_pb2.ListUpstreamsResponse(
        upstreams=[
            upstream_pb2.Upstream(
                name="http", methods=[method], lane_param="url", connection_use=upstream_pb2.Upstream.OPTIONAL
            ),
            upstream_pb2.Upstream(name="photos", methods=[upload]),
            upstream_pb2.Upstream(name="empty"),
        ]
    )
