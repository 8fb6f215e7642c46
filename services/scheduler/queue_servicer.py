"""QueueService: protos to the domain and back."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import TYPE_CHECKING, Any, Protocol

from penstock.scheduler.v1 import queues_pb2, queues_pb2_grpc

from services.scheduler import showing, validation
from services.scheduler.limits import Pause
from services.scheduler.scripts import RecoveryNeeded
from shared import observability, paging
from shared.errors import InvalidArgument
from shared.rpc.call import asked_tenant

if TYPE_CHECKING:
    import grpc

    from services.scheduler.queue import Queue
    from services.scheduler.settings import Settings
    from services.scheduler.upstreams import Upstreams

    Context = grpc.aio.ServicerContext[Any, Any]

log = observability.logger()

DEFAULT_LANES = 10
MAX_LANES = 100
#: Well within the time that the gateway gives a call.
_REBUILD_AWAITED_S = 10.0
#: What a page token starts with once it is read; a change of its form gets another.
_TOKEN_MARK = "1"  # noqa: S105  no secret


class Recovery(Protocol):
    """Rebuilds queues; `services.scheduler.recovery.Recovery` does."""

    async def recover(self, upstream: str) -> None:
        """Has the queue rebuilt, whatever state it is in; returns when leases flow, raises `Unavailable`."""
        ...


class QueueServicer(queues_pb2_grpc.QueueServiceServicer):
    """Shows queues and holds them back; to each tenant what is its own, to operators all of it.

    Args:
        upstreams: Which there are.
        queue: How they stand.
        settings: What is set for them.
        recovery: Rebuilds them.
    """

    def __init__(self, *, upstreams: Upstreams, queue: Queue, settings: Settings, recovery: Recovery) -> None:
        self._upstreams = upstreams
        self._queue = queue
        self._settings = settings
        self._recovery = recovery
        self._rebuilds: set[asyncio.Task[None]] = set()

    async def ListQueues(  # noqa: N802  gRPC's name
        self, request: queues_pb2.ListQueuesRequest, context: Context
    ) -> queues_pb2.ListQueuesResponse:
        """A page of queues, in the order of their names."""
        del context
        tenant = asked_tenant(request.tenant)
        size = paging.page_size(request.page_size)
        after = _read_token(request.page_token, tenant)
        rest = [name for name in await self._upstreams.names() if name > after]
        page = rest[:size]
        return queues_pb2.ListQueuesResponse(
            queues=await asyncio.gather(*(self._shown(name, tenant, lanes=0) for name in page)),
            next_page_token=_token(page[-1], tenant) if len(rest) > size else "",
        )

    async def GetQueue(  # noqa: N802  gRPC's name
        self, request: queues_pb2.GetQueueRequest, context: Context
    ) -> queues_pb2.Queue:
        """One queue."""
        del context
        tenant = asked_tenant(request.tenant)
        if request.lanes < 0:
            raise InvalidArgument.field(
                "lanes", f"is {request.lanes}; it takes 1 to {MAX_LANES}, or 0 for {DEFAULT_LANES}"
            )
        await self._upstreams.find(request.upstream)
        return await self._shown(request.upstream, tenant, lanes=min(request.lanes or DEFAULT_LANES, MAX_LANES))

    async def PauseQueue(  # noqa: N802  gRPC's name
        self, request: queues_pb2.PauseQueueRequest, context: Context
    ) -> queues_pb2.Queue:
        """Pauses a tenant's jobs, those of one lane, or all."""
        del context
        tenant = _paused_tenant(request.tenant, request.lane)
        validation.check_reason(request.reason)
        await self._upstreams.find(request.upstream)
        pause = Pause(tenant=tenant, lane=request.lane, reason=request.reason)
        await self._settings.pause(request.upstream, pause)
        return await self._shown(request.upstream, tenant, lanes=DEFAULT_LANES)

    async def ResumeQueue(  # noqa: N802  gRPC's name
        self, request: queues_pb2.ResumeQueueRequest, context: Context
    ) -> queues_pb2.Queue:
        """Takes a pause back."""
        del context
        tenant = _paused_tenant(request.tenant, request.lane)
        await self._upstreams.find(request.upstream)
        await self._settings.resume(request.upstream, tenant=tenant, lane=request.lane)
        return await self._shown(request.upstream, tenant, lanes=DEFAULT_LANES)

    async def GetQueueSettings(  # noqa: N802  gRPC's name
        self, request: queues_pb2.GetQueueSettingsRequest, context: Context
    ) -> queues_pb2.QueueSettings:
        """What is set for a queue."""
        del context
        await self._upstreams.find(request.upstream)
        return await self._settings.of(request.upstream)

    async def SetQueueSettings(  # noqa: N802  gRPC's name
        self, request: queues_pb2.SetQueueSettingsRequest, context: Context
    ) -> queues_pb2.QueueSettings:
        """Sets it anew."""
        del context
        if not request.HasField("settings"):
            raise InvalidArgument.field("settings", "is missing; empty settings go back to the upstream's own")
        validation.check_settings(request.settings)
        await self._upstreams.find(request.upstream)
        await self._settings.set(request.upstream, request.settings)
        return request.settings

    async def RecoverQueue(  # noqa: N802  gRPC's name
        self, request: queues_pb2.RecoverQueueRequest, context: Context
    ) -> queues_pb2.Queue:
        """Has a queue rebuilt; answers when that is done, or when it takes longer than a caller waits."""
        del context
        await self._upstreams.find(request.upstream)
        rebuild = asyncio.create_task(self._recovery.recover(request.upstream), name=f"rebuild-{request.upstream}")
        self._rebuilds.add(rebuild)  # it goes on when nobody waits for it any more
        rebuild.add_done_callback(self._rebuilt)
        await asyncio.wait({rebuild}, timeout=_REBUILD_AWAITED_S)
        if rebuild.done():
            rebuild.result()
        return await self._shown(request.upstream, "", lanes=DEFAULT_LANES)

    def _rebuilt(self, rebuild: asyncio.Task[None]) -> None:
        self._rebuilds.discard(rebuild)
        if not rebuild.cancelled() and (error := rebuild.exception()) is not None:
            log.warning("rebuild_interrupted", task=rebuild.get_name(), error=str(error))

    async def _shown(self, upstream: str, tenant: str, *, lanes: int) -> queues_pb2.Queue:
        """How a queue stands; while it is being rebuilt, no more than that is known."""
        try:
            view = await self._queue.view(upstream, tenant=tenant, lanes=lanes)
        except RecoveryNeeded:  # that is the answer
            return queues_pb2.Queue(upstream=upstream, tenant=tenant, recovering=True)
        return showing.queue_message(upstream, tenant, view)


def _paused_tenant(asked: str, lane: str) -> str:
    """Whose jobs are to be paused or resumed, empty for all tenants'."""
    tenant = asked_tenant(asked)
    if lane and not tenant:
        raise InvalidArgument.field(
            "lane", "is given for all tenants; a lane is one tenant's: name that one, or no lane"
        )
    validation.check_lane(lane)
    return tenant


def _token(last: str, tenant: str) -> str:
    return base64.urlsafe_b64encode(f"{_TOKEN_MARK}:{tenant}:{last}".encode()).decode()


def _read_token(token: str, tenant: str) -> str:
    """The name after which the page begins; empty for the first."""
    if not token:
        return ""
    try:
        text = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):  # said below
        text = ""
    mark, _, rest = text.partition(":")
    whose, _, last = rest.partition(":")
    if mark != _TOKEN_MARK or whose != tenant:
        raise InvalidArgument.field(
            "pageToken", "is none of this list's; send an answer's nextPageToken as it is, with the same arguments"
        )
    return last
