"""What every RPC passes, in this order, before its handler runs.

request id   first, so that everything after it is logged under the id
telemetry    outside errors, so that it counts the code that the caller gets
errors       outside identity, so that refusals leave as well-formed statuses
identity     before permission, which asks who it is
permission
deadline     last, so that refusals cost nothing of it

What is audited is taken down before it is answered: a change with what it was answered, a refusal when it is one.

They are steps of one coroutine (`_answer`), not context managers around each other: those cost a tenth of a submission.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing, contextmanager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import grpc
import structlog
from google.protobuf.message import DecodeError
from grpc._cython import cygrpc
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from shared import errors, ids, observability
from shared.audit import AUDITED, REFUSING
from shared.identity import IDENTITY_HEADER, TokenVerifier
from shared.permissions import permission_for
from shared.rpc import call as current_call
from shared.rpc import status
from shared.rpc.call import Call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from google.protobuf.message import Message
    from prometheus_client import Counter, Histogram

    from shared.audit import Audit
    from shared.rpc.key_uses import KeyUses
    from shared.rpc.open_streams import OpenStreams

log = observability.logger()

REQUEST_ID_HEADER = "x-request-id"
#: Asked many times a second and of interest only when something is wrong: logged at debug, and without a span. The
#: gateway's question to auth is part of every request, which has its own line and span.
_QUIET = ("/grpc.", "/envoy.service.auth.")
#: With less than this left, the answer would come too late.
_LEAST_TIME_S = 0.005


class Interceptor(grpc.aio.ServerInterceptor):
    """Runs every RPC through the steps; its request is read within them: a malformed one is an error like any other.

    Args:
        service: The service that answers.
        verifier: Who may vouch for callers.
        streams: Where streams are known by who watches.
        uses: Counts what keys do.
        audit: Takes down what is audited.
    """

    def __init__(
        self, service: str, verifier: TokenVerifier, streams: OpenStreams, *, uses: KeyUses, audit: Audit
    ) -> None:
        self._service = service
        self._verifier = verifier
        self._streams = streams
        self._uses = uses
        self._audit = audit

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

    def _unary(self, method: str, handler: Any) -> Callable[[bytes, Any], Awaitable[Any]]:
        async def answer(request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            async def work(call: Call) -> Any:
                call.request = _read(handler, request)
                return await handler.unary_unary(call.request, context)

            return await self._answer(method, context, work)

        return answer

    def _streaming(self, method: str, handler: Any) -> Callable[[bytes, Any], Awaitable[None]]:
        # Writes by itself: a generator that yields to gRPC would be ended after a cancel in another task.
        async def answer(request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> None:
            async def work(call: Call) -> None:
                call.request = _read(handler, request)
                with self._streams.held_by(call.principal) as stream:
                    async with aclosing(handler.unary_stream(call.request, context)) as responses:
                        async for response in responses:
                            call.begun = True
                            with stream.writing():
                                await _write(context, response)

            await self._answer(method, context, work)

        return answer

    def _unknown(self, method: str) -> grpc.RpcMethodHandler[Any, Any]:
        async def answer(_: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> None:
            error = errors.Unimplemented(f"{method} is not offered by the service {self._service}")
            await context.abort_with_status(status.to_status(error))

        return grpc.unary_unary_rpc_method_handler(answer)

    async def _answer(
        self, method: str, context: grpc.aio.ServicerContext[Any, Any], work: Callable[[Call], Awaitable[Any]]
    ) -> Any:
        """One call, from its request id to its line in the log. It has a task, and so a context, of its own."""
        metadata = [(key, value) for key, value in context.invocation_metadata() or () if isinstance(value, str)]
        call = Call(method=method, service=self._service, metadata=_by_name(metadata), context=context)
        current_call.enter(call)
        _take_request_id(call)
        began = time.perf_counter()
        quiet = method.startswith(_QUIET)
        code = "CANCELLED"
        with nullcontext() if quiet else _traced(call) as span:
            try:
                self._identify(call)
                _permit(call)
                _note_deadline(call)
                answer = await work(call)
                if method in AUDITED:
                    await self._audit.done(call, answer)
                code = "OK"
                return answer  # noqa: TRY300  whatever is raised before it is refused below
            except grpc.aio.AbortError:
                raise
            except asyncio.CancelledError:
                if method in AUDITED:
                    self._audit.left(call)
                raise
            except Exception as error:  # noqa: BLE001  each leaves as a status
                call.error = _error_of(call, error)
                code = call.error.code
                if code in REFUSING or method in AUDITED:
                    await self._audit.failed(call)
                if span is not None:
                    span.set_status(Status(StatusCode.ERROR, call.error.reason))
                await _refuse(call, call.error)
            finally:
                self._uses.note(call)
                _tell(call, code, time.perf_counter() - began, quiet=quiet)

    def _identify(self, call: Call) -> None:
        """Verifies the identity token of every RPC that is not anonymous."""
        if permission_for(call.method).anonymous:
            return
        token = call.metadata.get(IDENTITY_HEADER)
        if token is None:
            raise errors.Unauthenticated("this call carries no identity; call through the gateway with an API key")
        call.principal = self._verifier.verify(token)
        structlog.contextvars.bind_contextvars(tenant=call.principal.tenant, principal=call.principal.id)


async def _write(context: grpc.aio.ServicerContext[Any, Any], response: Any) -> None:
    """Sends a message of a stream. That it cannot be sent means that its client is gone: no fault of ours."""
    try:
        await context.write(response)
    except cygrpc.ExecuteBatchError:  # pyright: ignore[reportAttributeAccessIssue]  the stubs lack what is in no public module
        raise asyncio.CancelledError from None


def _by_name(metadata: list[tuple[str, str]]) -> dict[str, str]:
    """The metadata; values that differ under one name stand in one, parted by commas (RFC 9110, 5.3): none is lost."""
    found = dict(metadata)
    if len(found) < len(metadata):
        for name in found:
            found[name] = ", ".join(dict.fromkeys(value for key, value in metadata if key == name))
    return found


def _take_request_id(call: Call) -> None:
    """Takes the caller's request id if it is well formed, or makes one."""
    given = call.metadata.get(REQUEST_ID_HEADER, "")
    call.request_id = given if ids.is_request_id(given) else ids.new_request_id()
    structlog.contextvars.bind_contextvars(request_id=call.request_id)


@contextmanager
def _traced(call: Call) -> Generator[Span]:
    """A span around the call, and its trace in every log line of it."""
    traceparent = call.metadata.get(observability.TRACEPARENT)
    with observability.span(call.method, kind=SpanKind.SERVER, traceparent=traceparent) as span:
        structlog.contextvars.bind_contextvars(trace_id=observability.current_trace_id())
        yield span


def _permit(call: Call) -> None:
    """Lets pass whom the table allows."""
    entry = permission_for(call.method)
    if call.principal is not None:
        entry.check(call.method, call.principal)
    elif not entry.anonymous:
        raise errors.Unauthenticated("this call carries no identity")


def _note_deadline(call: Call) -> None:
    """Notes the caller's deadline, from which every call that this one makes takes its own."""
    remaining = cast("float | None", call.context.time_remaining())
    if remaining is not None:
        if remaining < _LEAST_TIME_S:
            raise errors.DeadlineExceeded("too little time is left to answer; call with a later deadline")
        call.deadline = time.monotonic() + remaining


def _error_of(call: Call, error: Exception) -> errors.PenstockError:
    """The error as it leaves; what is not in the tree leaves as an error id alone."""
    if isinstance(error, errors.PenstockError):
        return error
    if isinstance(error, TimeoutError):
        return errors.DeadlineExceeded("the call took longer than its deadline; try again with more time")
    error_id = ids.new_error_id()
    log.error("rpc_failed", method=call.method, error_id=error_id, exc_info=error)
    return errors.Internal(
        f"an internal error occurred; report it with the id {error_id}", metadata={"error_id": error_id}
    )


async def _refuse(call: Call, error: errors.PenstockError) -> None:
    """Ends the call with a status."""
    metadata = status.initial_metadata(error)
    if metadata and not call.begun:
        await call.context.send_initial_metadata(metadata)
    await call.context.abort_with_status(status.to_status(error))


def _tell(call: Call, code: str, seconds: float, *, quiet: bool) -> None:
    """Counts and times the call, and logs it."""
    _answered(call.service, call.method, code).inc()
    _seconds(call.service, call.method).observe(seconds)
    (log.debug if quiet else log.info)(
        "rpc_answered",
        method=call.method,
        code=code,
        reason=call.error.reason if call.error is not None else None,
        duration_ms=round(seconds * 1000, 2),
        principal=call.principal.id if call.principal is not None else None,
        tenant=call.principal.tenant if call.principal is not None else None,
    )


@cache
def _answered(service: str, method: str, code: str) -> Counter:
    return observability.RPCS.labels(service, method, code)


@cache
def _seconds(service: str, method: str) -> Histogram:
    return observability.RPC_SECONDS.labels(service, method)


def _read(handler: Any, request: bytes) -> Message:
    try:
        return handler.request_deserializer(request)
    except DecodeError as error:
        raise errors.InvalidArgument(
            "the request is not a well-formed protobuf message; every text in it must be valid UTF-8"
        ) from error
