"""What callers of this service are told beside the errors that all know."""

from __future__ import annotations

from shared.errors import FailedPrecondition, NotFound


class EndpointNotFound(NotFound):
    """There is no such endpoint for this tenant."""

    reason = "ENDPOINT_NOT_FOUND"


class DeliveryNotFound(NotFound):
    """There is no such delivery for this tenant."""

    reason = "DELIVERY_NOT_FOUND"


class ReplayNotFound(NotFound):
    """There is no such replay for this tenant."""

    reason = "REPLAY_NOT_FOUND"


class EndpointDisabled(FailedPrecondition):
    """Nothing is delivered to the endpoint."""

    reason = "ENDPOINT_DISABLED"


class EndpointLimitReached(FailedPrecondition):
    """The tenant has as many endpoints as it may have."""

    reason = "ENDPOINT_LIMIT_REACHED"


class DeliveryAtWork(FailedPrecondition):
    """The delivery is being attempted now."""

    reason = "DELIVERY_AT_WORK"
