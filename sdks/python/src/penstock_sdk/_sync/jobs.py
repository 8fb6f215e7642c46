# Made of _async/jobs.py by `make sdks`; do not edit.
"""Jobs: submitted once, waited for, watched; their results."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

from penstock_sdk import operations
from penstock_sdk._sync.calls import encoded
from penstock_sdk._sync.downloads import download
from penstock_sdk._sync.resources import JobCalls
from penstock_sdk._sync.waiting import Waiting
from penstock_sdk.errors import PenstockError
from penstock_sdk.models import Job
from penstock_sdk.operation import CallOptions
from penstock_sdk.results import Result, failure_of

if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from penstock_sdk._sync.calls import Calls
    from penstock_sdk.models import CachePolicyMode, JobPriority, JobState, RetryPolicy
    from penstock_sdk.progress import ProgressTo


class Jobs(JobCalls):
    """Jobs: submitted once, waited for, watched; their results.

    Args:
        calls: What makes the calls.
    """

    def __init__(self, calls: Calls) -> None:
        super().__init__(calls)
        self._waiting = Waiting(calls)

    def submit(
        self,
        upstream: str,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        connection_id: str | None = None,
        priority: JobPriority | None = None,
        callback_url: str | None = None,
        callback_secret: str | None = None,
        metadata: Mapping[str, str] | None = None,
        cache_policy: CachePolicyMode | None = None,
        not_before: datetime | None = None,
        expires_at: datetime | None = None,
        retry: RetryPolicy | Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        timeout_s: float | None = None,
    ) -> Job:
        """Submits a job, once however often the call has to be tried.

        Args:
            upstream: The upstream to call, such as `http`.
            method: Its method to call, such as `http.get`.
            params: What the method takes.
            connection_id: The connection to call with.
            priority: HIGH, NORMAL unless told, or LOW; orders your own jobs.
            callback_url: Gets a signed POST when the job ends.
            callback_secret: Signs that POST; the tenant's own secret does unless given.
            metadata: Your own labels, at most 20.
            cache_policy: Whether a cached answer may serve: DEFAULT unless told, BYPASS, REFRESH.
            not_before: Not called before this time, at most 7 days from now.
            expires_at: Given up when it still waits then; 24 hours from now unless told, at most 7 days.
            retry: How often and how fast a call that fails is tried again.
            idempotency_key: The same request under the same key is the same job for 24 hours, whatever program submits
                it. Keep it with what the job is for, and a restart submits nothing twice. One is drawn unless given.
            timeout_s: How long each try may take, in seconds; the client's own unless given.

        Raises:
            InvalidArgument: Fields are wrong; `violations` names each.
            QueueFull: Too many unfinished jobs, for longer than calls are tried again.
            IdempotencyKeyReused: Another request had this key.
            ConnectionNeedsReauth: The connection has to be authorized anew.
            NoAnswer: Whether it was submitted is not known; the same call under the same key is safe.
        """
        return self._calls.call(
            operations.SUBMIT_JOB,
            {
                "upstream": upstream,
                "method": method,
                "params": params,
                "connectionId": connection_id,
                "priority": priority,
                "callbackUrl": callback_url,
                "callbackSecret": callback_secret,
                "metadata": metadata,
                "cachePolicy": cache_policy,
                "notBefore": not_before,
                "expiresAt": expires_at,
                "retry": retry,
            },
            Job,
            CallOptions(idempotency_key=idempotency_key, timeout_s=timeout_s),
        )

    def run(
        self,
        upstream: str,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        connection_id: str | None = None,
        priority: JobPriority | None = None,
        callback_url: str | None = None,
        callback_secret: str | None = None,
        metadata: Mapping[str, str] | None = None,
        cache_policy: CachePolicyMode | None = None,
        not_before: datetime | None = None,
        expires_at: datetime | None = None,
        retry: RetryPolicy | Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        timeout_s: float | None = None,
    ) -> Job:
        """Submits a job and waits until it has succeeded; see `submit`, whose arguments it takes.

        Args:
            upstream: The upstream to call, such as `http`.
            method: Its method to call, such as `http.get`.
            params: What the method takes.
            connection_id: See `submit`; so the others.
            priority: See `submit`.
            callback_url: See `submit`.
            callback_secret: See `submit`.
            metadata: See `submit`.
            cache_policy: See `submit`.
            not_before: See `submit`.
            expires_at: See `submit`.
            retry: See `submit`.
            idempotency_key: See `submit`.
            timeout_s: How long the job is waited for, in seconds; as long as it takes unless given.

        Raises:
            JobFailed: It has ended without success; a class of its own for each reason.
            WaitTimeout: It has not ended in time; it goes on.
        """
        job = self.submit(
            upstream,
            method,
            params,
            connection_id=connection_id,
            priority=priority,
            callback_url=callback_url,
            callback_secret=callback_secret,
            metadata=metadata,
            cache_policy=cache_policy,
            not_before=not_before,
            expires_at=expires_at,
            retry=retry,
            idempotency_key=idempotency_key,
        )
        if job.finished_at is None:
            job = self.wait(job.id, timeout_s=timeout_s)
        failure = failure_of(job)
        if failure is not None:
            raise failure
        return job

    def wait(self, job_id: str, timeout_s: float | None = None) -> Job:
        """The job when it has ended, in whatever state: by its stream, else by long polls, else by looking at it.

        Args:
            job_id: Which.
            timeout_s: How long it is waited for, in seconds; as long as it takes unless given.

        Raises:
            WaitTimeout: It has not ended by then; it goes on.
            JobNotFound: There is no such job.
            NoAnswer: Penstock could not be reached for as long as calls are tried again.
        """
        return self._waiting.wait(job_id, timeout_s=timeout_s)

    def watch(self, job_id: str, *, after_revision: int = 0) -> Generator[Job]:
        """The job as it stands, then as each event leaves it, to its end; a stream that breaks is taken up again.

        Args:
            job_id: Which.
            after_revision: Only what is newer than this revision of the job.

        Raises:
            JobNotFound: There is no such job.
            NoAnswer: The stream broke, and could not be taken up for as long as calls are tried again.
        """
        return self._waiting.watch(job_id, after_revision=after_revision)

    def result(self, job_id: str, *, timeout_s: float | None = None) -> Result:
        """A job's result, all of it in memory; `download` writes a large one to a file.

        Args:
            job_id: Whose.
            timeout_s: How long nothing may come, in seconds; the client's own unless given.

        Raises:
            JobNotFinished: It has not ended.
            ResultNotFound: It has none, or it is no longer kept.
        """
        tries = self._calls.tries()
        timeout_s = self._calls.timeout_s if timeout_s is None else timeout_s
        while True:
            try:
                with self._calls.transport.result(job_id, headers={}, timeout_s=timeout_s) as raw:
                    content = bytearray()
                    with closing(raw.chunks()) as chunks:
                        for chunk in chunks:
                            content += chunk
                    headers = raw.headers
                    return Result(
                        content=bytes(content),
                        content_type=headers.get("content-type", ""),
                        etag=headers.get("etag", ""),
                    )
            except PenstockError as error:
                pause_s = tries.pause_after(error)
            self._calls.pacing.sleep(pause_s)

    def download(
        self, job_id: str, path: str | os.PathLike[str], *, progress: ProgressTo = False, timeout_s: float = 60
    ) -> Path:
        """Writes a job's result to a file; one that breaks off goes on where it stood, also in another program.

        Args:
            job_id: Whose.
            path: Of the file; what was begun stands beside it as `<path>.part`.
            progress: Draws a bar.
            timeout_s: How long nothing may come, in seconds.

        Raises:
            JobNotFinished: It has not ended.
            ResultNotFound: It has none, or it is no longer kept.
            NoAnswer: It could not be gone on with for as long as calls are tried again.
        """
        return download(self._calls, job_id, path, progress=progress, timeout_s=timeout_s)

    def export(
        self,
        *,
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
        after_job_id: str | None = None,
    ) -> Generator[Job]:
        """All of the tenant's jobs that match, with their attempts; a stream that breaks or ends early is gone on with.

        Args:
            upstream: Of this upstream alone.
            connection_id: Called with this connection alone.
            state: Any of these.
            method: Of this method alone.
            priority: Of this priority alone.
            batch_id: Of this batch alone.
            created_after: At or after this time.
            created_before: Before this time.
            metadata: `key=value` each.
            order_by: `createdAt desc` unless told, or `createdAt`.
            after_job_id: Goes on after this job, the last that was read.

        Raises:
            JobNotFound: `after_job_id` names none.
        """
        fields = encoded(
            {
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
                "afterJobId": after_job_id,
            }
        )
        tries = self._calls.tries()
        while True:
            heard = False
            try:
                lines = self._calls.transport.lines(operations.EXPORT_JOBS, fields, timeout_s=self._calls.timeout_s)
                with closing(lines) as told:
                    for line in told:
                        job = self._calls.read(Job, json.loads(line))
                        heard, tries, fields["afterJobId"] = True, self._calls.tries(), job.id
                        yield job
                if not heard:  # a stream ends after 5 minutes; one without a job is the end of all
                    return
                pause_s = 0.0
            except PenstockError as error:
                pause_s = tries.pause_after(error)
            self._calls.pacing.sleep(pause_s)
