"""How fast an endpoint may be sent to: so many POSTs in a period, in whichever period of that length one looks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from services.webhooks.endpoints.domain import Rate

#: Of what a period allows, that may go at once where nothing went before; the rest follows evenly.
_BURST_SHARE = 10


@dataclass(frozen=True, slots=True)
class Pace:
    """A rate as the generic cell rate algorithm has it (ITU-T I.371), whose whole state is one time.

    With a burst of b and an interval of period / (n - b + 1), any period holds n POSTs at most.

    Args:
        rate: What the endpoint allows.
    """

    rate: Rate

    @property
    def _burst(self) -> int:
        return max(1, self.rate.deliveries // _BURST_SHARE)

    @property
    def _interval(self) -> timedelta:
        return self.rate.period / (self.rate.deliveries - self._burst + 1)

    def after(self, now: datetime, not_before: datetime | None) -> datetime:
        """Before when nothing may go out once something has at `now`.

        Args:
            now: No earlier than `not_before`.
            not_before: What this was before that; None where nothing ever went out.
        """
        tolerance = self._interval * (self._burst - 1)
        expected = now if not_before is None else max(now, not_before + tolerance)
        return expected + self._interval - tolerance
