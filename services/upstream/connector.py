"""What an upstream must bring: data, and the little code that is peculiar to it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import timedelta

    from services.upstream.contents import ResultPlace, Upload
    from services.upstream.credentials import Credential
    from services.upstream.domain import Method, Outcome, Upstream


#: Of the keys that are made of jobs' ids; never changed, or a job under way would be known by another one.
_KEYS = uuid.UUID("a8a2a1e0-3a4f-5d8b-9c1e-7d0c2f6b5a41")


@dataclass(slots=True)
class Progress:
    """How far a call has come; it outlives the exchange that was broken off."""

    #: Any of it may have reached the upstream.
    sent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequest:
    """One call to make.

    Args:
        job_id: For whom; never sent to the upstream as it is.
        tenant: Whose job it is.
        method: What to call.
        params: With what; they keep to the method's schema.
        timeout: How long the whole call may take.
        result: Where its answer goes if it is too large to travel in messages; the HTTP client sees to that.
        credential: What to call with, where the job names a connection.
        uploads: What the params name of uploads, by their ids.
        progress: Where the connector notes how far the call has come: whoever breaks it off goes by that.
    """

    job_id: str
    tenant: str
    method: Method
    params: Mapping[str, Any]
    timeout: timedelta
    result: ResultPlace
    credential: Credential | None = None
    uploads: Mapping[str, Upload] = field(default_factory=dict[str, "Upload"])
    progress: Progress = field(default_factory=Progress)

    @property
    def idempotency_key(self) -> str:
        """By which an upstream may know the call when it comes again: a UUID, the same for every attempt of the job."""
        return str(uuid.uuid5(_KEYS, self.job_id))


class Connector(Protocol):
    """Speaks to one upstream."""

    @property
    def upstream(self) -> Upstream:
        """What it offers."""
        ...

    @property
    def targets(self) -> Collection[str]:
        """The names of what it calls, where an operator may have that called at another URL."""
        ...

    async def call(self, request: CallRequest) -> Outcome:
        """Makes one call, and ends it within the request's timeout, or the params' own where the method has one.

        What goes wrong at the upstream or on the way to it is a `Failure`; what is raised is a fault of the connector.
        A call may be canceled at any time, and lets go of its connection then.
        """
        ...
