"""A mesh in memory, behind the seam of transports: takes batches in and ends their jobs, the oldest first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from penstock_sdk.errors import Violation
from penstock_sdk.reasons import (
    BatchNotFound,
    IdempotencyKeyReused,
    InvalidArgument,
    JobNotFound,
    QueueFull,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock_sdk.operation import Operation

    from sdks.python.tests.sides import Clock

_AT = "2026-12-31T00:00:00Z"
_TOLD = 32


@dataclass(slots=True, kw_only=True)
class FakeMesh:
    """What it keeps.

    Args:
        clock: Goes on while it is waited in vain.
        limit: Unfinished jobs at most.
        retry_after_s: What a full queue asks for.
        ends: Jobs that end by each `:wait`.
        faulty: The numbers of jobs that are refused.
        failing: The numbers of jobs that fail.
        stuck: The numbers of jobs that never end.
    """

    clock: Clock
    limit: int = 1000
    retry_after_s: float = 3
    ends: int = 7
    faulty: set[int] = field(default_factory=set)
    failing: set[int] = field(default_factory=set)
    stuck: set[int] = field(default_factory=set)
    keys: dict[str, tuple[Any, str]] = field(default_factory=dict)
    batches: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    made: list[int] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    most: int = 0

    def send(self, operation: Operation, fields: Mapping[str, Any], *, idempotency_key: str | None) -> Any:
        self.calls.append(operation.name.partition(".")[2])
        match self.calls[-1]:
            case "SubmitBatch":
                return self._submit(fields["jobs"], idempotency_key or "")
            case "GetBatch":
                return self._batch(fields["batchId"])
            case "WaitJob":
                for job in self.unfinished()[: self.ends]:
                    self._end(job)
                job = self._job(fields["jobId"])
                if "finishedAt" not in job:
                    self.clock.slept.append(float(fields["timeout"].removesuffix("s")))
                return job
            case "GetJob":
                return self._job(fields["jobId"])
        raise AssertionError(operation.name)

    def unfinished(self) -> list[dict[str, Any]]:
        return [job for jobs in self.batches.values() for job in jobs if "finishedAt" not in job]

    def _submit(self, jobs: list[dict[str, Any]], key: str) -> Any:
        assert 1 <= len(jobs) <= 100
        known, batch_id = self.keys.get(key, (None, ""))
        if known == jobs:
            return self._batch(batch_id)
        numbers = [job["params"]["n"] for job in jobs]
        if faults := [at for at, n in enumerate(numbers) if n in self.faulty]:
            told = [Violation(field=f"jobs[{at}].params.n", description="is faulty") for at in faults[:_TOLD]]
            metadata = {"faulty_jobs": ",".join(map(str, faults))}
            raise InvalidArgument("…", reason="INVALID_ARGUMENT", status=400, violations=told, metadata=metadata)
        if known is not None:
            raise IdempotencyKeyReused("…", reason="IDEMPOTENCY_KEY_REUSED", status=422)
        if len(self.unfinished()) + len(jobs) > self.limit:
            metadata = {"limit": str(self.limit)}
            raise QueueFull("…", reason="QUEUE_FULL", status=503, metadata=metadata, retry_after_s=self.retry_after_s)
        batch_id = f"batch_{len(self.batches)}"
        self.batches[batch_id] = [{"id": f"http-{n}", "state": "QUEUED", "batchId": batch_id} for n in numbers]
        self.jobs |= {job["id"]: job for job in self.batches[batch_id]}
        self.keys[key] = (jobs, batch_id)
        self.made += numbers
        self.most = max(self.most, len(self.unfinished()))
        return self._batch(batch_id)

    def _batch(self, batch_id: str) -> Any:
        if batch_id not in self.batches:
            raise BatchNotFound("…", reason="BATCH_NOT_FOUND", status=404)
        jobs = [{name: value for name, value in job.items() if name != "inline"} for job in self.batches[batch_id]]
        return {"id": batch_id, "size": len(jobs), "jobs": jobs}

    def _job(self, job_id: str) -> Any:
        job = self.jobs.get(job_id)
        if job is None or job["batchId"] not in self.batches:
            raise JobNotFound("…", reason="JOB_NOT_FOUND", status=404)
        content = {"result": {**job["result"], "inline": job["inline"]}} if "inline" in job else {}
        return {name: value for name, value in job.items() if name != "inline"} | content

    def _end(self, job: dict[str, Any]) -> None:
        number = int(job["id"].partition("-")[2])
        if number in self.stuck:
            return
        job["finishedAt"] = _AT
        if number in self.failing:
            job |= {"state": "FAILED", "error": {"reason": "UPSTREAM_STATUS", "message": "it said 500"}}
        else:
            job |= {"state": "SUCCEEDED", "result": {"size": "2"}, "inline": {"status": 200, "text": str(number)}}


@dataclass(slots=True)
class FakeTransport:
    """Carries calls to a mesh in memory."""

    mesh: FakeMesh

    def send(self, operation: Operation, fields: Any, *, idempotency_key: str | None, timeout_s: float) -> Any:
        return self.mesh.send(operation, fields, idempotency_key=idempotency_key)


@dataclass(slots=True)
class AsyncFakeTransport:
    """The same for an event loop."""

    mesh: FakeMesh

    async def send(self, operation: Operation, fields: Any, *, idempotency_key: str | None, timeout_s: float) -> Any:
        return self.mesh.send(operation, fields, idempotency_key=idempotency_key)
