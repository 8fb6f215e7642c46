"""The client: every call carries an identity, a request id, the trace and a deadline, and raises errors of the tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import grpc

from shared import errors, observability
from shared.identity import CLIENT_ADDRESS_HEADER, IDENTITY_HEADER
from shared.rpc import call as current_call
from shared.rpc import status
from shared.rpc.interceptors import REQUEST_ID_HEADER
from shared.rpc.server import CHANNEL_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from shared.identity import ServiceIdentity

#: What a hop keeps of its caller's time, to answer with an error of its own when the callee is late.
_HOP_MARGIN_S = 0.02
_LEAST_TIME_S = 0.005


def connect(
    address: str, identity: ServiceIdentity, *, default_timeout: timedelta, on_behalf_of_caller: bool = False
) -> grpc.aio.Channel:
    """A channel to another service; it connects by itself, and again after a loss.

    Args:
        address: `host:port`.
        identity: In whose name calls are made.
        default_timeout: For calls that are given none and are made on no caller's behalf.
        on_behalf_of_caller: Calls are made in the name of whoever calls this service, with the caller's own token: for
            what the callee is to allow or refuse as if it were asked directly.
    """
    interceptor = _Outgoing(identity, default_timeout.total_seconds(), on_behalf_of_caller=on_behalf_of_caller)
    options = (*CHANNEL_OPTIONS, ("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 2000))
    return grpc.aio.insecure_channel(address, interceptors=cast("Sequence[Any]", [interceptor]), options=options)


class _Outgoing(grpc.aio.UnaryUnaryClientInterceptor):
    """Adds to a call what every call carries, and rebuilds the typed error of a failed one."""

    def __init__(self, identity: ServiceIdentity, default_timeout_s: float, *, on_behalf_of_caller: bool) -> None:
        self._identity = identity
        self._default_timeout_s = default_timeout_s
        self._on_behalf_of_caller = on_behalf_of_caller

    async def intercept_unary_unary(
        self,
        continuation: Callable[[grpc.aio.ClientCallDetails, Any], Any],
        client_call_details: grpc.aio.ClientCallDetails,
        request: Any,
    ) -> Any:
        details = grpc.aio.ClientCallDetails(
            method=client_call_details.method,
            timeout=self._timeout(client_call_details.timeout),
            metadata=self._metadata(client_call_details.metadata),
            credentials=client_call_details.credentials,
            wait_for_ready=client_call_details.wait_for_ready,
        )
        try:
            answer = await continuation(details, request)
            return await answer
        except grpc.aio.AioRpcError as failure:
            raise status.from_rpc_error(failure) from failure

    def _timeout(self, asked: float | None) -> float:
        call = current_call.current()
        remaining = call.remaining_s() if call is not None else None
        if remaining is None:
            return asked if asked is not None else self._default_timeout_s
        budget = remaining - _HOP_MARGIN_S
        if budget < _LEAST_TIME_S:
            raise errors.DeadlineExceeded("too little time is left to ask another service; call with a later deadline")
        return budget if asked is None else min(asked, budget)

    def _metadata(self, given: grpc.aio.Metadata | None) -> grpc.aio.Metadata:
        metadata = grpc.aio.Metadata(*(given or ()))
        metadata.add(IDENTITY_HEADER, self._callers_token() if self._on_behalf_of_caller else self._identity.token())
        traceparent = observability.current_traceparent()
        if traceparent:
            metadata.add(observability.TRACEPARENT, traceparent)
        call = current_call.current()
        if call is not None:
            metadata.add(REQUEST_ID_HEADER, call.request_id)
            address = call.metadata.get(CLIENT_ADDRESS_HEADER)
            if address is not None:
                metadata.add(CLIENT_ADDRESS_HEADER, address)
        return metadata

    @staticmethod
    def _callers_token() -> str:
        call = current_call.current()
        token = call.metadata.get(IDENTITY_HEADER) if call is not None else None
        if token is None:
            raise errors.Unauthenticated("this call is made on its caller's behalf, and there is no caller")
        return token
