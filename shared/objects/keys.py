"""Where things lie in the bucket, and for how long: each kind under a prefix of its own, then its tenant's."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

_PARAMS = "params/"
_INCOMING = "incoming/"
_UPLOADS = "uploads/"
_RESULTS = "results/"
_CACHE = "cache/"
#: What history puts there, and removes when it has had its tenant's time.
ARCHIVE = "archive/"
#: What history puts there of a tenant that is exported, and of what was erased.
EXPORTS = "exports/"
ERASURES = "erasures/"
#: What intake puts there, and what upstream does.
OF_INTAKE = (_PARAMS, _INCOMING, _UPLOADS)
OF_UPSTREAM = (_RESULTS, _CACHE)

#: After so many days the store removes what lies under a prefix. Params live as long as a job can, and a day more. An
#: upload may be named for 7 days from its completion, by jobs that live for 7 days. Results go with history. An answer
#: serves again for a day at most; what lies there longer was left behind. Erasures are remembered for longer than any
#: backup is kept.
LIFETIME_DAYS: Mapping[str, int] = MappingProxyType(
    {_CACHE: 2, _INCOMING: 1, _PARAMS: 8, _UPLOADS: 15, _RESULTS: 90, EXPORTS: 7, ERASURES: 400}
)
#: After so many days the store removes the parts of an upload that was never completed.
UNFINISHED_DAYS = 1


def params_key(tenant: str, sha256: bytes) -> str:
    """Of params by the digest of their bytes, so that the same params lie there once."""
    return f"{_PARAMS}{tenant}/{sha256.hex()}"


def incoming_key(tenant: str, upload_id: str) -> str:
    """Of an upload's bytes until they are checked; whoever has the link may still write them."""
    return f"{_INCOMING}{tenant}/{upload_id}"


def upload_key(tenant: str, upload_id: str) -> str:
    """Of an upload's bytes from then on."""
    return f"{_UPLOADS}{tenant}/{upload_id}"


def result_key(tenant: str, job_id: str, attempt: int) -> str:
    """Of what one attempt was answered."""
    return f"{_RESULTS}{tenant}/{job_id}/{attempt}"


def export_key(tenant: str, operation_id: str) -> str:
    """Of what an export of a tenant's data came to."""
    return f"{EXPORTS}{tenant}/{operation_id}.ndjson.gz"


def export_part_key(tenant: str, operation_id: str, number: int) -> str:
    """Of a part of it, while it is at work."""
    return f"{EXPORTS}{tenant}/{operation_id}/{number:06d}"


def cache_key(tenant: str, digest: str, name: str) -> str:
    """Of the body of an answer that may serve again; each that is kept has a name of its own."""
    return f"{_CACHE}{tenant}/{digest}/{name}"


def archive_key(tenant: str, day: date, name: str) -> str:
    """Of what is archived of a tenant's jobs that ended on a day; an empty name is what all of that begins with."""
    return f"{ARCHIVE}{tenant}/{day:%Y/%m/%d}/{name}"
