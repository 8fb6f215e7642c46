"""What a leased job asks to have called: its params, uploads and credential, brought together and judged."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from services.upstream.connector import CallRequest
from services.upstream.contents import ContentGoneError
from services.upstream.domain import ConnectionUse, Failure, Reason
from shared.errors import (
    ConnectionNeedsReauth,
    ConnectionNotFound,
    Internal,
    InvalidArgument,
    PenstockError,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from penstock.scheduler.v1 import scheduler_pb2

    from services.upstream.catalogue import Catalogue
    from services.upstream.connections import Connections
    from services.upstream.connector import Progress
    from services.upstream.contents import Contents, Upload
    from services.upstream.credentials import Credential
    from services.upstream.domain import Method, Upstream

#: Whether the jobs of a connection that has to be authorized anew wait, in what auth says of it.
_JOBS_WAIT = "jobs_wait"


class Requests:
    """Makes requests of the leased jobs of one upstream.

    Args:
        upstream: Whose.
        catalogue: Judges the params.
        contents: Has what is too large to travel in messages.
        connections: Has what to call with.
    """

    def __init__(
        self, upstream: Upstream, *, catalogue: Catalogue, contents: Contents, connections: Connections
    ) -> None:
        self._upstream = upstream
        self._catalogue = catalogue
        self._contents = contents
        self._connections = connections

    async def request(self, call: scheduler_pb2.Call, progress: Progress) -> CallRequest | Failure:
        """The call to make, or why it cannot be made at all; intake judged it, perhaps by another catalogue.

        Raises:
            Unavailable: Its content cannot be had now. Nothing is on disk yet that counts the attempt: once the lease
                has run out, the job waits for its turn again.
        """
        upstream = self._upstream
        method = upstream.method(call.submission.job.method)
        if method is None:
            return _refused(f"the upstream {upstream.name} has no method {call.submission.job.method!r} any more")
        content = await self._content(call, method)
        if isinstance(content, Failure):
            return content
        credential = await self._credential(call.tenant, call.submission.job.connection_id)
        if isinstance(credential, Failure):
            return credential
        params, uploads = content
        method = replace(method, idempotent=call.submission.idempotent)  # as accepted: the scheduler goes by that too
        asked = call.submission.attempt_timeout.ToTimedelta()
        return CallRequest(
            job_id=call.job_id,
            tenant=call.tenant,
            method=method,
            params=params,
            timeout=asked or method.timeout,
            result=self._contents.result_place(call),
            credential=credential,
            uploads=uploads,
            progress=progress,
        )

    async def instead_of(self, refused: Credential, call: scheduler_pb2.Call, failure: Failure) -> Credential | Failure:
        """What to call with instead of a credential that the upstream has refused, or how the call came out then.

        An upstream that has a code of its own for that leaves no doubt.

        Args:
            refused: What it was called with.
            call: The lease.
            failure: How it came out by itself.
        """
        try:
            other = await self._connections.refused(
                call.tenant, refused, failure.message, certain=bool(failure.upstream_code)
            )
        except (ConnectionNotFound, ConnectionNeedsReauth) as error:
            without = _without_credential(error)
        except PenstockError as error:  # the call went out, and counts
            without = replace(_without_credential(error), uncounted=False)
        else:
            return other if other.version != refused.version else failure
        return replace(
            failure,
            reason=without.reason,
            message=f"{failure.message}; {without.message}",
            retryable=without.retryable,
            uncounted=without.uncounted,
        )

    async def _content(
        self, call: scheduler_pb2.Call, method: Method
    ) -> tuple[Mapping[str, Any], Mapping[str, Upload]] | Failure:
        """The params and the uploads that they name, or why the call cannot be made with them."""
        try:
            params = json.loads(await self._contents.params(call) or b"{}")
            uploads = await self._contents.uploads(call)
        except ValueError:
            return _refused("params are not JSON")
        except ContentGoneError as error:
            return Failure(reason=Reason.CONTENT_GONE, message=str(error))
        except Unavailable as error:
            if not call.submission.idempotent:
                raise
            # the attempt was counted with its lease, and ends sooner so than the lease does
            return Failure(reason=Reason.UNAVAILABLE, message=error.message, retryable=True)
        fault = self._fault(method, params, uploads)
        return _refused(fault) if fault is not None else (params, uploads)

    async def _credential(self, tenant: str, connection_id: str) -> Credential | Failure | None:
        """What to call with: None without a connection; or why the call cannot be made."""
        use = self._upstream.connection_use
        if not connection_id:
            missing = f"the upstream {self._upstream.name} is called with a connection, and the job names none"
            return _refused(missing) if use is ConnectionUse.REQUIRED else None
        if use is ConnectionUse.NONE:
            return _refused(f"the upstream {self._upstream.name} is called without a connection, and the job names one")
        try:
            return await self._connections.credential(tenant, connection_id, upstream=self._upstream.name)
        except InvalidArgument as error:
            return _refused(error.message)
        except (ConnectionNotFound, ConnectionNeedsReauth, Unavailable, Internal) as error:
            return _without_credential(error)

    def _fault(self, method: Method, params: Any, uploads: Container[str]) -> str | None:
        """What is wrong with the params, or None."""
        fault = self._catalogue.fault(self._upstream.name, method.name, params)
        if fault is not None:
            return fault
        named = [params[name] for name in method.upload_params if name in params]
        missing = next((upload for upload in named if upload not in uploads), None)
        return f"the upload {missing} was not attached to the job; submit it again" if missing else None


def _refused(message: str) -> Failure:
    return Failure(reason=Reason.INVALID_ARGUMENT, message=message)


def _without_credential(error: PenstockError) -> Failure:
    """The failure of a call for which there is no credential."""
    match error:
        case ConnectionNotFound():
            return Failure(reason=Reason.CONNECTION_NOT_FOUND, message=error.message)
        case ConnectionNeedsReauth():
            waits = error.metadata.get(_JOBS_WAIT) == "true"
            return Failure(
                reason=Reason.CONNECTION_NEEDS_REAUTH, message=error.message, retryable=waits, uncounted=waits
            )
        case Internal():  # a fault of ours that may stay: it costs attempts, so that it comes to an end
            return Failure(reason=Reason.INTERNAL, message=error.message, retryable=True)
        case _:
            return Failure(reason=Reason.UNAVAILABLE, message=error.message, retryable=True, uncounted=True)
