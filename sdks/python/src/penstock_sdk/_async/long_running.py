"""Operations, waited for: what takes longer than a call."""

from __future__ import annotations

from datetime import timedelta

from penstock_sdk import operations
from penstock_sdk._async.calls import encoded
from penstock_sdk._async.deadline import AsyncDeadline
from penstock_sdk._async.resources import AsyncOperationCalls
from penstock_sdk.errors import PenstockError
from penstock_sdk.models import Operation

#: How long one `:wait` lasts at most.
_POLL_S = 30.0
#: How much earlier than the wait's end its last answer is to come.
_MARGIN_S = 0.25
#: Between two looks, for an answer may come at once.
_PAUSE_S = 0.25


class AsyncOperations(AsyncOperationCalls):
    """Operations: jobs canceled or tried again in bulk, data exported or erased."""

    async def wait(self, operation_id: str, timeout_s: float | None = None) -> Operation:
        """The operation when it is done; it then has a `response`, or the `error` that it came to nothing by.

        Args:
            operation_id: Which; its `name` will do.
            timeout_s: How long it is waited for, in seconds; as long as it takes unless given.

        Raises:
            WaitTimeout: It is not done by then; it goes on.
            OperationNotFound: There is no such operation.
            NoAnswer: Penstock could not be reached for as long as calls are tried again.
        """
        deadline = AsyncDeadline(self._calls.pacing, timeout_s)
        tries = self._calls.tries()
        while True:
            pause_s = _PAUSE_S
            try:
                operation = await self._polled(operation_id, deadline)
                if operation.done:
                    return operation
                tries = self._calls.tries()
            except PenstockError as error:
                pause_s = tries.pause_after(error)
                if pause_s >= deadline.left_s:
                    raise deadline.timeout(operation_id, "") from error
            if deadline.left_s <= 0:
                raise deadline.timeout(operation_id, "")
            await deadline.pause(pause_s)

    async def _polled(self, operation_id: str, deadline: AsyncDeadline) -> Operation:
        """The operation when it is done, or as it stands after a while."""
        poll_s = min(_POLL_S, self._calls.timeout_s / 2, deadline.left_s - _MARGIN_S)
        wait = {"timeout": timedelta(seconds=poll_s)} if poll_s > 0 else {}
        said = await self._calls.transport.send(
            operations.WAIT_OPERATION if wait else operations.GET_OPERATION,
            encoded({"operationId": operation_id, **wait}),
            idempotency_key=None,
            timeout_s=min(self._calls.timeout_s, max(deadline.left_s, 1.0)),
        )
        return self._calls.read(Operation, said)
