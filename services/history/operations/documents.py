"""How operations are written down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.history.operations.domain import Kind, Operation, State

if TYPE_CHECKING:
    from datetime import datetime

    from services.history.operations.domain import Step
    from shared.mongo import Document

_ENDS = [state for state in State if state is not State.RUNNING]


def document_of(operation: Operation) -> Document:
    """An operation, as it is kept."""
    return {
        "_id": operation.id,
        "tenant": operation.tenant,
        "principal": operation.principal,
        "kind": operation.kind,
        "request_id": operation.request_id,
        "request": operation.request,
        "created_at": operation.created_at,
        "state": operation.state,
        "cancel_requested": operation.cancel_requested,
        "metadata": operation.metadata,
        "cursor": operation.cursor,
        "updated_at": operation.updated_at,
        "finished_at": operation.finished_at,
        "response": operation.response,
        "reason": operation.reason,
        "message": operation.message,
    }


def operation_of(document: Document) -> Operation:
    """An operation, as it is kept."""
    return Operation(
        id=document["_id"],
        tenant=document["tenant"],
        principal=document["principal"],
        kind=Kind(document["kind"]),
        request_id=document["request_id"],
        request=document["request"],
        created_at=document["created_at"],
        state=State(document["state"]),
        cancel_requested=document["cancel_requested"],
        metadata=document["metadata"],
        cursor=document["cursor"],
        updated_at=document["updated_at"],
        finished_at=document["finished_at"],
        response=document["response"],
        reason=document["reason"],
        message=document["message"],
    )


def progress_of(step: Step, *, now: datetime) -> Document:
    """What a step changes of an operation."""
    return {
        "metadata": step.metadata,
        "cursor": step.cursor,
        "state": step.state,
        "updated_at": now,
        "finished_at": None if step.state is State.RUNNING else now,
        "response": step.response,
        "reason": step.reason,
        "message": step.message,
    }


def ended_query(ended: bool | None) -> Document:  # noqa: FBT001  as the filter has it
    """Lets those pass that have ended, or that have not, or all."""
    if ended is None:
        return {}
    return {"state": {"$in": _ENDS} if ended else State.RUNNING}
