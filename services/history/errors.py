"""What callers of this service are told beside the errors that all know."""

from __future__ import annotations

from shared.errors import FailedPrecondition, NotFound


class OperationNotFound(NotFound):
    """There is no such operation for this tenant."""

    reason = "OPERATION_NOT_FOUND"


class OperationNotFinished(FailedPrecondition):
    """The operation has not ended."""

    reason = "OPERATION_NOT_FINISHED"
