# Made of _async/resources.py by `make sdks`; do not edit.
"""A class for each noun of the API, with a method for each of its calls.

Made by `make sdks` of the API's document; do not edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock_sdk import operations
from penstock_sdk.models import (
    AuditEntry,
    AuthorizeConnectionResponse,
    Batch,
    CallbackSecret,
    Connection,
    CreateEndpointResponse,
    CreateKeyResponse,
    DataKey,
    Delivery,
    EnableEndpointResponse,
    Endpoint,
    EndpointSecret,
    EndpointStats,
    EventType,
    InvalidateCacheResponse,
    Job,
    JobExplanation,
    Key,
    KeyUsage,
    ListTopCallersResponse,
    Operation,
    Provider,
    Queue,
    QueueSettings,
    Replay,
    Retention,
    RotateKeyResponse,
    Stats,
    Tenant,
    TestEndpointResponse,
    Upload,
    Upstream,
)
from penstock_sdk.operation import CallOptions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from penstock_sdk._sync.calls import Calls
    from penstock_sdk._sync.pages import Pages
    from penstock_sdk.models import (
        Batching,
        BreakerPolicy,
        ConnectionReauthPolicy,
        ConnectionState,
        CustomHeaders,
        DeliveryFilter,
        DeliveryRate,
        DeliveryRetry,
        DeliveryState,
        EndpointOrder,
        EventFilter,
        JobFilter,
        JobPriority,
        JobState,
        JobView,
        KeyRole,
        Limits,
        ListTopCallersRequestMeasure,
        StaticSecret,
        TenantState,
    )


class JobCalls:
    """JobService takes jobs in and tells how they stand.

    The base of `Jobs`, which has more.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def get(
        self,
        job_id: str,
        *,
        upstream: str | None = None,
        view: JobView | None = None,
        timeout_s: float | None = None,
    ) -> Job:
        """Answers with a job as it stands now.

        Takes a key with the scope `jobs:read`.

        Args:
            job_id: The job, as `<upstream>-<uuidv7>`.
            upstream: Where given (by the path), must be the job's own.
            view: BASIC unless told.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            JobNotFound: No such job, or it belongs to another tenant.
        """
        return self._calls.call(
            operations.GET_JOB,
            {"jobId": job_id, "upstream": upstream, "view": view},
            Job,
            CallOptions(timeout_s=timeout_s),
        )

    def list(
        self,
        *,
        page_size: int | None = None,
        upstream: str | None = None,
        connection_id: str | None = None,
        state: Sequence[JobState] | None = None,
        method: str | None = None,
        priority: JobPriority | None = None,
        batch_id: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        metadata: Sequence[str] | None = None,
        order_by: str | None = None,
        include_total_size: bool | None = None,
        timeout_s: float | None = None,
    ) -> Pages[Job]:
        """Answers with the tenant's jobs, newest first; those that were just accepted may take a moment to be listed.

        Takes a key with the scope `jobs:read`.

        Args:
            page_size: Default 50, at most 500.
            upstream: Of this upstream alone.
            connection_id: Called with this connection alone.
            state: Any of these.
            method: Of this method alone.
            priority: Priority orders one tenant's jobs, never one tenant over another.
            batch_id: Of this batch alone.
            created_after: At or after this time.
            created_before: Before this time.
            metadata: `key=value` each, all of which the job's metadata has; keys are those that the tenant's retention
                names as indexed.
            order_by: `createdAt desc` unless told, or `createdAt`: the oldest first (AIP-132).
            include_total_size: Whether the answer tells how many jobs match.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.
        """
        return self._calls.pages(
            operations.LIST_JOBS,
            {
                "pageSize": page_size,
                "upstream": upstream,
                "connectionId": connection_id,
                "state": state,
                "method": method,
                "priority": priority,
                "batchId": batch_id,
                "createdAfter": created_after,
                "createdBefore": created_before,
                "metadata": metadata,
                "orderBy": order_by,
                "includeTotalSize": include_total_size,
            },
            Job,
            items="jobs",
            options=CallOptions(timeout_s=timeout_s),
        )

    def explain(
        self,
        job_id: str,
        *,
        timeout_s: float | None = None,
    ) -> JobExplanation:
        """Says why a job waits: what holds it back, how many stand before it, and when it may have its turn.

        Takes a key with the scope `jobs:read`.

        Args:
            job_id: The job, as `<upstream>-<uuidv7>`.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            JobNotFound: No such job, or it belongs to another tenant.
        """
        return self._calls.call(
            operations.EXPLAIN_JOB, {"jobId": job_id}, JobExplanation, CallOptions(timeout_s=timeout_s)
        )

    def cancel(
        self,
        job_id: str,
        *,
        upstream: str | None = None,
        force: bool | None = None,
        timeout_s: float | None = None,
    ) -> Job:
        """Cancels a job that is queued or waits to be retried, and with `force` one that runs; canceling a canceled job
        answers with it. A canceled job never has a result, whatever becomes of a call that was under way.

        Takes a key with the scope `jobs:write`.

        Args:
            job_id: The job, as `<upstream>-<uuidv7>`.
            upstream: Where given (by the path), must be the job's own.
            force: Cancels the job also when it runs: its call is broken off, and may have taken effect at the upstream.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            JobFinished: The job has ended, so it can no longer be canceled.
            JobNotFound: No such job, or it belongs to another tenant.
            JobRunning: The job runs, so it can only be canceled with force.
        """
        return self._calls.call(
            operations.CANCEL_JOB,
            {"jobId": job_id, "upstream": upstream, "force": force},
            Job,
            CallOptions(timeout_s=timeout_s),
        )

    def retry(
        self,
        job_id: str,
        *,
        idempotency_key: str | None = None,
        timeout_s: float | None = None,
    ) -> Job:
        """Tries a job again that has ended: makes a new job of the same request, under the idempotency key that is
        given and no other, with `retryOf`; the old one stays as it is. What was asked for is known for 7 days.

        Takes a key with the scope `jobs:write`.

        Args:
            job_id: The job, as `<upstream>-<uuidv7>`.
            idempotency_key: Done once under this key, however often it is sent; unless given, one is made that holds
                over all tries.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            ConnectionNeedsReauth: The connection's credentials are refused, by its provider or by the upstream: it has
                to be authorized anew. Also a job's error.
            IdempotencyKeyInFlight: The first request with this idempotency key is still being accepted; try again
                shortly.
            IdempotencyKeyReused: The idempotency key was used within its window for another request.
            JobNotFinished: The job has not ended, so there is no result yet.
            JobNotFound: No such job, or it belongs to another tenant.
            QueueFull: The tenant, or all tenants together, have as many unfinished jobs as they may have; `Retry-After`
                goes by how fast jobs end.
            SubmissionGone: What the job asked for is known no more, so that it cannot be tried again: that is kept for
                7 days. Submit it anew.
        """
        return self._calls.call(
            operations.RETRY_JOB,
            {"jobId": job_id},
            Job,
            CallOptions(idempotency_key=idempotency_key, timeout_s=timeout_s),
        )

    def cancel_many(
        self,
        filter: JobFilter | Mapping[str, Any],
        *,
        force: bool | None = None,
        validate_only: bool | None = None,
        idempotency_key: str | None = None,
        timeout_s: float | None = None,
    ) -> Operation:
        """Cancels all of the tenant's jobs that match and have not ended, as an operation. What is submitted later is
        not of it. With `validateOnly` nothing is canceled: the operation that is answered with is done, has no name,
        and tells how many jobs match.

        Takes a key with the scope `jobs:write`.

        Args:
            filter: Its states are of those that have not ended: QUEUED, RETRYING and, with `force`, RUNNING; all of
                them where it gives none. At least one part must be given: `createdBefore` stands for everything until
                then.
            force: Cancels also the jobs that run: their calls are broken off, and may have taken effect at the
                upstream.
            validate_only: Counts, and changes nothing.
            idempotency_key: Done once under this key, however often it is sent; unless given, one is made that holds
                over all tries.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            IdempotencyKeyReused: The idempotency key was used within its window for another request.
        """
        return self._calls.call(
            operations.CANCEL_JOBS,
            {"filter": filter, "force": force, "validateOnly": validate_only},
            Operation,
            CallOptions(idempotency_key=idempotency_key, timeout_s=timeout_s),
        )

    def retry_many(
        self,
        filter: JobFilter | Mapping[str, Any],
        *,
        validate_only: bool | None = None,
        max_per_second: int | None = None,
        idempotency_key: str | None = None,
        timeout_s: float | None = None,
    ) -> Operation:
        """Tries all of the tenant's jobs again that match and have ended without success, as an operation: makes new
        jobs with `retryOf`. With `validateOnly` nothing is made, as with CancelJobs.

        Takes a key with the scope `jobs:write`.

        Args:
            filter: Its states are of those that ended without success: FAILED, EXPIRED, CANCELED; OUTCOME_UNKNOWN only
                where it names it, for those calls may have taken effect. FAILED where it gives none. At least one other
                part must be given.
            validate_only: Counts, and changes nothing.
            max_per_second: At most so many are made in a second: 1 to 1,000. Default 100.
            idempotency_key: Done once under this key, however often it is sent; unless given, one is made that holds
                over all tries.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            IdempotencyKeyReused: The idempotency key was used within its window for another request.
        """
        return self._calls.call(
            operations.RETRY_JOBS,
            {"filter": filter, "validateOnly": validate_only, "maxPerSecond": max_per_second},
            Operation,
            CallOptions(idempotency_key=idempotency_key, timeout_s=timeout_s),
        )


class BatchCalls:
    """JobService takes jobs in and tells how they stand.

    The base of `Batches`, which has more.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def get(
        self,
        batch_id: str,
        *,
        timeout_s: float | None = None,
    ) -> Batch:
        """Answers with a batch as it stands now: its counts by state, and its jobs.

        Takes a key with the scope `jobs:read`.

        Args:
            batch_id: The batch, as `batch_<uuidv7>`.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            BatchNotFound: No such batch, or it belongs to another tenant.
        """
        return self._calls.call(operations.GET_BATCH, {"batchId": batch_id}, Batch, CallOptions(timeout_s=timeout_s))

    def cancel(
        self,
        batch_id: str,
        *,
        force: bool | None = None,
        timeout_s: float | None = None,
    ) -> Batch:
        """Cancels the jobs of a batch that wait, and with `force` those that run; what has ended stays as it is.
        Answers with the batch as that leaves it.

        Takes a key with the scope `jobs:write`.

        Args:
            batch_id: The batch, as `batch_<uuidv7>`.
            force: Cancels also the jobs that run: their calls are broken off, and may have taken effect at the
                upstream.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            BatchNotFound: No such batch, or it belongs to another tenant.
        """
        return self._calls.call(
            operations.CANCEL_BATCH, {"batchId": batch_id, "force": force}, Batch, CallOptions(timeout_s=timeout_s)
        )


class UploadCalls:
    """UploadService takes in what is too large for params: create an upload, PUT its bytes to the link, complete it,
    and name it in the params of jobs. The bytes go straight to the object store.

    The base of `Uploads`, which has more.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def create(
        self,
        size: int,
        sha256: str,
        *,
        content_type: str | None = None,
        timeout_s: float | None = None,
    ) -> Upload:
        """Says where the bytes of a new upload go, by a signed link.

        Takes a key with the scope `jobs:write`.

        Args:
            size: Bytes, 1 to 104857600.
            sha256: SHA-256 of the bytes, 64 hexadecimal digits.
            content_type: Default `application/octet-stream`.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.
        """
        return self._calls.call(
            operations.CREATE_UPLOAD,
            {"size": size, "sha256": sha256, "contentType": content_type},
            Upload,
            CallOptions(timeout_s=timeout_s),
        )

    def get(
        self,
        upload_id: str,
        *,
        timeout_s: float | None = None,
    ) -> Upload:
        """Answers with an upload.

        Takes a key with the scope `jobs:read`.

        Args:
            upload_id: The upload, as `upl_<uuidv7>`.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            UploadNotFound: No such upload, or it belongs to another tenant, or its time is over.
        """
        return self._calls.call(
            operations.GET_UPLOAD, {"uploadId": upload_id}, Upload, CallOptions(timeout_s=timeout_s)
        )

    def complete(
        self,
        upload_id: str,
        *,
        timeout_s: float | None = None,
    ) -> Upload:
        """Checks that the bytes are there, with the size, type and SHA-256 that were told, and makes the upload READY:
        from now on jobs may name it, and nobody can change it. Completing a READY upload answers with it.

        Takes a key with the scope `jobs:write`.

        Args:
            upload_id: The upload, as `upl_<uuidv7>`.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            UploadIncomplete: The upload's bytes are not there yet, or are not those that were told.
            UploadNotFound: No such upload, or it belongs to another tenant, or its time is over.
        """
        return self._calls.call(
            operations.COMPLETE_UPLOAD, {"uploadId": upload_id}, Upload, CallOptions(timeout_s=timeout_s)
        )

    def delete(
        self,
        upload_id: str,
        *,
        timeout_s: float | None = None,
    ) -> None:
        """Deletes an upload. A job that names it and has not been called yet will fail.

        Takes a key with the scope `jobs:write`.

        Args:
            upload_id: The upload, as `upl_<uuidv7>`.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            UploadNotFound: No such upload, or it belongs to another tenant, or its time is over.
        """
        self._calls.call(
            operations.DELETE_UPLOAD, {"uploadId": upload_id}, type(None), CallOptions(timeout_s=timeout_s)
        )


class OperationCalls:
    """Operations are what takes longer than a call: jobs canceled or tried again in bulk, data exported or erased.

    The base of `Operations`, which has more.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def get(
        self,
        operation_id: str,
        *,
        timeout_s: float | None = None,
    ) -> Operation:
        """Answers with an operation as it stands now.

        Takes a key with the scope `jobs:read`.

        Args:
            operation_id: `op_<uuidv7>`.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            OperationNotFound: No such operation, or it belongs to another tenant.
        """
        return self._calls.call(
            operations.GET_OPERATION, {"operationId": operation_id}, Operation, CallOptions(timeout_s=timeout_s)
        )

    def list(
        self,
        *,
        filter: str | None = None,
        page_size: int | None = None,
        return_partial_success: bool | None = None,
        timeout_s: float | None = None,
    ) -> Pages[Operation]:
        """Answers with the tenant's operations, newest first.

        Takes a key with the scope `jobs:read`.

        Args:
            filter: Which operations.
            page_size: Default 50, at most 500.
            return_partial_success: Not offered; leave it out.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.
        """
        return self._calls.pages(
            operations.LIST_OPERATIONS,
            {"filter": filter, "pageSize": page_size, "returnPartialSuccess": return_partial_success},
            Operation,
            items="operations",
            options=CallOptions(timeout_s=timeout_s),
        )

    def wait_once(
        self,
        operation_id: str,
        *,
        timeout: timedelta | None = None,
        timeout_s: float | None = None,
    ) -> Operation:
        """Answers when the operation has ended, or as it stands when `timeout` is over.

        Takes a key with the scope `jobs:read`.

        Args:
            operation_id: `op_<uuidv7>`.
            timeout: Default 30 s, at most 60 s.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            OperationNotFound: No such operation, or it belongs to another tenant.
        """
        return self._calls.call(
            operations.WAIT_OPERATION,
            {"operationId": operation_id, "timeout": timeout},
            Operation,
            CallOptions(timeout_s=timeout_s),
        )

    def cancel(
        self,
        operation_id: str,
        *,
        timeout_s: float | None = None,
    ) -> None:
        """Asks for an operation's end; what it has done already stays done. An erasure can be canceled until its grace
        is over.

        Takes a key with the scope `jobs:write` or `data:write`.

        Args:
            operation_id: `op_<uuidv7>`.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            OperationNotFound: No such operation, or it belongs to another tenant.
        """
        self._calls.call(
            operations.CANCEL_OPERATION, {"operationId": operation_id}, type(None), CallOptions(timeout_s=timeout_s)
        )

    def delete(
        self,
        operation_id: str,
        *,
        timeout_s: float | None = None,
    ) -> None:
        """Forgets an operation that has ended.

        Takes a key with the scope `jobs:write` or `data:write`.

        Args:
            operation_id: `op_<uuidv7>`.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            OperationNotFinished: The operation has not ended; cancel it first, or wait for its end.
            OperationNotFound: No such operation, or it belongs to another tenant.
        """
        self._calls.call(
            operations.DELETE_OPERATION, {"operationId": operation_id}, type(None), CallOptions(timeout_s=timeout_s)
        )


class StatsCalls:
    """HistoryService answers for jobs long after they ended."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def get(
        self,
        *,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        interval: timedelta | None = None,
        upstream: str | None = None,
        method: str | None = None,
        connection_id: str | None = None,
        timeout_s: float | None = None,
    ) -> Stats:
        """Answers with counts and latencies of the tenant's jobs over time, up to 90 days back.

        Takes a key with the scope `jobs:read`.

        Args:
            start_time: From the bucket that holds this time on; 24 h before `endTime` unless told, at most 90 days
                before now.
            end_time: Up to the bucket that holds it; now unless told.
            interval: How long a bucket is: 1 minute (for ranges of the last 48 h), 1 hour or 1 day. Unless told, such
                that there are at most 100.
            upstream: Of this upstream alone.
            method: Of this method alone.
            connection_id: Called with this connection alone.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.
        """
        return self._calls.call(
            operations.GET_STATS,
            {
                "startTime": start_time,
                "endTime": end_time,
                "interval": interval,
                "upstream": upstream,
                "method": method,
                "connectionId": connection_id,
            },
            Stats,
            CallOptions(timeout_s=timeout_s),
        )


class Upstreams:
    """UpstreamService is the catalogue of upstreams and their methods."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def get(
        self,
        upstream: str,
        *,
        timeout_s: float | None = None,
    ) -> Upstream:
        """Answers with one upstream.

        Takes a key with the scope `upstreams:read`.

        Args:
            upstream: The upstream, such as `http` or `flickr`; ListUpstreams has them all.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            UpstreamNotFound: No such upstream.
        """
        return self._calls.call(
            operations.GET_UPSTREAM, {"upstream": upstream}, Upstream, CallOptions(timeout_s=timeout_s)
        )

    def list(
        self,
        *,
        page_size: int | None = None,
        timeout_s: float | None = None,
    ) -> Pages[Upstream]:
        """Answers with every upstream, in the order of their names.

        Takes a key with the scope `upstreams:read`.

        Args:
            page_size: Default 50, at most 500.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.
        """
        return self._calls.pages(
            operations.LIST_UPSTREAMS,
            {"pageSize": page_size},
            Upstream,
            items="upstreams",
            options=CallOptions(timeout_s=timeout_s),
        )


class Queues:
    """QueueService shows the queue of each upstream, and holds it back. A tenant sees and pauses what is its own; what
    crosses tenants needs the scope `operator`.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def get(
        self,
        upstream: str,
        *,
        tenant: str | None = None,
        lanes: int | None = None,
        timeout_s: float | None = None,
    ) -> Queue:
        """Answers with one queue and its deepest lanes.

        Takes a key with the scope `queues:read`.

        Args:
            upstream: The upstream, such as `http` or `flickr`; ListUpstreams has them all.
            tenant: Whose jobs are counted: the caller's where not given; `-` for all tenants', as operator.
            lanes: How many lanes at most. Default 10, at most 100.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            UpstreamNotFound: No such upstream.
        """
        return self._calls.call(
            operations.GET_QUEUE,
            {"upstream": upstream, "tenant": tenant, "lanes": lanes},
            Queue,
            CallOptions(timeout_s=timeout_s),
        )

    def list(
        self,
        *,
        page_size: int | None = None,
        tenant: str | None = None,
        timeout_s: float | None = None,
    ) -> Pages[Queue]:
        """Answers with the queue of every upstream, in the order of their names, without lanes.

        Takes a key with the scope `queues:read`.

        Args:
            page_size: Default 50, at most 500.
            tenant: Whose jobs are counted: the caller's where not given; `-` for all tenants', as operator.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.
        """
        return self._calls.pages(
            operations.LIST_QUEUES,
            {"pageSize": page_size, "tenant": tenant},
            Queue,
            items="queues",
            options=CallOptions(timeout_s=timeout_s),
        )

    def pause(
        self,
        upstream: str,
        *,
        tenant: str | None = None,
        lane: str | None = None,
        reason: str | None = None,
        timeout_s: float | None = None,
    ) -> Queue:
        """Gives no more leases to the tenant's jobs, or to those of one lane; as operator to all, or to another
        tenant's. Calls that are under way go on. Pausing what is paused changes its reason.

        Takes a key with the scope `queues:write`.

        Args:
            upstream: The upstream, such as `http` or `flickr`; ListUpstreams has them all.
            tenant: Whose jobs: the caller's where not given; `-` for all tenants', as operator.
            lane: Of one lane: a connection, or what stands for one. Not with all tenants.
            reason: Shown by explain and in the queue; at most 256 characters.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            UpstreamNotFound: No such upstream.
        """
        return self._calls.call(
            operations.PAUSE_QUEUE,
            {"upstream": upstream, "tenant": tenant, "lane": lane, "reason": reason},
            Queue,
            CallOptions(timeout_s=timeout_s),
        )

    def resume(
        self,
        upstream: str,
        *,
        tenant: str | None = None,
        lane: str | None = None,
        timeout_s: float | None = None,
    ) -> Queue:
        """Takes a pause back. Resuming what is not paused changes nothing; a pause of something wider stays.

        Takes a key with the scope `queues:write`.

        Args:
            upstream: The upstream, such as `http` or `flickr`; ListUpstreams has them all.
            tenant: Whose jobs: the caller's where not given; `-` for all tenants', as operator.
            lane: Of one lane. Not with all tenants.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            UpstreamNotFound: No such upstream.
        """
        return self._calls.call(
            operations.RESUME_QUEUE,
            {"upstream": upstream, "tenant": tenant, "lane": lane},
            Queue,
            CallOptions(timeout_s=timeout_s),
        )

    def settings(
        self,
        upstream: str,
        *,
        timeout_s: float | None = None,
    ) -> QueueSettings:
        """Answers with what an operator has set for a queue. Only for operators.

        Takes a key with the scope `operator`.

        Args:
            upstream: The upstream, such as `http` or `flickr`; ListUpstreams has them all.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            UpstreamNotFound: No such upstream.
        """
        return self._calls.call(
            operations.GET_QUEUE_SETTINGS, {"upstream": upstream}, QueueSettings, CallOptions(timeout_s=timeout_s)
        )

    def set_settings(
        self,
        upstream: str,
        *,
        limits: Limits | Mapping[str, Any] | None = None,
        breaker: BreakerPolicy | Mapping[str, Any] | None = None,
        weights: Mapping[str, int] | None = None,
        timeout_s: float | None = None,
    ) -> QueueSettings:
        """Replaces what an operator has set for a queue, at once and without losing what was counted. Only for
        operators.

        Takes a key with the scope `operator`.

        Args:
            upstream: The upstream, such as `http` or `flickr`; ListUpstreams has them all.
            limits: In place of the upstream's own limits; not set to go by those.
            breaker: In place of the upstream's own policy; not set to go by that.
            weights: By tenant, 1 to 100: a tenant with 3 is given three times the calls of one with 1 while both have
                work. Default 1.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            UpstreamNotFound: No such upstream.
        """
        return self._calls.call(
            operations.SET_QUEUE_SETTINGS,
            {"upstream": upstream, "limits": limits, "breaker": breaker, "weights": weights},
            QueueSettings,
            CallOptions(timeout_s=timeout_s),
        )

    def recover(
        self,
        upstream: str,
        *,
        timeout_s: float | None = None,
    ) -> Queue:
        """Rebuilds a queue from the log of jobs as after a loss of Redis; no lease is given until that is done. Only
        for operators.

        Takes a key with the scope `operator`.

        Args:
            upstream: The upstream, such as `http` or `flickr`; ListUpstreams has them all.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            UpstreamNotFound: No such upstream.
        """
        return self._calls.call(
            operations.RECOVER_QUEUE, {"upstream": upstream}, Queue, CallOptions(timeout_s=timeout_s)
        )


class Cache:
    """CacheService forgets answers that are kept to serve again."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def invalidate(
        self,
        *,
        connection_id: str | None = None,
        upstream: str | None = None,
        method: str | None = None,
        timeout_s: float | None = None,
    ) -> InvalidateCacheResponse:
        """Forgets the tenant's answers that fit all that is given, or all of them; a call that is under way now keeps
        none either. The canonical path takes what is given as its body, the others take it as their query.

        Takes a key with the scope `cache:write`.

        Args:
            connection_id: The connection, as `con_<uuidv7>`.
            upstream: Those of this upstream.
            method: Those of this method.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.
        """
        return self._calls.call(
            operations.INVALIDATE_CACHE,
            {"connectionId": connection_id, "upstream": upstream, "method": method},
            InvalidateCacheResponse,
            CallOptions(timeout_s=timeout_s),
        )


class Connections:
    """ConnectionService makes connections: a tenant's credentials at upstreams, with which its jobs call. No answer
    holds a secret.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def authorize(
        self,
        provider: str,
        *,
        scopes: Sequence[str] | None = None,
        display_name: str | None = None,
        reauth_policy: ConnectionReauthPolicy | None = None,
        connection_id: str | None = None,
        out_of_band: bool | None = None,
        return_url: str | None = None,
        timeout_s: float | None = None,
    ) -> AuthorizeConnectionResponse:
        """Begins to authorize a connection at a provider: somebody opens the link that it answers with.

        Takes a key with the scope `connections:write`.

        Args:
            provider: The provider, such as `flickr`; ListProviders has them all.
            scopes: What to ask for; the provider's default where none are given.
            display_name: What people call it.
            reauth_policy: ReauthPolicy says what becomes of jobs while the connection needs to be authorized anew.
            connection_id: A connection of this provider to authorize anew; a new one is made where it is not given.
            out_of_band: The provider shows a code, which is handed to CompleteConnection; no browser comes back.
            return_url: Where the browser is sent in the end, with `connectionId` or `error` in its query; a page says
                how it went where it is not given. An https:// URL, or one of this machine.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            AuthorizationRefused: The provider refuses to give a token, or the account's owner has said no; the message
                has what the provider says.
            ConnectionLimitReached: The tenant has as many connections as it may have.
            ConnectionNotFound: No such connection, or it belongs to another tenant. Also a job's error, whose
                connection was deleted.
            ProviderNotFound: No such provider.
        """
        return self._calls.call(
            operations.AUTHORIZE_CONNECTION,
            {
                "provider": provider,
                "scopes": scopes,
                "displayName": display_name,
                "reauthPolicy": reauth_policy,
                "connectionId": connection_id,
                "outOfBand": out_of_band,
                "returnUrl": return_url,
            },
            AuthorizeConnectionResponse,
            CallOptions(timeout_s=timeout_s),
        )

    def complete(
        self,
        state: str,
        code: str,
        *,
        timeout_s: float | None = None,
    ) -> Connection:
        """Completes an authorization that was begun out of band, with what the provider has shown. Only who has begun
        it may.

        Takes a key with the scope `connections:write`.

        Args:
            state: As AuthorizeConnection has answered it.
            code: The verifier of OAuth 1.0a, or the code of OAuth 2.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            AuthorizationNotFound: No such authorization: it is unknown, has ended, was completed, or was begun by
                somebody else or in another browser.
            AuthorizationRefused: The provider refuses to give a token, or the account's owner has said no; the message
                has what the provider says.
            ConnectionLimitReached: The tenant has as many connections as it may have.
            ConnectionNotFound: No such connection, or it belongs to another tenant. Also a job's error, whose
                connection was deleted.
            ProviderNotFound: No such provider.
        """
        return self._calls.call(
            operations.COMPLETE_CONNECTION, {"state": state, "code": code}, Connection, CallOptions(timeout_s=timeout_s)
        )

    def create(
        self,
        *,
        upstream: str | None = None,
        display_name: str | None = None,
        hosts: Sequence[str] | None = None,
        reauth_policy: ConnectionReauthPolicy | None = None,
        secret: StaticSecret | Mapping[str, Any] | None = None,
        provider: str | None = None,
        scopes: Sequence[str] | None = None,
        timeout_s: float | None = None,
    ) -> Connection:
        """Makes a connection of a secret that the caller has, or of a client's own credentials at a provider.

        Takes a key with the scope `connections:write`.

        Args:
            upstream: The upstream to call with it. Default `http`, or the provider's.
            display_name: What people call it.
            hosts: The hosts that may be called with it, such as `api.example.com`, at most 20; with a port where it is
                not the usual one. REQUIRED with a secret; a provider has its own.
            reauth_policy: ReauthPolicy says what becomes of jobs while the connection needs to be authorized anew.
            secret: StaticSecret is a secret that the caller has.
            provider: The provider at which the client's own credentials are used (RFC 6749, 4.4).
            scopes: What to ask the provider for; its default where none are given.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            AuthorizationRefused: The provider refuses to give a token, or the account's owner has said no; the message
                has what the provider says.
            ConnectionLimitReached: The tenant has as many connections as it may have.
            ProviderNotFound: No such provider.
        """
        return self._calls.call(
            operations.CREATE_CONNECTION,
            {
                "upstream": upstream,
                "displayName": display_name,
                "hosts": hosts,
                "reauthPolicy": reauth_policy,
                "secret": secret,
                "provider": provider,
                "scopes": scopes,
            },
            Connection,
            CallOptions(timeout_s=timeout_s),
        )

    def get(
        self,
        connection_id: str,
        *,
        timeout_s: float | None = None,
    ) -> Connection:
        """Answers with one connection.

        Takes a key with the scope `connections:read`.

        Args:
            connection_id: The connection, as `con_<uuidv7>`.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            ConnectionNotFound: No such connection, or it belongs to another tenant. Also a job's error, whose
                connection was deleted.
        """
        return self._calls.call(
            operations.GET_CONNECTION, {"connectionId": connection_id}, Connection, CallOptions(timeout_s=timeout_s)
        )

    def list(
        self,
        *,
        page_size: int | None = None,
        upstream: str | None = None,
        state: ConnectionState | None = None,
        timeout_s: float | None = None,
    ) -> Pages[Connection]:
        """Answers with the tenant's connections, newest first.

        Takes a key with the scope `connections:read`.

        Args:
            page_size: Default 50, at most 500.
            upstream: Of this upstream alone.
            state: In this state alone.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.
        """
        return self._calls.pages(
            operations.LIST_CONNECTIONS,
            {"pageSize": page_size, "upstream": upstream, "state": state},
            Connection,
            items="connections",
            options=CallOptions(timeout_s=timeout_s),
        )

    def update(
        self,
        connection_id: str,
        *,
        display_name: str | None = None,
        reauth_policy: ConnectionReauthPolicy | None = None,
        secret: StaticSecret | Mapping[str, Any] | None = None,
        hosts: Sequence[str] | None = None,
        timeout_s: float | None = None,
    ) -> Connection:
        """Changes what is given of a connection. Another secret makes it ACTIVE again.

        Takes a key with the scope `connections:write`.

        Args:
            connection_id: The connection, as `con_<uuidv7>`.
            display_name: What people call it.
            reauth_policy: ReauthPolicy says what becomes of jobs while the connection needs to be authorized anew.
            secret: Takes the place of a secret that the caller had.
            hosts: Take the place of the hosts of a secret that the caller had; taken with the secret alone, so that
                nobody who does not know it has it sent elsewhere.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            ConnectionNotFound: No such connection, or it belongs to another tenant. Also a job's error, whose
                connection was deleted.
        """
        return self._calls.call(
            operations.UPDATE_CONNECTION,
            {
                "connectionId": connection_id,
                "displayName": display_name,
                "reauthPolicy": reauth_policy,
                "secret": secret,
                "hosts": hosts,
            },
            Connection,
            CallOptions(timeout_s=timeout_s),
        )

    def delete(
        self,
        connection_id: str,
        *,
        timeout_s: float | None = None,
    ) -> Connection:
        """Deletes a connection and its secrets at once; jobs of it that are still queued fail. Answers with it as it
        was.

        Takes a key with the scope `connections:write`.

        Args:
            connection_id: The connection, as `con_<uuidv7>`.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            ConnectionNotFound: No such connection, or it belongs to another tenant. Also a job's error, whose
                connection was deleted.
        """
        return self._calls.call(
            operations.DELETE_CONNECTION, {"connectionId": connection_id}, Connection, CallOptions(timeout_s=timeout_s)
        )


class Providers:
    """ConnectionService makes connections: a tenant's credentials at upstreams, with which its jobs call. No answer
    holds a secret.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(
        self,
        *,
        page_size: int | None = None,
        timeout_s: float | None = None,
    ) -> Pages[Provider]:
        """Answers with the providers, at which connections can be authorized, in the order of their names.

        Takes a key with the scope `connections:read`.

        Args:
            page_size: Default 50, at most 500.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.
        """
        return self._calls.pages(
            operations.LIST_PROVIDERS,
            {"pageSize": page_size},
            Provider,
            items="providers",
            options=CallOptions(timeout_s=timeout_s),
        )


class Endpoints:
    """EndpointService makes endpoints: a tenant's receivers of events. Each event that an endpoint's filter lets pass
    is delivered to it as a POST that is signed as Standard Webhooks 1.0.0 has it, with its secret (`v1`) and with its
    key pair (`v1a`).
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def create(
        self,
        url: str,
        *,
        description: str | None = None,
        filter: EventFilter | Mapping[str, Any] | None = None,
        headers: CustomHeaders | Mapping[str, Any] | None = None,
        order: EndpointOrder | None = None,
        rate_limit: DeliveryRate | Mapping[str, Any] | None = None,
        batching: Batching | Mapping[str, Any] | None = None,
        retry: DeliveryRetry | Mapping[str, Any] | None = None,
        enabled: bool | None = None,
        secret: str | None = None,
        timeout_s: float | None = None,
    ) -> CreateEndpointResponse:
        """Makes an endpoint. The answer alone, and GetEndpointSecret, show its secret.

        Takes a key with the scope `webhooks:write`.

        Args:
            url: https://, to a public address, at one of the mesh's ports for webhooks.
            description: At most 500 characters.
            filter: All events where it is not given.
            headers: CustomHeaders are headers that every POST to an endpoint has, at most 20. Their values are secrets,
                and shown to nobody.
            order: Order is how the deliveries of an endpoint stand to each other.
            rate_limit: DeliveryRate bounds how often an endpoint is called.
            batching: Batching has several events sent in one POST, in the order in which they came.
            retry: DeliveryRetry says when a failed delivery is tried again; the mesh's own schedule where neither is
                given. Every pause is taken up to 20 % longer or shorter, at random; a longer one that the receiver asks
                for is obeyed.
            enabled: Default true.
            secret: A secret to sign with: `whsec_` and 24 to 64 bytes in base64. A random one where it is not given.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            EndpointLimitReached: The tenant has as many endpoints as it may have.
        """
        return self._calls.call(
            operations.CREATE_ENDPOINT,
            {
                "url": url,
                "description": description,
                "filter": filter,
                "headers": headers,
                "order": order,
                "rateLimit": rate_limit,
                "batching": batching,
                "retry": retry,
                "enabled": enabled,
                "secret": secret,
            },
            CreateEndpointResponse,
            CallOptions(timeout_s=timeout_s),
        )

    def get(
        self,
        endpoint_id: str,
        *,
        timeout_s: float | None = None,
    ) -> Endpoint:
        """Answers with one endpoint.

        Takes a key with the scope `webhooks:read`.

        Args:
            endpoint_id: The endpoint, as `ep_<uuidv7>`.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            EndpointNotFound: No such endpoint, or it belongs to another tenant.
        """
        return self._calls.call(
            operations.GET_ENDPOINT, {"endpointId": endpoint_id}, Endpoint, CallOptions(timeout_s=timeout_s)
        )

    def list(
        self,
        *,
        page_size: int | None = None,
        enabled: bool | None = None,
        timeout_s: float | None = None,
    ) -> Pages[Endpoint]:
        """Answers with the tenant's endpoints, newest first.

        Takes a key with the scope `webhooks:read`.

        Args:
            page_size: Default 50, at most 500.
            enabled: Those that are enabled, or are not; all where it is not given.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.
        """
        return self._calls.pages(
            operations.LIST_ENDPOINTS,
            {"pageSize": page_size, "enabled": enabled},
            Endpoint,
            items="endpoints",
            options=CallOptions(timeout_s=timeout_s),
        )

    def update(
        self,
        endpoint_id: str,
        *,
        url: str | None = None,
        description: str | None = None,
        filter: EventFilter | Mapping[str, Any] | None = None,
        headers: CustomHeaders | Mapping[str, Any] | None = None,
        order: EndpointOrder | None = None,
        rate_limit: DeliveryRate | Mapping[str, Any] | None = None,
        batching: Batching | Mapping[str, Any] | None = None,
        retry: DeliveryRetry | Mapping[str, Any] | None = None,
        enabled: bool | None = None,
        timeout_s: float | None = None,
    ) -> Endpoint:
        """Changes what is given of an endpoint; what is not yet delivered goes by the change. One that is disabled is
        called no more, and what it would be sent is kept as SKIPPED.

        Takes a key with the scope `webhooks:write`.

        Args:
            endpoint_id: The endpoint, as `ep_<uuidv7>`.
            url: Another URL takes the custom headers away, unless they are given too: whoever does not know them does
                not have them sent elsewhere.
            description: What it is for; at most 500 characters.
            filter: EventFilter says which events; each part lets all pass where it is empty, and an event must pass all
                of them.
            headers: CustomHeaders are headers that every POST to an endpoint has, at most 20. Their values are secrets,
                and shown to nobody.
            order: Order is how the deliveries of an endpoint stand to each other.
            rate_limit: `deliveries` 0 ends it.
            batching: `maxEvents` 0 ends it.
            retry: An empty one goes back to the mesh's own.
            enabled: Whether anything is to be sent to it.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            EndpointNotFound: No such endpoint, or it belongs to another tenant.
        """
        return self._calls.call(
            operations.UPDATE_ENDPOINT,
            {
                "endpointId": endpoint_id,
                "url": url,
                "description": description,
                "filter": filter,
                "headers": headers,
                "order": order,
                "rateLimit": rate_limit,
                "batching": batching,
                "retry": retry,
                "enabled": enabled,
            },
            Endpoint,
            CallOptions(timeout_s=timeout_s),
        )

    def enable(
        self,
        endpoint_id: str,
        *,
        replay_skipped: bool | None = None,
        timeout_s: float | None = None,
    ) -> EnableEndpointResponse:
        """Enables an endpoint, and says how much was skipped while it was disabled; replays that, if asked to.

        Takes a key with the scope `webhooks:write`.

        Args:
            endpoint_id: The endpoint, as `ep_<uuidv7>`.
            replay_skipped: Has what was skipped delivered too.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            EndpointNotFound: No such endpoint, or it belongs to another tenant.
        """
        return self._calls.call(
            operations.ENABLE_ENDPOINT,
            {"endpointId": endpoint_id, "replaySkipped": replay_skipped},
            EnableEndpointResponse,
            CallOptions(timeout_s=timeout_s),
        )

    def delete(
        self,
        endpoint_id: str,
        *,
        timeout_s: float | None = None,
    ) -> Endpoint:
        """Deletes an endpoint and its secrets; what is not yet delivered to it ends as FAILED. Answers with it as it
        was.

        Takes a key with the scope `webhooks:write`.

        Args:
            endpoint_id: The endpoint, as `ep_<uuidv7>`.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            EndpointNotFound: No such endpoint, or it belongs to another tenant.
        """
        return self._calls.call(
            operations.DELETE_ENDPOINT, {"endpointId": endpoint_id}, Endpoint, CallOptions(timeout_s=timeout_s)
        )

    def secret(
        self,
        endpoint_id: str,
        *,
        timeout_s: float | None = None,
    ) -> EndpointSecret:
        """Answers with an endpoint's newest secret.

        Takes a key with the scope `webhooks:write`.

        Args:
            endpoint_id: The endpoint, as `ep_<uuidv7>`.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            EndpointNotFound: No such endpoint, or it belongs to another tenant.
        """
        return self._calls.call(
            operations.GET_ENDPOINT_SECRET,
            {"endpointId": endpoint_id},
            EndpointSecret,
            CallOptions(timeout_s=timeout_s),
        )

    def rotate_secret(
        self,
        endpoint_id: str,
        *,
        grace: timedelta | None = None,
        secret: str | None = None,
        timeout_s: float | None = None,
    ) -> EndpointSecret:
        """Gives an endpoint another secret and key pair. The ones that it has now sign beside the new ones until the
        grace is over; older ones end at once.

        Takes a key with the scope `webhooks:write`.

        Args:
            endpoint_id: The endpoint, as `ep_<uuidv7>`.
            grace: How long the old one signs too: 0 s to 7 days; the mesh's own (24 h unless set) where it is not
                given.
            secret: As of CreateEndpoint.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            EndpointNotFound: No such endpoint, or it belongs to another tenant.
        """
        return self._calls.call(
            operations.ROTATE_ENDPOINT_SECRET,
            {"endpointId": endpoint_id, "grace": grace, "secret": secret},
            EndpointSecret,
            CallOptions(timeout_s=timeout_s),
        )

    def test(
        self,
        endpoint_id: str,
        *,
        event_type: str | None = None,
        timeout_s: float | None = None,
    ) -> TestEndpointResponse:
        """Sends the example of an event type to an endpoint now, once, enabled or not, and answers with what the
        receiver said within 15 s. Receivers tell it from an event by its `webhook-id`.

        Takes a key with the scope `webhooks:write`.

        Args:
            endpoint_id: The endpoint, as `ep_<uuidv7>`.
            event_type: Default `job.succeeded`.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            EndpointNotFound: No such endpoint, or it belongs to another tenant.
        """
        return self._calls.call(
            operations.TEST_ENDPOINT,
            {"endpointId": endpoint_id, "eventType": event_type},
            TestEndpointResponse,
            CallOptions(timeout_s=timeout_s),
        )

    def stats(
        self,
        endpoint_id: str,
        *,
        period: timedelta | None = None,
        timeout_s: float | None = None,
    ) -> EndpointStats:
        """Answers with how an endpoint has fared: attempts, latency, success.

        Takes a key with the scope `webhooks:read`.

        Args:
            endpoint_id: The endpoint, as `ep_<uuidv7>`.
            period: How far back to look: 1 h to 30 days, in whole hours. Default 24 h.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            EndpointNotFound: No such endpoint, or it belongs to another tenant.
        """
        return self._calls.call(
            operations.GET_ENDPOINT_STATS,
            {"endpointId": endpoint_id, "period": period},
            EndpointStats,
            CallOptions(timeout_s=timeout_s),
        )


class EventTypes:
    """EndpointService makes endpoints: a tenant's receivers of events. Each event that an endpoint's filter lets pass
    is delivered to it as a POST that is signed as Standard Webhooks 1.0.0 has it, with its secret (`v1`) and with its
    key pair (`v1a`).
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(
        self,
        *,
        page_size: int | None = None,
        timeout_s: float | None = None,
    ) -> Pages[EventType]:
        """Answers with the types of events that there are, in the order of their names.

        Takes a key with the scope `webhooks:read`.

        Args:
            page_size: Default 50, at most 500.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.
        """
        return self._calls.pages(
            operations.LIST_EVENT_TYPES,
            {"pageSize": page_size},
            EventType,
            items="eventTypes",
            options=CallOptions(timeout_s=timeout_s),
        )


class Deliveries:
    """DeliveryService shows deliveries, and has them made again."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def get(
        self,
        delivery_id: str,
        *,
        timeout_s: float | None = None,
    ) -> Delivery:
        """Answers with one delivery, its body, and what the receiver has said to each attempt.

        Takes a key with the scope `webhooks:read`.

        Args:
            delivery_id: The delivery, as `dlv_` and 32 hexadecimal digits.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            DeliveryNotFound: No such delivery, or it belongs to another tenant.
        """
        return self._calls.call(
            operations.GET_DELIVERY, {"deliveryId": delivery_id}, Delivery, CallOptions(timeout_s=timeout_s)
        )

    def list(
        self,
        *,
        page_size: int | None = None,
        endpoint_id: str | None = None,
        state: Sequence[DeliveryState] | None = None,
        event_type: str | None = None,
        about: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        timeout_s: float | None = None,
    ) -> Pages[Delivery]:
        """Answers with the tenant's deliveries, newest first. Those that are FAILED are the dead letters.

        Takes a key with the scope `webhooks:read`.

        Args:
            page_size: Default 50, at most 500.
            endpoint_id: To this endpoint alone.
            state: In any of these states.
            event_type: Of this type of events alone.
            about: The job, batch, connection or endpoint that they tell of.
            created_after: Made at or after this time.
            created_before: Made before this time.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.
        """
        return self._calls.pages(
            operations.LIST_DELIVERIES,
            {
                "pageSize": page_size,
                "endpointId": endpoint_id,
                "state": state,
                "eventType": event_type,
                "about": about,
                "createdAfter": created_after,
                "createdBefore": created_before,
            },
            Delivery,
            items="deliveries",
            options=CallOptions(timeout_s=timeout_s),
        )

    def replay(
        self,
        delivery_id: str,
        *,
        timeout_s: float | None = None,
    ) -> Delivery:
        """Has one delivery made again from its first attempt on, whatever has become of it, with the same body and
        `webhook-id`. One of a batch goes by itself.

        Takes a key with the scope `webhooks:write`.

        Args:
            delivery_id: The delivery, as `dlv_` and 32 hexadecimal digits.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            DeliveryAtWork: The delivery is being attempted now; it can be replayed when the attempt has come out.
            DeliveryNotFound: No such delivery, or it belongs to another tenant.
            EndpointDisabled: The endpoint is disabled, and nothing is delivered to it; `POST
                /api/v1/endpoints/{id}:enable` enables it.
            EndpointNotFound: No such endpoint, or it belongs to another tenant.
        """
        return self._calls.call(
            operations.REPLAY_DELIVERY, {"deliveryId": delivery_id}, Delivery, CallOptions(timeout_s=timeout_s)
        )

    def replay_many(
        self,
        *,
        filter: DeliveryFilter | Mapping[str, Any] | None = None,
        max_per_second: int | None = None,
        timeout_s: float | None = None,
    ) -> Replay:
        """Begins to have many deliveries made again, as ReplayDelivery does with one; those whose endpoint is gone or
        disabled are passed over. Answers at once; GetReplay tells how far it is. A tenant has at most 20 replays that
        run.

        Takes a key with the scope `webhooks:write`.

        Args:
            filter: Those that are FAILED and SKIPPED, where it gives no state. What is made later than the replay is
                not of it.
            max_per_second: At most so many are put back in a second: 1 to 1,000. Default 100.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            EndpointDisabled: The endpoint is disabled, and nothing is delivered to it; `POST
                /api/v1/endpoints/{id}:enable` enables it.
            EndpointNotFound: No such endpoint, or it belongs to another tenant.
        """
        return self._calls.call(
            operations.REPLAY_DELIVERIES,
            {"filter": filter, "maxPerSecond": max_per_second},
            Replay,
            CallOptions(timeout_s=timeout_s),
        )


class Replays:
    """DeliveryService shows deliveries, and has them made again."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def get(
        self,
        replay_id: str,
        *,
        timeout_s: float | None = None,
    ) -> Replay:
        """Answers with one replay.

        Takes a key with the scope `webhooks:read`.

        Args:
            replay_id: The replay, as `rpl_<uuidv7>`.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            ReplayNotFound: No such replay, or it belongs to another tenant.
        """
        return self._calls.call(
            operations.GET_REPLAY, {"replayId": replay_id}, Replay, CallOptions(timeout_s=timeout_s)
        )

    def list(
        self,
        *,
        page_size: int | None = None,
        timeout_s: float | None = None,
    ) -> Pages[Replay]:
        """Answers with the tenant's replays, newest first.

        Takes a key with the scope `webhooks:read`.

        Args:
            page_size: Default 50, at most 500.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.
        """
        return self._calls.pages(
            operations.LIST_REPLAYS,
            {"pageSize": page_size},
            Replay,
            items="replays",
            options=CallOptions(timeout_s=timeout_s),
        )

    def cancel(
        self,
        replay_id: str,
        *,
        timeout_s: float | None = None,
    ) -> Replay:
        """Ends a replay; what it has put back already stays so.

        Takes a key with the scope `webhooks:write`.

        Args:
            replay_id: The replay, as `rpl_<uuidv7>`.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            ReplayNotFound: No such replay, or it belongs to another tenant.
        """
        return self._calls.call(
            operations.CANCEL_REPLAY, {"replayId": replay_id}, Replay, CallOptions(timeout_s=timeout_s)
        )


class CallbackSecretCalls:
    """CallbackSecretService shows the secret that signs a tenant's callbacks."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def get(
        self,
        *,
        timeout_s: float | None = None,
    ) -> CallbackSecret:
        """Answers with the tenant's own secret: it signs the callbacks of jobs that name no `callbackSecret` of their
        own. The signature follows Standard Webhooks 1.0.0.

        Takes a key with the scope `webhooks:write`.

        Args:
            timeout_s: How long one try may take, in seconds; unless given, the client's own.
        """
        return self._calls.call(operations.GET_CALLBACK_SECRET, {}, CallbackSecret, CallOptions(timeout_s=timeout_s))


class Keys:
    """KeyService makes, rotates and revokes a tenant's API keys."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def create(
        self,
        name: str,
        *,
        scopes: Sequence[str] | None = None,
        expires_at: datetime | None = None,
        tenant: str | None = None,
        role: KeyRole | None = None,
        allowed_cidrs: Sequence[str] | None = None,
        rate_limit: int | None = None,
        timeout_s: float | None = None,
    ) -> CreateKeyResponse:
        """Makes a key; its secret is in this answer and never again. A key can grant only what its maker may do.

        Takes a key with the scope `keys:write`.

        Args:
            name: What it is for; 1 to 100 characters.
            scopes: At least one where there is no role, each of them the maker's own.
            expires_at: The key works until then; for good where not set.
            tenant: Makes the key for another tenant; needs `operator`.
            role: Instead of scopes; its scopes must be the maker's own.
            allowed_cidrs: At most 20 networks, IPv4 or IPv6.
            rate_limit: Requests a minute, 1 to 1,000,000; 0 for as many as the server's setting says.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            TenantNotFound: No such tenant.
        """
        return self._calls.call(
            operations.CREATE_KEY,
            {
                "name": name,
                "scopes": scopes,
                "expiresAt": expires_at,
                "tenant": tenant,
                "role": role,
                "allowedCidrs": allowed_cidrs,
                "rateLimit": rate_limit,
            },
            CreateKeyResponse,
            CallOptions(timeout_s=timeout_s),
        )

    def get(
        self,
        key_id: str,
        *,
        timeout_s: float | None = None,
    ) -> Key:
        """Answers with one key, without its secret.

        Takes a key with the scope `keys:read`.

        Args:
            key_id: The API key, as `key_<uuidv7>`.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            KeyNotFound: No such API key, or it belongs to another tenant.
        """
        return self._calls.call(operations.GET_KEY, {"keyId": key_id}, Key, CallOptions(timeout_s=timeout_s))

    def list(
        self,
        *,
        page_size: int | None = None,
        timeout_s: float | None = None,
    ) -> Pages[Key]:
        """Answers with the tenant's keys, newest first, revoked ones included.

        Takes a key with the scope `keys:read`.

        Args:
            page_size: Default 50, at most 500.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.
        """
        return self._calls.pages(
            operations.LIST_KEYS, {"pageSize": page_size}, Key, items="keys", options=CallOptions(timeout_s=timeout_s)
        )

    def usage(
        self,
        key_id: str,
        *,
        days: int | None = None,
        timeout_s: float | None = None,
    ) -> KeyUsage:
        """Answers with how often a key was used, day by day.

        Takes a key with the scope `keys:read`.

        Args:
            key_id: The API key, as `key_<uuidv7>`.
            days: How many days, today included: 1 to 90; 30 where not set.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            KeyNotFound: No such API key, or it belongs to another tenant.
        """
        return self._calls.call(
            operations.GET_KEY_USAGE, {"keyId": key_id, "days": days}, KeyUsage, CallOptions(timeout_s=timeout_s)
        )

    def top_callers(
        self,
        *,
        days: int | None = None,
        measure: ListTopCallersRequestMeasure | None = None,
        limit: int | None = None,
        tenant: str | None = None,
        timeout_s: float | None = None,
    ) -> ListTopCallersResponse:
        """Answers with the keys that were used most over some days, the most used first.

        Takes a key with the scope `keys:read`.

        Args:
            days: How many days, today included: 1 to 90; 7 where not set.
            measure: Measure is what callers are ranked by.
            limit: How many keys at most: 1 to 100; 10 where not set.
            tenant: Another tenant, or `-` for the keys of all tenants; needs `operator`.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.
        """
        return self._calls.call(
            operations.LIST_TOP_CALLERS,
            {"days": days, "measure": measure, "limit": limit, "tenant": tenant},
            ListTopCallersResponse,
            CallOptions(timeout_s=timeout_s),
        )

    def rotate(
        self,
        key_id: str,
        *,
        grace_period: timedelta | None = None,
        timeout_s: float | None = None,
    ) -> RotateKeyResponse:
        """Gives a key a new secret, which is in this answer and never again; all else of it stays. The secret that it
        takes the place of works on until the grace period is over. One whose grace period runs already ends at once.

        Takes a key with the scope `keys:write`.

        Args:
            key_id: The API key, as `key_<uuidv7>`.
            grace_period: How long the secret until now works on: 0 s to 7 days; 24 hours where not set.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            KeyNotActive: The API key was revoked or has expired, so it gets no new secret.
            KeyNotFound: No such API key, or it belongs to another tenant.
        """
        return self._calls.call(
            operations.ROTATE_KEY,
            {"keyId": key_id, "gracePeriod": grace_period},
            RotateKeyResponse,
            CallOptions(timeout_s=timeout_s),
        )

    def revoke(
        self,
        key_id: str,
        *,
        timeout_s: float | None = None,
    ) -> Key:
        """Revokes a key for good, with every secret of it; revoking a revoked key answers with it.

        Takes a key with the scope `keys:write`.

        Args:
            key_id: The API key, as `key_<uuidv7>`.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            KeyNotFound: No such API key, or it belongs to another tenant.
        """
        return self._calls.call(operations.REVOKE_KEY, {"keyId": key_id}, Key, CallOptions(timeout_s=timeout_s))


class Audit:
    """AuditService shows who did or tried what. A tenant sees what was done to its own things, or tried with its own
    keys; what crosses tenants needs the scope `operator`.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(
        self,
        *,
        page_size: int | None = None,
        tenant: str | None = None,
        principal: str | None = None,
        action: str | None = None,
        target: str | None = None,
        outcome: str | None = None,
        refused_only: bool | None = None,
        client_address: str | None = None,
        request_id: str | None = None,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        timeout_s: float | None = None,
    ) -> Pages[AuditEntry]:
        """Answers with audit entries, newest first; they are kept for a year. One of just now may take a moment to be
        listed.

        Takes a key with the scope `audit:read`.

        Args:
            page_size: Default 50, at most 500.
            tenant: As operator: another tenant's, or `-` for all, those among them that belong to no tenant.
            principal: Who made the call: a key's id, or a service's name.
            action: The RPC, as `KeyService.CreateKey`.
            target: The id of what the call was about: a key's, a tenant's name, an upstream or `<upstream>/<lane>`.
            outcome: `OK`, or the reason of an error.
            refused_only: Only calls that were refused because of who made them.
            client_address: The address that the call came from.
            request_id: The `X-Request-Id` of the call.
            start_time: At or after this time.
            end_time: Before this time.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.
        """
        return self._calls.pages(
            operations.LIST_AUDIT_ENTRIES,
            {
                "pageSize": page_size,
                "tenant": tenant,
                "principal": principal,
                "action": action,
                "target": target,
                "outcome": outcome,
                "refusedOnly": refused_only,
                "clientAddress": client_address,
                "requestId": request_id,
                "startTime": start_time,
                "endTime": end_time,
            },
            AuditEntry,
            items="entries",
            options=CallOptions(timeout_s=timeout_s),
        )


class RetentionCalls:
    """RetentionService says how long a tenant's things are kept."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def get(
        self,
        *,
        tenant: str | None = None,
        timeout_s: float | None = None,
    ) -> Retention:
        """Answers with the tenant's retention.

        Takes a key with the scope `jobs:read`.

        Args:
            tenant: For operators: whose; the caller's own unless told.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.
        """
        return self._calls.call(
            operations.GET_RETENTION, {"tenant": tenant}, Retention, CallOptions(timeout_s=timeout_s)
        )

    def update(
        self,
        retention: Retention | Mapping[str, Any],
        *,
        update_mask: str | None = None,
        tenant: str | None = None,
        timeout_s: float | None = None,
    ) -> Retention:
        """Changes it; what is not in the mask, or without a mask not given, stays as it is.

        Takes a key with the scope `data:write`.

        Args:
            retention: Retention is how long a tenant's things are kept after they ended. Each is a whole number of
                days.
            update_mask: Which fields, or `*` for all; those that are given unless told. One that is named and not given
                becomes what holds unless told: so a list of keys is emptied, and a span given back.
            tenant: For operators: whose; the caller's own unless told.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.
        """
        return self._calls.call(
            operations.UPDATE_RETENTION,
            {"retention": retention, "updateMask": update_mask, "tenant": tenant},
            Retention,
            CallOptions(timeout_s=timeout_s),
        )


class Data:
    """DataService exports and erases what every service holds of a tenant or of a connection."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def export(
        self,
        *,
        tenant: str | None = None,
        connection_id: str | None = None,
        timeout_s: float | None = None,
    ) -> Operation:
        """Writes all that is held of a tenant, or of one connection, into one file, as an operation.

        Takes a key with the scope `data:write`.

        Args:
            tenant: For operators: whose; the caller's own unless told.
            connection_id: One connection's alone.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            ConnectionNotFound: No such connection, or it belongs to another tenant. Also a job's error, whose
                connection was deleted.
            TenantNotFound: No such tenant.
        """
        return self._calls.call(
            operations.EXPORT_DATA,
            {"tenant": tenant, "connectionId": connection_id},
            Operation,
            CallOptions(timeout_s=timeout_s),
        )

    def erase(
        self,
        *,
        tenant: str | None = None,
        connection_id: str | None = None,
        grace: timedelta | None = None,
        reason: str | None = None,
        timeout_s: float | None = None,
    ) -> Operation:
        """Erases all that is held of a tenant, or of one connection, as an operation. First softly: the tenant is
        suspended, the connection deleted, and until the grace is over the operation can be canceled. Then for good,
        everywhere; the report says what was removed from which store, or by when a store forgets it.

        Takes a key with the scope `data:write`.

        Args:
            tenant: The tenant, again by its name, so that nobody erases one by an empty request; the caller's own, or
                for operators any. Not with `connectionId`.
            connection_id: One connection's alone.
            grace: How long it can still be canceled. 7 days unless told for a tenant, none for a connection; at most 30
                days.
            reason: For the audit. At most 1,000 characters.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            ConnectionNotFound: No such connection, or it belongs to another tenant. Also a job's error, whose
                connection was deleted.
            OwnTenant: The tenant is the one of the API key that asks for it to be suspended, which would end that key
                too.
            TenantNotFound: No such tenant.
        """
        return self._calls.call(
            operations.ERASE_DATA,
            {"tenant": tenant, "connectionId": connection_id, "grace": grace, "reason": reason},
            Operation,
            CallOptions(timeout_s=timeout_s),
        )


class Tenants:
    """TenantService makes tenants, suspends and resumes them. All of it is for operators."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def create(
        self,
        name: str,
        *,
        display_name: str | None = None,
        timeout_s: float | None = None,
    ) -> Tenant:
        """Makes a tenant, which has nothing yet: CreateKey with `tenant` makes its first key.

        Takes a key with the scope `operator`.

        Args:
            name: A lower-case slug of at most 40 characters, such as `acme-eu`.
            display_name: At most 100 characters.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            TenantExists: There is a tenant of this name already.
        """
        return self._calls.call(
            operations.CREATE_TENANT,
            {"name": name, "displayName": display_name},
            Tenant,
            CallOptions(timeout_s=timeout_s),
        )

    def get(
        self,
        tenant: str,
        *,
        timeout_s: float | None = None,
    ) -> Tenant:
        """Answers with one tenant.

        Takes a key with the scope `operator`.

        Args:
            tenant: The name of the tenant.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            TenantNotFound: No such tenant.
        """
        return self._calls.call(operations.GET_TENANT, {"tenant": tenant}, Tenant, CallOptions(timeout_s=timeout_s))

    def list(
        self,
        *,
        page_size: int | None = None,
        state: TenantState | None = None,
        timeout_s: float | None = None,
    ) -> Pages[Tenant]:
        """Answers with the tenants, newest first.

        Takes a key with the scope `operator`.

        Args:
            page_size: Default 50, at most 500.
            state: Only tenants in this state; all where not set.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.
        """
        return self._calls.pages(
            operations.LIST_TENANTS,
            {"pageSize": page_size, "state": state},
            Tenant,
            items="tenants",
            options=CallOptions(timeout_s=timeout_s),
        )

    def suspend(
        self,
        tenant: str,
        reason: str,
        *,
        timeout_s: float | None = None,
    ) -> Tenant:
        """Suspends a tenant until it is resumed: its keys are refused, its streams end, and its jobs wait. Calls under
        way go on to their end. Suspending a suspended tenant answers with it; another reason takes the place of the one
        it had.

        Takes a key with the scope `operator`.

        Args:
            tenant: The name of the tenant.
            reason: Why: 1 to 256 characters. The tenant's callers are told it.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            OwnTenant: The tenant is the one of the API key that asks for it to be suspended, which would end that key
                too.
            TenantNotFound: No such tenant.
        """
        return self._calls.call(
            operations.SUSPEND_TENANT, {"tenant": tenant, "reason": reason}, Tenant, CallOptions(timeout_s=timeout_s)
        )

    def resume(
        self,
        tenant: str,
        *,
        timeout_s: float | None = None,
    ) -> Tenant:
        """Takes a suspension back: keys work, and jobs are called again, but for those that are paused. Resuming a
        tenant that is not suspended answers with it.

        Takes a key with the scope `operator`.

        Args:
            tenant: The name of the tenant.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.

        Raises:
            TenantNotFound: No such tenant.
        """
        return self._calls.call(operations.RESUME_TENANT, {"tenant": tenant}, Tenant, CallOptions(timeout_s=timeout_s))


class DataKeys:
    """DataKeyService rotates the keys under which connections are sealed. All of it is for operators."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(
        self,
        *,
        page_size: int | None = None,
        timeout_s: float | None = None,
    ) -> Pages[DataKey]:
        """Answers with the data keys that are not destroyed, newest first, and how much each still seals.

        Takes a key with the scope `operator`.

        Args:
            page_size: Default 50, at most 500.
            timeout_s: How long one try may take, in seconds; unless given, the client's own.
        """
        return self._calls.pages(
            operations.LIST_DATA_KEYS,
            {"pageSize": page_size},
            DataKey,
            items="dataKeys",
            options=CallOptions(timeout_s=timeout_s),
        )

    def rotate(
        self,
        *,
        timeout_s: float | None = None,
    ) -> DataKey:
        """Makes a new data key, under which connections are sealed from now on; those sealed under others are sealed
        anew in the background, and then the others are destroyed.

        Takes a key with the scope `operator`.

        Args:
            timeout_s: How long one try may take, in seconds; unless given, the client's own.
        """
        return self._calls.call(operations.ROTATE_DATA_KEY, {}, DataKey, CallOptions(timeout_s=timeout_s))


class Resources:
    """What the client has by name, but for what is written by hand."""

    def __init__(self, calls: Calls) -> None:
        self.stats = StatsCalls(calls)
        self.upstreams = Upstreams(calls)
        self.queues = Queues(calls)
        self.cache = Cache(calls)
        self.connections = Connections(calls)
        self.providers = Providers(calls)
        self.endpoints = Endpoints(calls)
        self.event_types = EventTypes(calls)
        self.deliveries = Deliveries(calls)
        self.replays = Replays(calls)
        self.callback_secret = CallbackSecretCalls(calls)
        self.keys = Keys(calls)
        self.audit = Audit(calls)
        self.retention = RetentionCalls(calls)
        self.data = Data(calls)
        self.tenants = Tenants(calls)
        self.data_keys = DataKeys(calls)
