"""What every RPC passes, in this order; each layer wraps the next, and the handler is the innermost.

request id   first, so that everything after it is logged under the id
telemetry    outside errors, so that it counts the code that the caller gets
errors       outside identity, so that refusals leave as well-formed statuses
identity     before permission, which asks who it is
permission
deadline     last, so that refusals cost nothing of it
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    aclosing,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from typing import TYPE_CHECKING, Any, cast

import grpc
import structlog
from google.protobuf.message import DecodeError
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from shared import errors, ids, observability
from shared.identity import IDENTITY_HEADER, TokenVerifier
from shared.permissions import permission_for
from shared.rpc import call as current_call
from shared.rpc import status
from shared.rpc.call import Call

if TYPE_CHECKING:
    from google.protobuf.message import Message

log = observability.logger()

Layer = Callable[[Call], AbstractAsyncContextManager[None]]
REQUEST_ID_HEADER = "x-request-id"
#: Asked many times a second and of interest only when something is wrong: logged at debug, and without a span. The
#: gateway's question to auth is part of every request, which has its own line and span.
_QUIET = ("/grpc.", "/envoy.service.auth.")
#: With less than this left, the answer would come too late.
_LEAST_TIME_S = 0.005


@asynccontextmanager
async def request_id(call: Call) -> AsyncGenerator[None]:
    """Takes the caller's request id if it is well formed, or makes one."""
    given = call.metadata.get(REQUEST_ID_HEADER, "")
    call.request_id = given if ids.is_request_id(given) else ids.new_request_id()
    with structlog.contextvars.bound_contextvars(request_id=call.request_id):
        yield


@asynccontextmanager
async def telemetry(call: Call) -> AsyncGenerator[None]:
    """Counts and times the call, logs it and traces it."""
    began = time.perf_counter()
    quiet = call.method.startswith(_QUIET)
    code = "CANCELLED"
    with nullcontext() if quiet else _traced(call) as span:
        try:
            yield
            code = "OK"
        finally:
            if call.error is not None:
                code = call.error.code
                if span is not None:
                    span.set_status(Status(StatusCode.ERROR, call.error.reason))
            seconds = time.perf_counter() - began
            observability.RPCS.labels(call.service, call.method, code).inc()
            observability.RPC_SECONDS.labels(call.service, call.method).observe(seconds)
            (log.debug if quiet else log.info)(
                "rpc_answered",
                method=call.method,
                code=code,
                reason=call.error.reason if call.error is not None else None,
                duration_ms=round(seconds * 1000, 2),
                principal=call.principal.id if call.principal is not None else None,
                tenant=call.principal.tenant if call.principal is not None else None,
            )


@contextmanager
def _traced(call: Call) -> Generator[Span]:
    """A span around the call, and its trace in every log line of it."""
    traceparent = call.metadata.get(observability.TRACEPARENT)
    with (
        observability.span(call.method, kind=SpanKind.SERVER, traceparent=traceparent) as span,
        structlog.contextvars.bound_contextvars(trace_id=observability.current_trace_id()),
    ):
        yield span


@asynccontextmanager
async def error_mapping(call: Call) -> AsyncGenerator[None]:
    """Turns what is raised into a status; what is not in the tree leaves as an error id alone."""
    try:
        yield
    except errors.PenstockError as error:
        call.error = error
    except TimeoutError:
        call.error = errors.DeadlineExceeded("the call took longer than its deadline; try again with more time")
    except (grpc.aio.AbortError, asyncio.CancelledError):
        raise
    except Exception:
        error_id = ids.new_error_id()
        log.exception("rpc_failed", method=call.method, error_id=error_id)
        call.error = errors.Internal(
            f"an internal error occurred; report it with the id {error_id}", metadata={"error_id": error_id}
        )
    if call.error is not None:
        metadata = status.initial_metadata(call.error)
        if metadata and not call.begun:
            await call.context.send_initial_metadata(metadata)
        await call.context.abort_with_status(status.to_status(call.error))


def identity(verifier: TokenVerifier) -> Layer:
    """Verifies the identity token of every RPC that is not anonymous."""

    @asynccontextmanager
    async def layer(call: Call) -> AsyncGenerator[None]:
        if permission_for(call.method).anonymous:
            yield
            return
        token = call.metadata.get(IDENTITY_HEADER)
        if token is None:
            raise errors.Unauthenticated("this call carries no identity; call through the gateway with an API key")
        call.principal = verifier.verify(token)
        with structlog.contextvars.bound_contextvars(tenant=call.principal.tenant, principal=call.principal.id):
            yield

    return layer


@asynccontextmanager
async def permission(call: Call) -> AsyncGenerator[None]:
    """Lets pass whom the table allows."""
    entry = permission_for(call.method)
    if call.principal is not None:
        entry.check(call.method, call.principal)
    elif not entry.anonymous:
        raise errors.Unauthenticated("this call carries no identity")
    yield


@asynccontextmanager
async def deadline(call: Call) -> AsyncGenerator[None]:
    """Notes the caller's deadline, from which every call that this one makes takes its own."""
    remaining = cast("float | None", call.context.time_remaining())
    if remaining is not None:
        if remaining < _LEAST_TIME_S:
            raise errors.DeadlineExceeded("too little time is left to answer; call with a later deadline")
        call.deadline = time.monotonic() + remaining
    yield


def standard_layers(verifier: TokenVerifier) -> tuple[Layer, ...]:
    """The layers of every server, outermost first."""
    return (request_id, telemetry, error_mapping, identity(verifier), permission, deadline)


class LayeredInterceptor(grpc.aio.ServerInterceptor):
    """Runs every RPC inside the layers, where its request is read too: a malformed one is an error like any other.

    Args:
        service: The service that answers.
        layers: Outermost first.
    """

    def __init__(self, service: str, layers: tuple[Layer, ...]) -> None:
        self._service = service
        self._layers = layers

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any]:
        """Wraps the handler of one RPC."""
        handler = cast("Any", await continuation(handler_call_details))
        method = handler_call_details.method
        if handler is None:
            return self._unknown(method)
        if handler.request_streaming:  # reflection alone; it reads nothing of a tenant's
            return handler
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._streaming(method, handler), response_serializer=handler.response_serializer
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(method, handler), response_serializer=handler.response_serializer
        )

    def _enter(self, method: str, context: grpc.aio.ServicerContext[Any, Any]) -> Call:
        metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        call = Call(method=method, service=self._service, metadata=metadata, context=context)
        current_call.enter(call)
        return call

    def _unary(self, method: str, handler: Any) -> Callable[[bytes, Any], Awaitable[Any]]:
        async def answer(request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            async with AsyncExitStack() as stack:
                call = self._enter(method, context)
                for layer in self._layers:
                    await stack.enter_async_context(layer(call))
                return await handler.unary_unary(_read(handler, request), context)

        return answer

    def _streaming(self, method: str, handler: Any) -> Callable[[bytes, Any], Awaitable[None]]:
        # Writes by itself: of a generator that yields to gRPC, the layers would end after a cancel in another task.
        async def answer(request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> None:
            async with AsyncExitStack() as stack:
                call = self._enter(method, context)
                for layer in self._layers:
                    await stack.enter_async_context(layer(call))
                async with aclosing(handler.unary_stream(_read(handler, request), context)) as responses:
                    async for response in responses:
                        call.begun = True
                        await context.write(response)

        return answer

    def _unknown(self, method: str) -> grpc.RpcMethodHandler[Any, Any]:
        async def answer(_: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> None:
            error = errors.Unimplemented(f"{method} is not offered by the service {self._service}")
            await context.abort_with_status(status.to_status(error))

        return grpc.unary_unary_rpc_method_handler(answer)


def _read(handler: Any, request: bytes) -> Message:
    try:
        return handler.request_deserializer(request)
    except DecodeError as error:
        raise errors.InvalidArgument(
            "the request is not a well-formed protobuf message; every text in it must be valid UTF-8"
        ) from error
