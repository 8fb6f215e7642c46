"""What stands behind the gateway in its tests: the project's own server kit, answering as a test asks, in a thread."""

from __future__ import annotations

import asyncio
import base64
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from penstock.auth.v1 import auth_pb2, auth_pb2_grpc
from penstock.gateway.v1 import external_auth_pb2, external_auth_pb2_grpc
from penstock.history.v1 import history_pb2, history_pb2_grpc
from penstock.jobs.v1 import job_service_pb2_grpc, jobs_pb2
from penstock.scheduler.v1 import queues_pb2, queues_pb2_grpc
from penstock.upstream.v1 import cache_pb2, cache_pb2_grpc, upstream_pb2, upstream_pb2_grpc

from shared import errors
from shared.identity import CLIENT_ADDRESS_HEADER, IDENTITY_HEADER, SIGNED_DIGEST_HEADER
from shared.permissions import Scope
from shared.rpc import call, status
from shared.rpc.health import Health
from shared.rpc.server import Server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from google.api.httpbody_pb2 import HttpBody
    from google.protobuf.message import Message

    from tests.identities import Identities

GOOD_KEY = "good"
TENANT = "acme"
KEY_ID = "key_1"
_START_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One call as a service saw it."""

    method: str
    request: Any
    metadata: dict[str, str]
    tenant: str
    remaining_s: float | None


@dataclass(slots=True)
class Services:
    """The services, and what they have received since a test looked last.

    Args:
        address: Of the gRPC port of them all.
    """

    identities: Identities
    address: str = ""
    received: list[Received] = field(default_factory=list)
    #: How often auth was asked.
    checks: int = 0
    #: The address from which auth was last told a request comes.
    source: str = ""
    #: The RPC that it was told the request's route leads to.
    rpc: str = ""
    #: What SubmitJob and GetJob do; a test sets it.
    answer: Callable[[Any], Awaitable[jobs_pb2.Job]] | None = None
    #: What GetJobResult sends first, and then.
    result: tuple[tuple[tuple[str, str], ...], HttpBody] | None = None
    #: What ExportJobs sends, one after the other; an error ends it.
    export: Sequence[HttpBody | errors.PenstockError] = ()
    #: The headers of the request that auth was asked about last, its path, method and host.
    asked: Any = None
    #: The digest that auth says a signed request's body must have; None for a request that is not signed.
    signed_digest: str | None = None
    #: What auth does instead of judging the key.
    on_check: Callable[[], Awaitable[None]] | None = None
    dependencies: dict[str, bool] = field(default_factory=lambda: {"redis": True})
    health: Health | None = None

    def reset(self) -> None:
        """Forgets what was received and asked for."""
        self.received.clear()
        self.checks = 0
        self.answer = None
        self.result = None
        self.export = ()
        self.on_check = None
        self.signed_digest = None

    def note(self, request: Message) -> None:
        current = call.current()
        assert current is not None
        self.received.append(
            Received(
                method=current.method,
                request=request,
                metadata=current.metadata,
                tenant=call.current_tenant(),
                remaining_s=current.remaining_s(),
            )
        )


class _Jobs(job_service_pb2_grpc.JobServiceServicer):
    def __init__(self, services: Services) -> None:
        self._services = services

    async def _job(self, request: Any, job_id: str) -> jobs_pb2.Job:
        self._services.note(request)
        if self._services.answer is not None:
            return await self._services.answer(request)
        return jobs_pb2.Job(id=job_id, upstream="http", state=jobs_pb2.Job.QUEUED, priority=jobs_pb2.Job.NORMAL)

    async def SubmitJob(self, request: Any, context: Any) -> Any:
        return await self._job(request, "http-1")

    async def GetJob(self, request: Any, context: Any) -> Any:
        return await self._job(request, request.job_id)

    async def WaitJob(self, request: Any, context: Any) -> Any:
        return await self._job(request, request.job_id)

    async def CancelJob(self, request: Any, context: Any) -> Any:
        return await self._job(request, request.job_id)

    async def GetJobResult(self, request: Any, context: Any) -> Any:
        if self._services.result is None:
            return await self._job(request, request.job_id)
        self._services.note(request)
        metadata, body = self._services.result
        await context.send_initial_metadata(metadata)
        return body


class _Keys(auth_pb2_grpc.KeyServiceServicer):
    def __init__(self, services: Services) -> None:
        self._services = services

    async def CreateKey(self, request: Any, context: Any) -> Any:
        self._services.note(request)
        return auth_pb2.CreateKeyResponse()

    async def ListKeys(self, request: Any, context: Any) -> Any:
        self._services.note(request)
        return auth_pb2.ListKeysResponse()

    async def GetKey(self, request: Any, context: Any) -> Any:
        self._services.note(request)
        return auth_pb2.Key()

    async def RotateKey(self, request: Any, context: Any) -> Any:
        self._services.note(request)
        return auth_pb2.RotateKeyResponse()

    async def GetKeyUsage(self, request: Any, context: Any) -> Any:
        self._services.note(request)
        return auth_pb2.KeyUsage()

    async def RevokeKey(self, request: Any, context: Any) -> Any:
        self._services.note(request)
        return auth_pb2.Key()


class _History(history_pb2_grpc.HistoryServiceServicer):
    def __init__(self, services: Services) -> None:
        self._services = services

    async def ExportJobs(self, request: Any, context: Any) -> Any:
        self._services.note(request)
        for each in self._services.export:
            if isinstance(each, errors.PenstockError):
                raise each
            yield each


class _Operations(operations_pb2_grpc.OperationsServicer):
    """One that has failed a job, and one that could not go on: what they hold stands in `Any`s."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def _operation(self, request: Any) -> operations_pb2.Operation:
        self._services.note(request)
        operation = operations_pb2.Operation(name=request.name, done=True)
        operation.metadata.Pack(history_pb2.BulkMetadata(kind=history_pb2.BulkMetadata.RETRY, failed={"QUEUE_FULL": 1}))
        if request.name.endswith("x"):
            refusal = status.to_status(errors.JobNotFound("there is no job"))
            operation.error.ParseFromString(dict(refusal.trailing_metadata)["grpc-status-details-bin"])
        else:
            operation.response.Pack(history_pb2.BulkResponse(matched=3))
        return operation

    async def GetOperation(self, request: Any, context: Any) -> Any:
        return self._operation(request)

    async def WaitOperation(self, request: Any, context: Any) -> Any:
        return self._operation(request)

    async def ListOperations(self, request: Any, context: Any) -> Any:
        self._services.note(request)
        return operations_pb2.ListOperationsResponse()

    async def CancelOperation(self, request: Any, context: Any) -> Any:
        self._services.note(request)
        return empty_pb2.Empty()

    async def DeleteOperation(self, request: Any, context: Any) -> Any:
        self._services.note(request)
        return empty_pb2.Empty()


class _Upstreams(upstream_pb2_grpc.UpstreamServiceServicer):
    def __init__(self, services: Services) -> None:
        self._services = services

    async def ListUpstreams(self, request: Any, context: Any) -> Any:
        self._services.note(request)
        return upstream_pb2.ListUpstreamsResponse()

    async def GetUpstream(self, request: Any, context: Any) -> Any:
        self._services.note(request)
        return upstream_pb2.Upstream(name=request.upstream)


class _Cache(cache_pb2_grpc.CacheServiceServicer):
    def __init__(self, services: Services) -> None:
        self._services = services

    async def InvalidateCache(self, request: Any, context: Any) -> Any:
        self._services.note(request)
        return cache_pb2.InvalidateCacheResponse(entries=3)


class _Queues(queues_pb2_grpc.QueueServiceServicer):
    def __init__(self, services: Services) -> None:
        self._services = services

    async def ListQueues(self, request: Any, context: Any) -> Any:
        self._services.note(request)
        return queues_pb2.ListQueuesResponse()

    async def GetQueue(self, request: Any, context: Any) -> Any:
        self._services.note(request)
        return queues_pb2.Queue(upstream=request.upstream)

    async def PauseQueue(self, request: Any, context: Any) -> Any:
        self._services.note(request)
        return queues_pb2.Queue(upstream=request.upstream)

    async def ResumeQueue(self, request: Any, context: Any) -> Any:
        self._services.note(request)
        return queues_pb2.Queue(upstream=request.upstream)

    async def GetQueueSettings(self, request: Any, context: Any) -> Any:
        self._services.note(request)
        return queues_pb2.QueueSettings()

    async def SetQueueSettings(self, request: Any, context: Any) -> Any:
        self._services.note(request)
        return request.settings

    async def RecoverQueue(self, request: Any, context: Any) -> Any:
        self._services.note(request)
        return queues_pb2.Queue(upstream=request.upstream, recovering=True)


class _Authorization(external_auth_pb2_grpc.AuthorizationServicer):
    """Knows one key, and refuses as auth does."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def Check(self, request: Any, context: Any) -> Any:
        self._services.checks += 1
        self._services.asked = request.attributes.request.http
        self._services.source = request.attributes.request.http.headers[CLIENT_ADDRESS_HEADER]
        self._services.rpc = request.attributes.context_extensions.get("rpc", "")
        if self._services.on_check is not None:
            await self._services.on_check()
        headers = request.attributes.request.http.headers
        if headers.get("authorization") == f"Bearer {GOOD_KEY}":
            token = self._services.identities.mint(TENANT, Scope)
            told = [_header(IDENTITY_HEADER, token)]
            if self._services.signed_digest is not None:
                told.append(_header(SIGNED_DIGEST_HEADER, self._services.signed_digest))
            return external_auth_pb2.CheckResponse(
                dynamic_metadata=json_format.ParseDict({"tenant": TENANT, "principal": KEY_ID}, struct_pb2.Struct()),
                ok_response=external_auth_pb2.OkHttpResponse(
                    headers=told, headers_to_remove=["authorization", "x-api-key"]
                ),
            )
        error = errors.Unauthenticated("this call carries no API key")
        rich = status.to_status(error)
        grpc_call = headers.get("content-type", "").startswith("application/grpc")
        extra = {"content-type": "application/json", "www-authenticate": "Bearer"}
        if grpc_call:
            extra = {key: base64.b64encode(value).decode().rstrip("=") for key, value in rich.trailing_metadata}
        return external_auth_pb2.CheckResponse(
            status={"code": rich.code.value[0]},
            denied_response=external_auth_pb2.DeniedHttpResponse(
                status={"code": 401},
                headers=[_header(key, value) for key, value in extra.items()],
                body=error.message if grpc_call else status.to_json(error),
            ),
        )


def _header(key: str, value: str) -> Any:
    return external_auth_pb2.HeaderValueOption(
        header={"key": key, "value": value},
        append_action=external_auth_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )


@contextmanager
def running(identities: Identities) -> Iterator[Services]:
    """Runs the services until the block ends."""
    services = Services(identities)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="stand-ins", daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(_start(services), loop).result(_START_TIMEOUT_S)
    try:
        yield services
    finally:
        asyncio.run_coroutine_threadsafe(server.drain(timedelta(seconds=1)), loop).result(_START_TIMEOUT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_START_TIMEOUT_S)
        loop.close()


async def _start(services: Services) -> Server:
    async def check(name: str) -> None:
        if not services.dependencies[name]:
            raise ConnectionError(f"{name} is away")

    services.health = Health({"redis": lambda: check("redis")})
    await services.health.check_dependencies()
    server = Server("intake", address="127.0.0.1:0", verifier=services.identities.verifier(), health=services.health)
    server.add(job_service_pb2_grpc.add_JobServiceServicer_to_server, _Jobs(services), "penstock.jobs.v1.JobService")
    server.add(
        history_pb2_grpc.add_HistoryServiceServicer_to_server, _History(services), "penstock.history.v1.HistoryService"
    )
    server.add(auth_pb2_grpc.add_KeyServiceServicer_to_server, _Keys(services), "penstock.auth.v1.KeyService")
    server.add(
        upstream_pb2_grpc.add_UpstreamServiceServicer_to_server,
        _Upstreams(services),
        "penstock.upstream.v1.UpstreamService",
    )
    server.add(cache_pb2_grpc.add_CacheServiceServicer_to_server, _Cache(services), "penstock.upstream.v1.CacheService")
    server.add(
        queues_pb2_grpc.add_QueueServiceServicer_to_server, _Queues(services), "penstock.scheduler.v1.QueueService"
    )
    server.add(
        operations_pb2_grpc.add_OperationsServicer_to_server, _Operations(services), "google.longrunning.Operations"
    )
    server.add(
        external_auth_pb2_grpc.add_AuthorizationServicer_to_server,
        _Authorization(services),
        "envoy.service.auth.v3.Authorization",
    )
    services.address = f"127.0.0.1:{await server.start()}"
    return server
