"""What a receiver has shown to bear, and what its rate allows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from services.webhooks.deliveries.domain import Reason
from services.webhooks.delivering.pace import Pace

if TYPE_CHECKING:
    from datetime import datetime

    from services.webhooks.delivering.attempts import Made
    from services.webhooks.delivering.receivers import Receiver
    from services.webhooks.endpoints.domain import Rate

#: Attempts at a time that a receiver has at most.
MOST_AT_WORK = 32
#: With as many at most a receiver begins that was taken anew, whatever it bore before: it may hang since.
FIRST_AT_WORK = 4
#: A success that took no longer shows that the receiver bears more.
QUICK = timedelta(seconds=1)
#: An attempt that took longer makes its receiver a slow one, as one without an answer does.
SLOW = timedelta(seconds=5)


class Bearing:
    """Starts from what was known of the receiver when it was taken.

    Args:
        receiver: As it was taken.
    """

    def __init__(self, receiver: Receiver) -> None:
        #: How many attempts at a time it bears.
        self.window = min(receiver.window, FIRST_AT_WORK)
        #: Whether its newest attempt was not answered in time.
        self.slow = receiver.slow
        self._not_before = receiver.not_before

    def learn(self, made: Made) -> None:
        """What an attempt that came out has shown."""
        reason = made.outcome.reason
        self.slow = reason is Reason.RECEIVER_TIMEOUT or made.duration > SLOW
        if self.slow or reason is Reason.RECEIVER_UNREACHABLE:
            self.window = 1
        elif reason is Reason.OK and made.duration <= QUICK:
            self.window = min(self.window + 1, MOST_AT_WORK)

    def note_sent(self, now: datetime, rate: Rate) -> None:
        """Notes that something goes out, which the rate counts."""
        self._not_before = Pace(rate).after(now, self._not_before)

    def wait(self, now: datetime, rate: Rate | None) -> timedelta:
        """How long the rate lets nothing out."""
        if rate is None or self._not_before is None:
            return timedelta()
        return max(self._not_before - now, timedelta())

    def of(self, receiver: Receiver) -> Receiver:
        """The receiver with what is known of it now."""
        return replace(receiver, window=self.window, slow=self.slow, not_before=self._not_before)
