"""Operations, and a runner of them that does what it is told."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from services.history.operations.domain import Asked, Kind, Operation, State, Step
from shared import ids

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

NOW = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def make_operation(**changes: Any) -> Operation:
    """One that has just begun."""
    operation = Operation(
        id=ids.new_operation_id(),
        tenant="acme",
        principal="key_1",
        kind=Kind.CANCEL_JOBS,
        request_id="",
        request=b"request",
        created_at=NOW,
        metadata=b"begun",
        updated_at=NOW,
    )
    return replace(operation, **changes)


def asked_for(**changes: Any) -> Asked:
    """What begins one."""
    asked = Asked(tenant="acme", principal="key_1", kind=Kind.CANCEL_JOBS, request_id="", request=b"request")
    return replace(asked, **changes)


def going_on(due: datetime, **changes: Any) -> Step:
    """A step after which it goes on."""
    return replace(Step(metadata=b"going on", cursor=b"further", due_at=due), **changes)


def ended(state: State = State.SUCCEEDED, **changes: Any) -> Step:
    """A step with which it has ended."""
    step = Step(metadata=b"over", cursor=b"end", due_at=None, state=state)
    return replace(replace(step, response=b"response" if state is State.SUCCEEDED else b""), **changes)


@dataclass
class FakeRunner:
    """Does with each turn what `act` does; notes each."""

    act: Callable[[Operation], Awaitable[Step]]
    turns: list[Operation] = field(default_factory=list)

    async def take_turn(self, operation: Operation) -> Step:
        self.turns.append(operation)
        return await self.act(operation)

    async def response(self, operation: Operation) -> bytes:
        return operation.response
