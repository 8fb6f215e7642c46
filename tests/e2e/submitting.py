"""The same submit by either protocol through Envoy, its answer in one shape: a rule is shown of both at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import grpc
from google.protobuf import json_format
from penstock.jobs.v1 import batches_pb2, job_service_pb2_grpc, jobs_pb2

from shared.errors import InvalidArgument
from shared.rpc.status import HTTP_BY_CODE, from_rpc_error
from tests.e2e.api import TIMEOUT_S, Api

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.e2e.mesh import Mesh

_INFO, _BAD_REQUEST, _RETRY = "google.rpc.ErrorInfo", "google.rpc.BadRequest", "google.rpc.RetryInfo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a submit was answered with.

    Args:
        status: By HTTP, or what HTTP would have said.
        made: The id of the job or batch; empty where there is none.
        reason: Of the refusal.
        fields: The paths of the wrong fields.
        about: What the refusal tells programs.
        retry_after_s: When the call may be repeated; None where nothing is said of it.
    """

    status: int
    made: str = ""
    reason: str = ""
    fields: frozenset[str] = frozenset()
    about: Mapping[str, str] = field(default_factory=dict)
    retry_after_s: float | None = None


class Caller(Protocol):
    """Submits by one of the protocols."""

    def submit(self, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Reply:
        """One submit.

        Args:
            body: The request as JSON has it, of a job or, with `jobs`, of a batch.
            headers: Sent with it, as HTTP spells them.
        """
        ...


@dataclass(frozen=True, slots=True)
class HttpCaller:
    """By HTTP/JSON."""

    api: Api

    def submit(self, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Reply:
        """See `Caller`."""
        path = "/api/v1/batches" if "jobs" in body else "/api/v1/jobs"
        answer = self.api.call("POST", path, dict(body), headers=dict(headers or {}))
        if answer.status == 200:
            return Reply(status=200, made=answer.json["id"])
        details = {each["@type"].rpartition("/")[2]: each for each in answer.error["details"]}
        retry_after = answer.headers.get("retry-after")
        if retry_after is not None and answer.status == 409:
            assert details[_RETRY]["retryDelay"] == f"{retry_after}s"
        return Reply(
            status=answer.status,
            reason=answer.reason,
            fields=frozenset(answer.fields),
            about=details[_INFO]["metadata"],
            retry_after_s=float(retry_after) if retry_after is not None else None,
        )


@dataclass(frozen=True, slots=True)
class GrpcCaller:
    """By gRPC."""

    jobs: job_service_pb2_grpc.JobServiceStub
    key: str

    def submit(self, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Reply:
        """See `Caller`."""
        rpc, kind = self.jobs.SubmitJob, jobs_pb2.SubmitJobRequest
        if "jobs" in body:
            rpc, kind = self.jobs.SubmitBatch, batches_pb2.SubmitBatchRequest
        request = json_format.ParseDict(dict(body), kind())
        metadata = [("x-api-key", self.key), *((name.lower(), value) for name, value in (headers or {}).items())]
        try:
            return Reply(status=200, made=rpc(request, metadata=metadata, timeout=TIMEOUT_S).id)
        except grpc.RpcError as failure:
            error = from_rpc_error(failure)
            return Reply(
                status=error.http_status or HTTP_BY_CODE[error.code],
                reason=error.reason,
                fields=frozenset(
                    violation.field for violation in (error.violations if isinstance(error, InvalidArgument) else ())
                ),
                about=error.metadata,
                retry_after_s=error.retry_after.total_seconds() if error.retry_after is not None else None,
            )


def callers(mesh: Mesh, key: str, channel: grpc.Channel) -> dict[str, Caller]:
    """A caller by each protocol, both with one API key."""
    return {
        "http": HttpCaller(Api(mesh.url, key)),
        "grpc": GrpcCaller(job_service_pb2_grpc.JobServiceStub(channel), key),
    }
