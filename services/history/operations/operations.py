"""Begins operations, shows them, ends and forgets them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from services.history.errors import OperationNotFinished, OperationNotFound
from services.history.operations.domain import COLLECTION, MOST_RUNNING, Operation, to_milliseconds
from shared import ids, observability
from shared.errors import IdempotencyKeyReused, RateLimited

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from services.history.operations.domain import Asked, Filter, Kind
    from services.history.operations.ends import Ends
    from services.history.operations.store import OperationStore
    from shared.clock import Clock
    from shared.paging import Position

log = observability.logger()

_RETRY_AFTER = timedelta(seconds=30)


class Operations:
    """The operations of every tenant.

    Args:
        store: Keeps them.
        ends: Knows when they end.
        wake: Has their turns taken, here and now.
        clock: The time.
    """

    def __init__(self, *, store: OperationStore, ends: Ends, wake: Callable[[], None], clock: Clock) -> None:
        self._store = store
        self._ends = ends
        self._wake = wake
        self._clock = clock

    async def begin(self, asked: Asked, metadata: Callable[[datetime], bytes]) -> Operation:
        """Begins an operation; the same request under the same id is answered with the one that it has begun.

        Args:
            asked: What for.
            metadata: How far it is at its beginning, serialised, by the time of that.

        Raises:
            IdempotencyKeyReused: Another request has begun one under this id.
            RateLimited: As many of the tenant's run as may.
            Unavailable: MongoDB is away; it may be begun.
        """
        known = await self._known(asked)
        if known is not None:
            return known
        await self._check_limit(asked.tenant, asked.kind)
        now = to_milliseconds(self._clock.now())
        operation = Operation(
            id=ids.new_operation_id(),
            tenant=asked.tenant,
            principal=asked.principal,
            kind=asked.kind,
            request_id=asked.request_id,
            request=asked.request,
            created_at=now,
            metadata=metadata(now),
            updated_at=now,
        )
        if not await self._store.add(operation):  # the same request came twice at the same time
            return await self._known(asked) or await self.begin(asked, metadata)
        log.info("operation_begun", operation=operation.id, kind=operation.kind, tenant=operation.tenant)
        self._wake()
        return operation

    async def find(self, tenant: str | None, name: str) -> Operation:
        """A tenant's operation; None stands for any tenant.

        Raises:
            OperationNotFound: It has none of this name.
            Unavailable: MongoDB is away.
        """
        operation_id = _id_of(name)
        operation = await self._store.operation(tenant, operation_id) if operation_id else None
        if operation is None:
            raise _not_found(name)
        return operation

    async def list(self, tenant: str, wanted: Filter, *, limit: int, after: Position | None) -> Sequence[Operation]:
        """A tenant's operations that match, newest first, those that come after the position.

        Raises:
            Unavailable: MongoDB is away.
        """
        return await self._store.operations(tenant, wanted, limit=limit, after=after)

    async def wait(self, tenant: str | None, name: str, *, at_most: timedelta) -> Operation:
        """A tenant's operation when it has ended, or as it stands when the time is over.

        Raises:
            OperationNotFound: It has none of this name.
            Unavailable: MongoDB is away.
        """
        with self._ends.waiting_for(_id_of(name)) as end:  # first, then read: what ends in between is not missed
            operation = await self.find(tenant, name)
            if operation.ended or not await end.comes(at_most):
                return operation
        return await self.find(tenant, name)

    async def cancel(self, operation: Operation) -> None:
        """Has an operation end as soon as that is sound; one that has ended stays as it is.

        Raises:
            OperationNotFound: It is gone.
            Unavailable: MongoDB is away; it may end.
        """
        now = to_milliseconds(self._clock.now())
        found = await self._store.ask_to_cancel(operation.tenant, operation.id, now=now)
        if found is None:
            raise _not_found(operation.name)
        log.info("operation_cancel_asked", operation=operation.id, kind=operation.kind, state=found.state)
        self._wake()

    async def forget(self, operation: Operation) -> None:
        """Forgets an operation that has ended, and the id of its request.

        Raises:
            OperationNotFinished: It runs.
            Unavailable: MongoDB is away; it may be forgotten.
        """
        if not operation.ended:
            raise OperationNotFinished(
                f"{operation.name} has not ended; cancel it first (:cancel), or wait for its end (:wait)",
                metadata={"operation": operation.name},
            )
        await self._store.remove(operation.tenant, operation.id)
        log.info("operation_forgotten", operation=operation.id, kind=operation.kind)

    async def _known(self, asked: Asked) -> Operation | None:
        if not asked.request_id:
            return None
        known = await self._store.of_request(asked.tenant, asked.request_id)
        if known is not None and not known.is_for(asked):
            raise IdempotencyKeyReused(
                "another request was made under this requestId; take a new one for a new request",
                metadata={"operation": known.name},
            )
        return known

    async def _check_limit(self, tenant: str, kind: Kind) -> None:
        most = MOST_RUNNING[kind]
        if await self._store.running(tenant, kind, limit=most) >= most:
            raise RateLimited(
                f"{most} operations {kind} are running, and no more may; wait for one to end, or cancel one",
                metadata={"scope": "operations", "kind": kind, "limit": str(most)},
                retry_after=_RETRY_AFTER,
            )


def _id_of(name: str) -> str:
    """The id in an operation's name; empty where it is none."""
    collection, _, operation_id = name.partition("/")
    return operation_id if collection == COLLECTION and ids.is_operation_id(operation_id) else ""


def _not_found(name: str) -> OperationNotFound:
    return OperationNotFound(f"there is no operation {name[:80]!r}", metadata={"operation": name[:80]})
