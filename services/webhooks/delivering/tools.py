"""What every worker of a replica works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.webhooks.deliveries.domain import to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from services.webhooks.delivering.attempts import Attempts
    from services.webhooks.delivering.choosing import Chooser
    from services.webhooks.delivering.health import Health
    from services.webhooks.delivering.places import Places
    from services.webhooks.delivering.receivers import ReceiverStore
    from services.webhooks.delivering.work import WorkStore
    from services.webhooks.endpoints.store import EndpointStore
    from shared.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What every worker of a replica works with.

    Args:
        receivers: Who holds which.
        endpoints: What endpoints are like now.
        work: The deliveries.
        chooser: Says which of them are attempted.
        attempts: Makes the attempts.
        health: Notes how endpoints fare.
        places: At which attempts are made.
        clock: The time.
        claim_time: How long an attempt is this replica's alone.
        holder: The replica, as holds name it; the dispatcher's to say.
        crowded: Whether receivers, slow ones or others, wait to be taken; the dispatcher's too.
    """

    receivers: ReceiverStore
    endpoints: EndpointStore
    work: WorkStore
    chooser: Chooser
    attempts: Attempts
    health: Health
    places: Places
    clock: Clock
    claim_time: timedelta
    holder: str = ""
    crowded: Callable[[bool], bool] = lambda _: False

    def now(self) -> datetime:
        """The time, in whole milliseconds."""
        return to_milliseconds(self.clock.now())
