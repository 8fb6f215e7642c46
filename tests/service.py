"""A service in this process, behind a real port, and channels to it as anyone."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import grpc

from shared.identity import IDENTITY_HEADER
from shared.lifecycle import Process
from shared.rpc.server import CHANNEL_OPTIONS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence

    from shared.config import ConfigT

#: Of the services that history calls, where none is.
NONE_BESIDE_HISTORY = dict.fromkeys(
    [f"{service}_address" for service in ("auth", "intake", "scheduler", "upstream", "webhooks")], "127.0.0.1:1"
)
_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 120.0


@asynccontextmanager
async def running(
    service: str, serve: Callable[[ConfigT, Process], Coroutine[Any, Any, None]], config: ConfigT
) -> AsyncIterator[str]:
    """Runs a service's `serve`, the whole composition root, and yields its address; drains it at the end.

    Args:
        service: Its name.
        serve: Of its `__main__`.
        config: Its settings; with `grpc_address="127.0.0.1:0"` it takes a free port.
    """
    process = Process(service, config)
    async with running_process(process, serve(config, process)) as address:
        yield address


@asynccontextmanager
async def running_process(process: Process, serving: Coroutine[Any, Any, None]) -> AsyncIterator[str]:
    """The same for a process made by the test, which may then look inside, or stop it by `process.stopping`."""
    task = asyncio.create_task(serving)
    started = asyncio.create_task(process.started.wait())
    try:
        await asyncio.wait({task, started}, return_when=asyncio.FIRST_COMPLETED, timeout=_START_TIMEOUT_S)
        if task.done():
            await task  # raises what ended it
        assert started.done(), f"{process.service} did not start within {_START_TIMEOUT_S:g} s"
        yield f"127.0.0.1:{process.port}"
    finally:
        started.cancel()
        process.stopping.set()
        if not process.started.is_set():
            task.cancel()
        await asyncio.wait({task}, timeout=_STOP_TIMEOUT_S)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
            raise AssertionError(f"{process.service} did not stop within {_STOP_TIMEOUT_S:g} s of being told to")
    if not task.cancelled():
        task.result()  # a loop that failed while the test ran fails the test


@asynccontextmanager
async def channel(
    address: str, token: str | None = None, *, metadata: Mapping[str, str] | None = None
) -> AsyncIterator[grpc.aio.Channel]:
    """A channel whose every call carries an identity token; failures are gRPC's own `AioRpcError`.

    Args:
        address: `host:port`.
        token: Of `identities.mint(...)`, or None for a caller past the gateway without any.
        metadata: Sent with every call beside it.
    """
    carried = [*(metadata or {}).items(), *([(IDENTITY_HEADER, token)] if token is not None else [])]
    interceptors = [_UnaryCarrier(carried), _StreamCarrier(carried)]
    connection = grpc.aio.insecure_channel(
        address, options=CHANNEL_OPTIONS, interceptors=cast("Sequence[Any]", interceptors)
    )
    async with connection:
        yield connection


def _carrying(details: grpc.aio.ClientCallDetails, carried: Sequence[tuple[str, str]]) -> grpc.aio.ClientCallDetails:
    return grpc.aio.ClientCallDetails(
        method=details.method,
        timeout=details.timeout,
        metadata=grpc.aio.Metadata(*(details.metadata or ()), *carried),
        credentials=details.credentials,
        wait_for_ready=details.wait_for_ready,
    )


class _UnaryCarrier(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, carried: Sequence[tuple[str, str]]) -> None:
        self._carried = carried

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(_carrying(client_call_details, self._carried), request)


class _StreamCarrier(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, carried: Sequence[tuple[str, str]]) -> None:
        self._carried = carried

    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(_carrying(client_call_details, self._carried), request)
