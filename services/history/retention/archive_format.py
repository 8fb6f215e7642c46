"""How an archive is written: parts, which are jobs as NDJSON under gzip, and the manifest of a tenant's day.

A line is a job as the API answers it in the view FULL, in JSON, with its result where that lies in the job itself; of
one that lay by itself in the object store, over 256 KiB, the line tells its type, size, status and headers. A part's
name ends with the beginning of its digest: the same name is the same bytes, whoever has written it, however often.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

from google.protobuf import json_format

from services.history.jobs.messages import full

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from services.history.jobs.domain import Record

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
PART_TYPE = "application/gzip"
MANIFEST_TYPE = "application/json"
#: Of a manifest: about 200 bytes a part.
MAX_MANIFEST_BYTES = 64 * 1024**2
_DIGEST_CHARACTERS = 12
_SUFFIX = ".ndjson.gz"


class ArchiveFaultError(Exception):
    """A part or a manifest is not what was archived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part, as the manifest tells of it."""

    name: str
    #: Lines.
    jobs: int
    #: As it lies there, compressed.
    bytes: int
    #: Of those, in hexadecimal.
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is archived of the jobs of a tenant that ended on one day, in UTC."""

    tenant: str
    day: date
    parts: Sequence[Part]

    def encode(self) -> bytes:
        """As it is put in the object store."""
        told: dict[str, Any] = {
            "formatVersion": FORMAT_VERSION,
            "tenant": self.tenant,
            "day": self.day.isoformat(),
            "jobs": sum(part.jobs for part in self.parts),
            "bytes": sum(part.bytes for part in self.parts),
            "parts": [asdict(part) for part in self.parts],
        }
        told["sha256"] = _digest_of(told)
        return json.dumps(told, indent=1).encode()

    @classmethod
    def decode(cls, text: bytes, *, tenant: str, day: date) -> Manifest:
        """The manifest of a tenant's day, as it was put.

        Raises:
            ArchiveFaultError: It is another one's, of another format, or not as it was written.
        """
        try:
            told = cast("dict[str, Any]", json.loads(text))
            if told["formatVersion"] != FORMAT_VERSION:
                raise ArchiveFaultError(f"it has the format {told['formatVersion']!r}; this reads {FORMAT_VERSION}")
            if told.pop("sha256") != _digest_of(told):
                raise ArchiveFaultError("it is not as it was written: its checksum is another one")
            if (told["tenant"], told["day"]) != (tenant, day.isoformat()):
                raise ArchiveFaultError(f"it is of the tenant {told['tenant']!r} and of {told['day']}")
            return cls(tenant=tenant, day=day, parts=[Part(**part) for part in told["parts"]])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ArchiveFaultError(f"it is no manifest: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A part with its bytes."""

    part: Part
    body: bytes


def line_of(record: Record) -> str:
    """A job as a line of a part, without what ends it."""
    return json_format.MessageToJson(full(record), indent=None, ensure_ascii=False)


def pack(part_id: str, lines: Sequence[str]) -> Packed:
    """A part of such lines; of the same lines, the same bytes."""
    body = gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0)
    sha256 = hashlib.sha256(body).hexdigest()
    name = f"{part_id}-{sha256[:_DIGEST_CHARACTERS]}{_SUFFIX}"
    return Packed(part=Part(name=name, jobs=len(lines), bytes=len(body), sha256=sha256), body=body)


def unpack(part: Part, body: bytes) -> list[str]:
    """The lines of a part.

    Raises:
        ArchiveFaultError: The bytes are not those that were archived.
    """
    if len(body) != part.bytes or hashlib.sha256(body).hexdigest() != part.sha256:
        raise ArchiveFaultError("it is not as it was written: its checksum is another one")
    try:
        lines = gzip.decompress(body).decode().split("\n")[:-1]
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ArchiveFaultError(f"it cannot be unpacked: {error}") from error
    if len(lines) != part.jobs:
        raise ArchiveFaultError(f"it has {len(lines)} jobs, where the manifest has {part.jobs}")
    return lines


def _digest_of(told: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
