"""A job's result, and what a job comes to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock_sdk.errors import JobFailed
from penstock_sdk.reasons import JOB_FAILURES

if TYPE_CHECKING:
    from penstock_sdk.models import Job


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Result:
    """A job's result: the exact bytes of what the upstream answered.

    Args:
        content: The bytes, without a content coding.
        content_type: The upstream's `Content-Type`; empty where it had none.
        etag: Names these bytes; empty where they have no name.
    """

    content: bytes
    content_type: str = ""
    etag: str = ""

    def __repr__(self) -> str:
        return f"Result({len(self.content)} bytes of {self.content_type or 'no type'}, etag={self.etag!r})"

    def json(self) -> Any:
        """The bytes read as JSON.

        Raises:
            ValueError: They are none.
        """
        return json.loads(self.content)


def failure_of(job: Job) -> JobFailed | None:
    """The error that a job has ended with, by its reason; None where it has succeeded, or has not ended."""
    if job.finished_at is None or job.state == "SUCCEEDED":
        return None
    return JOB_FAILURES.get(job.error.reason if job.error else "", JobFailed)(job)
