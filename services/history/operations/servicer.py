"""`google.longrunning.Operations`: protos to domain and back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf import empty_pb2

from services.history.operations.domain import COLLECTION, Kind, State
from services.history.operations.messages import message_of, read_filter
from shared import paging
from shared.errors import InvalidArgument, PermissionDenied, shown
from shared.paging import Position
from shared.permissions import Scope
from shared.rpc import call as current_call
from shared.rpc.call import current_principal, current_tenant

if TYPE_CHECKING:
    from collections.abc import Mapping

    import grpc

    from services.history.operations.domain import Operation, Runner
    from services.history.operations.operations import Operations
    from shared.paging import PageTokens

DEFAULT_WAIT = timedelta(seconds=30)
MAX_WAIT = timedelta(seconds=60)
#: What is kept of the caller's time to answer with the operation as it stands.
_ANSWER_MARGIN = timedelta(milliseconds=250)
#: What it takes to end or forget an operation: what it took to begin it.
_SCOPES = {
    Kind.CANCEL_JOBS: Scope.JOBS_WRITE,
    Kind.RETRY_JOBS: Scope.JOBS_WRITE,
    Kind.EXPORT_DATA: Scope.DATA_WRITE,
    Kind.ERASE_DATA: Scope.DATA_WRITE,
}


class OperationsServicer(operations_pb2_grpc.OperationsServicer):
    """Answers for the operations of the caller's tenant.

    Args:
        operations: All of them.
        runners: Know what they came to.
        tokens: Makes and reads page tokens.
    """

    def __init__(self, *, operations: Operations, runners: Mapping[Kind, Runner], tokens: PageTokens) -> None:
        self._operations = operations
        self._runners = runners
        self._tokens = tokens

    async def ListOperations(  # noqa: N802  gRPC's name
        self, request: operations_pb2.ListOperationsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> operations_pb2.ListOperationsResponse:
        """A page of operations, newest first."""
        del context
        if request.name not in {"", COLLECTION}:
            raise InvalidArgument.field("name", f"is {shown(request.name)}; operations lie in {COLLECTION!r} alone")
        tenant, size, wanted = current_tenant(), paging.page_size(request.page_size), read_filter(request.filter)
        list_ = f"operations {tenant} {wanted.kind} {wanted.ended}"
        after = self._tokens.read(request.page_token, bound_to=list_)
        found = await self._operations.list(tenant, wanted, limit=size + 1, after=after)
        page = found[:size]
        token = ""
        if len(found) > size:
            last = Position(created_at=page[-1].created_at, id=page[-1].id)
            token = self._tokens.make(last, bound_to=list_)
        return operations_pb2.ListOperationsResponse(
            operations=[await self.shown(each) for each in page], next_page_token=token
        )

    async def GetOperation(  # noqa: N802  gRPC's name
        self, request: operations_pb2.GetOperationRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> operations_pb2.Operation:
        """An operation as it stands."""
        del context
        return await self.shown(await self._operations.find(_whose(), request.name))

    async def WaitOperation(  # noqa: N802  gRPC's name
        self, request: operations_pb2.WaitOperationRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> operations_pb2.Operation:
        """An operation when it has ended, or time is up."""
        del context
        at_most = _timeout(request) if request.HasField("timeout") else DEFAULT_WAIT
        call = current_call.current()
        remaining_s = call.remaining_s() if call else None
        if remaining_s is not None:
            at_most = min(at_most, max(timedelta(seconds=remaining_s) - _ANSWER_MARGIN, timedelta()))
        return await self.shown(await self._operations.wait(_whose(), request.name, at_most=at_most))

    async def CancelOperation(  # noqa: N802  gRPC's name
        self, request: operations_pb2.CancelOperationRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> empty_pb2.Empty:
        """Has an operation end."""
        del context
        await self._operations.cancel(await self._changeable(request.name))
        return empty_pb2.Empty()

    async def DeleteOperation(  # noqa: N802  gRPC's name
        self, request: operations_pb2.DeleteOperationRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> empty_pb2.Empty:
        """Forgets an operation that has ended."""
        del context
        await self._operations.forget(await self._changeable(request.name))
        return empty_pb2.Empty()

    async def _changeable(self, name: str) -> Operation:
        """The caller's operation, which it may end or forget."""
        operation = await self._operations.find(_whose(), name)
        scope = _SCOPES[operation.kind]
        if scope not in current_principal().scopes:
            raise PermissionDenied(
                f"{operation.name} is of the kind {operation.kind}, and this API key lacks the scope {scope.value!r}; "
                "use a key that has it",
                metadata={"scope": scope.value},
            )
        return operation

    async def shown(self, operation: Operation) -> operations_pb2.Operation:
        """An operation as callers see it.

        Raises:
            Unavailable: What signs the links in it is away.
        """
        runner = self._runners.get(operation.kind)
        shown_now = operation.state is State.SUCCEEDED and runner is not None
        return message_of(operation, await runner.response(operation) if shown_now and runner else operation.response)


def _whose() -> str | None:
    """Whose operations the caller may name: its tenant's; for an operator anyone's."""
    tenant = current_tenant()
    return None if Scope.OPERATOR in current_principal().scopes else tenant


def _timeout(request: operations_pb2.WaitOperationRequest) -> timedelta:
    try:
        timeout = request.timeout.ToTimedelta()
    except (ValueError, OverflowError):
        raise InvalidArgument.field("timeout", "is no duration; send seconds such as 30s") from None
    if not timedelta() <= timeout <= MAX_WAIT:
        given, most = timeout.total_seconds(), MAX_WAIT.total_seconds()
        raise InvalidArgument.field("timeout", f"is {given:g}s; it must be 0s to {most:g}s; call again to wait longer")
    return timeout
