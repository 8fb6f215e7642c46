"""The receivers' side of a history: each behaves as its mood has it, and all that comes is written down."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING

from services.webhooks.deliveries.domain import Outcome, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

_URL = "https://client.example/"
_QUICK_S = 0.02


class Mood(Enum):
    """How a receiver behaves."""

    GOOD = auto()
    #: It takes one of two.
    FLAKY = auto()
    FAILING = auto()
    HANGING = auto()
    UNREACHABLE = auto()
    #: It asks to be left alone for a while.
    THROTTLING = auto()
    GONE = auto()


_STATUSES = {Mood.GOOD: (200,), Mood.FLAKY: (200, 500), Mood.FAILING: (500,), Mood.GONE: (410,)}


@dataclass(frozen=True, slots=True)
class Sent:
    """One POST that came."""

    endpoint_id: str
    webhook_id: str
    body: bytes
    taken: bool
    #: By the virtual clock.
    at_s: float

    @property
    def about(self) -> list[str]:
        """The jobs that it tells of, in their order."""
        message = json.loads(self.body)
        events = message["data"]["events"] if message["type"] == "events.batch" else [message]
        return [event["data"]["id"] for event in events]


@dataclass
class FarSide:
    """Every receiver; a `Poster`.

    Args:
        timeout: Of an attempt.
    """

    timeout: timedelta
    moods: dict[str, Mood] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(1))

    @staticmethod
    def url_of(endpoint_id: str) -> str:
        """Where it is called."""
        return _URL + endpoint_id

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """Takes a POST, or does not."""
        endpoint_id = url.removeprefix(_URL)
        outcome = self._outcome(self.moods[endpoint_id])
        taken = outcome.reason is Reason.OK
        self.sent.append(Sent(endpoint_id, headers["webhook-id"], body, taken, asyncio.get_running_loop().time()))
        hangs = outcome.reason is Reason.RECEIVER_TIMEOUT
        await asyncio.sleep(self.timeout.total_seconds() if hangs else _QUICK_S * (1 + self.chance.random()))
        return outcome

    def _outcome(self, mood: Mood) -> Outcome:
        match mood:
            case Mood.HANGING:
                return Outcome(reason=Reason.RECEIVER_TIMEOUT)
            case Mood.UNREACHABLE:
                return Outcome(reason=Reason.RECEIVER_UNREACHABLE)
            case Mood.THROTTLING:
                return Outcome.of_status(429, timedelta(seconds=7))
            case _:
                return Outcome.of_status(self.chance.choice(_STATUSES[mood]))
