"""Faults of providers: whose tokens could not be refreshed a moment ago, and are not tried again for a while."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from shared import observability
from shared.errors import Unavailable
from shared.retry import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

log = observability.logger()

_BACKOFF = Backoff(initial=timedelta(seconds=1), maximum=timedelta(seconds=60))
#: Connections at a time; the oldest is forgotten, and may be tried too soon.
MAX_FAULTS = 10_000


@dataclass(frozen=True, slots=True)
class _Fault:
    failures: int
    #: By the monotonic clock.
    until: float


class ProviderFaults:
    """Knows for which connections a refresh has failed.

    Args:
        monotonic: Seconds that only grow.
    """

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._faults: OrderedDict[str, _Fault] = OrderedDict()

    def pause(self, connection_id: str) -> timedelta | None:
        """For how long a connection's refresh is not tried; None where it may be."""
        fault = self._faults.get(connection_id)
        left = fault.until - self._monotonic() if fault is not None else 0.0
        return timedelta(seconds=left) if left > 0 else None

    def note(self, connection_id: str, error: Exception) -> None:
        """Notes a failure; the next try is the later the more there have been, and as late as the provider asks."""
        known = self._faults.pop(connection_id, None)
        failures = known.failures + 1 if known is not None else 1
        pause = _BACKOFF.pause(failures)
        asked = error.retry_after if isinstance(error, Unavailable) else None
        if asked is not None:
            pause = max(pause, min(asked, _BACKOFF.maximum))
        self._faults[connection_id] = _Fault(failures, self._monotonic() + pause.total_seconds())
        while len(self._faults) > MAX_FAULTS:
            self._faults.popitem(last=False)
        log.warning(
            "refresh_failed", connection=connection_id, error=str(error), pause_s=round(pause.total_seconds(), 2)
        )

    def forget(self, connection_id: str) -> None:
        """Notes a success."""
        self._faults.pop(connection_id, None)
