"""The store of operations in memory; `tests/contract/test_operation_store.py` holds it to what the real one does."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from services.history.operations.domain import State
from services.history.operations.store import Turn
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from services.history.operations.domain import Filter, Kind, Operation, Step
    from shared.paging import Position


class FakeOperationStore:
    """Keeps operations in memory; can be away."""

    def __init__(self) -> None:
        self.by_id: dict[str, Operation] = {}
        #: When the turn of each is due, who has it, and how many have failed in a row.
        self.due: dict[str, datetime | None] = {}
        self.tokens: dict[str, str] = {}
        self.failures: dict[str, int] = {}
        #: Every call raises `Unavailable` while it is.
        self.away = False

    async def prepare(self) -> None:
        self._check()

    async def add(self, operation: Operation) -> bool:
        if operation.request_id and await self.of_request(operation.tenant, operation.request_id) is not None:
            return False
        self._check()
        self.by_id[operation.id] = operation
        self.due[operation.id] = operation.created_at
        self.failures[operation.id] = 0
        return True

    async def of_request(self, tenant: str, request_id: str) -> Operation | None:
        self._check()
        of_it = (each for each in self._of(tenant) if each.request_id == request_id)
        return next(of_it, None)

    async def operation(self, tenant: str | None, operation_id: str) -> Operation | None:
        self._check()
        found = self.by_id.get(operation_id)
        return found if found is not None and tenant in {None, found.tenant} else None

    async def operations(
        self, tenant: str, wanted: Filter, *, limit: int, after: Position | None = None
    ) -> Sequence[Operation]:
        self._check()
        found = sorted(self._of(tenant), key=_place, reverse=True)
        if wanted.kind is not None:
            found = [each for each in found if each.kind is wanted.kind]
        if wanted.ended is not None:
            found = [each for each in found if each.ended is wanted.ended]
        if after is not None:
            found = [each for each in found if _place(each) < (after.created_at, after.id)]
        return found[:limit]

    async def running(self, tenant: str, kind: Kind, *, limit: int) -> int:
        self._check()
        return min(limit, sum(each.kind is kind and not each.ended for each in self._of(tenant)))

    async def running_among(self, operation_ids: Collection[str]) -> set[str]:
        self._check()
        return {each for each in operation_ids if each in self.by_id and not self.by_id[each].ended}

    async def ask_to_cancel(self, tenant: str, operation_id: str, *, now: datetime) -> Operation | None:
        operation = await self.operation(tenant, operation_id)
        if operation is not None and not operation.ended:
            self.by_id[operation_id] = replace(operation, cancel_requested=True)
            if operation_id not in self.tokens:
                self.due[operation_id] = now
        return await self.operation(tenant, operation_id)

    async def remove(self, tenant: str, operation_id: str) -> bool:
        operation = await self.operation(tenant, operation_id)
        if operation is None or not operation.ended:
            return False
        del self.by_id[operation_id]
        return True

    async def take(
        self, kinds: Collection[Kind], *, now: datetime, until: datetime, passing_over: Collection[str] = ()
    ) -> Turn | None:
        self._check()
        due = [found for found in self._takeable(kinds, passing_over) if found[0] <= now]
        if not due:
            return None
        operation = self.by_id[due[0][1]]
        self.due[operation.id] = until
        self.tokens[operation.id] = token = uuid.uuid4().hex
        return Turn(operation=operation, token=token, failures=self.failures[operation.id])

    async def keep(self, turn: Turn, step: Step, *, now: datetime) -> bool:
        self._check()
        if not self._had(turn):
            return False
        operation = self.by_id[turn.operation.id]
        self.by_id[operation.id] = replace(
            operation,
            metadata=step.metadata,
            cursor=step.cursor,
            state=step.state,
            updated_at=now,
            finished_at=None if step.state is State.RUNNING else now,
            response=step.response,
            reason=step.reason,
            message=step.message,
        )
        canceled = operation.cancel_requested and not turn.operation.cancel_requested
        self._give_back(turn, now if canceled and step.due_at is not None else step.due_at, failures=0)
        return True

    async def put_off(self, turn: Turn, *, due: datetime, failures: int) -> None:
        self._check()
        if self._had(turn):
            self._give_back(turn, due, failures=failures)

    async def next_due(self, kinds: Collection[Kind], *, passing_over: Collection[str] = ()) -> datetime | None:
        self._check()
        return next((due for due, _ in self._takeable(kinds, passing_over)), None)

    def _of(self, tenant: str) -> list[Operation]:
        return [each for each in self.by_id.values() if each.tenant == tenant]

    def _takeable(self, kinds: Collection[Kind], passing_over: Collection[str]) -> list[tuple[datetime, str]]:
        return sorted(
            (due, each.id)
            for each in self.by_id.values()
            if not each.ended and each.kind in kinds and each.tenant not in passing_over
            if (due := self.due[each.id]) is not None
        )

    def _had(self, turn: Turn) -> bool:
        operation = self.by_id.get(turn.operation.id)
        return operation is not None and not operation.ended and self.tokens.get(operation.id) == turn.token

    def _give_back(self, turn: Turn, due: datetime | None, *, failures: int) -> None:
        self.due[turn.operation.id] = due
        self.failures[turn.operation.id] = failures
        del self.tokens[turn.operation.id]

    def _check(self) -> None:
        if self.away:
            raise Unavailable("MongoDB does not answer", metadata={"dependency": "mongodb"})


def _place(operation: Operation) -> tuple[datetime, str]:
    return operation.created_at, operation.id
