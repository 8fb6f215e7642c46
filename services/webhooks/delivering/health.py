"""How endpoints fare: one that is gone, or has failed for too long, is disabled."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from services.webhooks import metrics
from services.webhooks.deliveries.domain import Reason, to_milliseconds
from services.webhooks.endpoints.domain import DisabledReason
from shared import crash_points, observability
from shared.crash_points import CrashPoint
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from services.webhooks.deliveries.domain import Outcome
    from services.webhooks.endpoints.domain import Endpoint
    from services.webhooks.endpoints.store import EndpointStore
    from shared.clock import Clock

log = observability.logger()

#: Of which the endpoint is innocent.
_OURS = frozenset({Reason.SECRET_UNREADABLE, Reason.INTERNAL})


class Health:
    """Notes what outcomes say of their endpoints; a success that follows upon a success is no news.

    Args:
        endpoints: Where they are kept.
        clock: The time.
        disable_after: How long an endpoint may fail without one success.
        disabled: Called when one was disabled, which its tenant is to be told.
    """

    def __init__(
        self,
        endpoints: EndpointStore,
        *,
        clock: Clock,
        disable_after: timedelta,
        disabled: Callable[[], None] = lambda: None,
    ) -> None:
        self._endpoints = endpoints
        self._clock = clock
        self._disable_after = disable_after
        self._disabled = disabled

    async def after(self, endpoint: Endpoint, outcome: Outcome) -> Endpoint:
        """The endpoint as an attempt's outcome leaves it.

        What cannot be noted now is noted upon the next outcome, which says it again.
        """
        try:
            return await self._after(endpoint, outcome)
        except Unavailable as error:
            log.warning("health_not_noted", endpoint=endpoint.id, error=error.message)
            return endpoint

    async def _after(self, endpoint: Endpoint, outcome: Outcome) -> Endpoint:
        if outcome.reason in _OURS or not endpoint.enabled:
            return endpoint
        if outcome.reason is Reason.RECEIVER_GONE:
            return await self._disable(endpoint, DisabledReason.GONE)
        if outcome.reason is Reason.OK and endpoint.failing_since is None:
            return endpoint
        now = to_milliseconds(self._clock.now())
        since = endpoint.failing_since
        if outcome.reason is Reason.OK or since is None:
            failing_since = None if outcome.reason is Reason.OK else now
            since = await self._endpoints.note_health(endpoint.id, failing_since=failing_since)
        if since is not None and now - since >= self._disable_after:
            return await self._disable(endpoint, DisabledReason.FAILING)
        return replace(endpoint, failing_since=since)

    async def _disable(self, endpoint: Endpoint, reason: DisabledReason) -> Endpoint:
        now = to_milliseconds(self._clock.now())
        if await self._endpoints.disable(endpoint.id, reason=reason, now=now):
            metrics.DISABLED.labels(reason).inc()
            log.warning("endpoint_disabled", endpoint=endpoint.id, tenant=endpoint.tenant, reason=reason)
            crash_points.reach(CrashPoint.WEBHOOKS_DISABLED)
            self._disabled()
        return replace(endpoint, enabled=False, disabled_reason=reason, disabled_at=now)
