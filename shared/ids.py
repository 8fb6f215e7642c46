"""Identifiers: UUIDv7 (RFC 9562), so that ids sort by the time they were made."""

from __future__ import annotations

import hashlib
import os
import re
import time
import uuid
from datetime import UTC, datetime

#: A lower-case slug, at most 40 characters.
SLUG = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_SLUG_MAX_CHARACTERS = 40
_UUID_CHARACTERS = 36
_UUID7 = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_JOB_ID = re.compile(rf"(?P<upstream>{SLUG.pattern})-{_UUID7}")
_KEY_ID = re.compile(rf"key_{_UUID7}")
_BATCH_ID = re.compile(rf"batch_(?P<uuid>{_UUID7})")
_CONNECTION_ID = re.compile(rf"con_{_UUID7}")
_ENDPOINT_ID = re.compile(rf"ep_{_UUID7}")
_DELIVERY_ID = re.compile(r"dlv_[0-9a-f]{32}")
_REPLAY_ID = re.compile(rf"rpl_{_UUID7}")
_OPERATION_ID = re.compile(rf"op_{_UUID7}")
_UPLOAD_ID = re.compile(rf"upl_{_UUID7}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def uuid7() -> uuid.UUID:
    """A new UUIDv7: 48 bits of Unix milliseconds, 74 random bits (RFC 9562, 5.7)."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10))
    value = (value & ~(0xF << 76)) | (7 << 76)  # version 7
    value = (value & ~(0x3 << 62)) | (2 << 62)  # variant of RFC 9562
    return uuid.UUID(int=value)


def made_at(text: str) -> datetime:
    """When an id was made, to the millisecond; of a job in a batch, when the batch's was.

    Args:
        text: Any id that ends with a UUIDv7.

    Raises:
        ValueError: It does not.
    """
    return datetime.fromtimestamp((uuid.UUID(text[-_UUID_CHARACTERS:]).int >> 80) / 1000, UTC)


def new_job_id(upstream: str) -> str:
    """A new job id, from which its upstream can be read off."""
    return f"{upstream}-{uuid7()}"


def upstream_of(job_id: str) -> str | None:
    """The upstream of a job id, or None where the text is no job id."""
    match = _JOB_ID.fullmatch(job_id)
    return match["upstream"] if match else None


def new_batch_id() -> str:
    """A new id of a batch."""
    return f"batch_{uuid7()}"


def is_batch_id(text: str) -> bool:
    """Whether the text is an id of a batch."""
    return _BATCH_ID.fullmatch(text) is not None


def kind_of(text: str) -> str:
    """What an id is of, as logs and errors name it: `job`, `batch`, `connection` or `endpoint`; a name is a `tenant`'s.

    What is none of them was to be a job's.
    """
    for kind, pattern in (("batch", _BATCH_ID), ("connection", _CONNECTION_ID), ("endpoint", _ENDPOINT_ID)):
        if pattern.fullmatch(text):
            return kind
    return "tenant" if is_slug(text) and upstream_of(text) is None else "job"


def job_id_in_batch(batch_id: str, index: int, upstream: str) -> str:
    """The id of a batch's job: the same for the same place, so that a batch that is submitted again is no other one.

    It has the batch's time, then its index, by which the ids of a batch sort (RFC 9562, 6.2, method 1), then 62 bits of
    a digest, as hard to guess as the batch's own id.

    Args:
        batch_id: Of the batch.
        index: The job's, 0 to 4095.
        upstream: The job's.

    Raises:
        ValueError: The batch's id is none, or the index does not fit.
    """
    match = _BATCH_ID.fullmatch(batch_id)
    if match is None or not 0 <= index < 1 << 12:
        raise ValueError(f"there is no job {index} in a batch {batch_id!r}")
    batch = uuid.UUID(match["uuid"])
    digest = hashlib.sha256(batch.bytes + index.to_bytes(2, "big")).digest()
    value = (batch.int >> 80 << 80) | (7 << 76) | (index << 64) | (2 << 62) | (int.from_bytes(digest[:8], "big") >> 2)
    return f"{upstream}-{uuid.UUID(int=value)}"


def place_in_batch(job_id: str) -> int:
    """The index of a job in its batch, read off its id."""
    return uuid.UUID(job_id[-_UUID_CHARACTERS:]).int >> 64 & 0xFFF


def new_connection_id() -> str:
    """A new id of a connection."""
    return f"con_{uuid7()}"


def is_connection_id(text: str) -> bool:
    """Whether the text is an id of a connection."""
    return _CONNECTION_ID.fullmatch(text) is not None


def new_data_key_id() -> str:
    """A new id of a data key."""
    return f"dk_{uuid7()}"


def new_endpoint_id() -> str:
    """A new id of an endpoint."""
    return f"ep_{uuid7()}"


def is_endpoint_id(text: str) -> bool:
    """Whether the text is an id of an endpoint."""
    return _ENDPOINT_ID.fullmatch(text) is not None


def is_delivery_id(text: str) -> bool:
    """Whether the text is an id of a delivery."""
    return _DELIVERY_ID.fullmatch(text) is not None


def new_message_id() -> str:
    """A new id of a message that tells of several events."""
    return f"msg_{uuid7()}"


def new_replay_id() -> str:
    """A new id of a replay of deliveries."""
    return f"rpl_{uuid7()}"


def is_replay_id(text: str) -> bool:
    """Whether the text is an id of a replay of deliveries."""
    return _REPLAY_ID.fullmatch(text) is not None


def new_operation_id() -> str:
    """A new id of an operation."""
    return f"op_{uuid7()}"


def is_operation_id(text: str) -> bool:
    """Whether the text is an id of an operation."""
    return _OPERATION_ID.fullmatch(text) is not None


def new_upload_id() -> str:
    """A new id of an upload."""
    return f"upl_{uuid7()}"


def is_upload_id(text: str) -> bool:
    """Whether the text is an id of an upload."""
    return _UPLOAD_ID.fullmatch(text) is not None


def is_slug(text: str) -> bool:
    """Whether the text can name an upstream or a tenant."""
    return len(text) <= _SLUG_MAX_CHARACTERS and SLUG.fullmatch(text) is not None


def new_key_id() -> str:
    """A new id of an API key."""
    return f"key_{uuid7()}"


def is_key_id(text: str) -> bool:
    """Whether the text is an id of an API key."""
    return _KEY_ID.fullmatch(text) is not None


def new_request_id() -> str:
    """A new request id."""
    return str(uuid7())


def is_request_id(text: str) -> bool:
    """Whether a client's request id is well formed: 1 to 128 of letters, digits and `._:-`."""
    return _REQUEST_ID.fullmatch(text) is not None


def new_audit_id() -> str:
    """A new id of an audit entry."""
    return f"audit_{uuid7()}"


def new_error_id() -> str:
    """A new id, under which a fault is logged in full and told to the caller."""
    return f"err_{uuid7()}"
