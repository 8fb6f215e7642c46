"""Whether a call is tried again, and after which pause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from penstock_sdk.errors import ApiError, NoAnswer, PenstockError, UnexpectedAnswer
from penstock_sdk.operation import Repeat

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The pause after the first try at most, in seconds; it doubles with each.
FIRST_PAUSE_S = 0.25
#: Any pause at most, unless the server asks for a longer one.
MAX_PAUSE_S = 20.0
#: Beyond these doublings every pause is the longest; a larger exponent would leave what a float holds.
_MAX_DOUBLINGS = 16
#: Reasons by which Penstock says that it has done nothing, and that the same call may succeed soon.
_REFUSALS = frozenset({"IDEMPOTENCY_KEY_IN_FLIGHT", "QUEUE_FULL", "RATE_LIMITED"})
_TOO_MANY_REQUESTS = 429
#: Of a server or a proxy that is not up to it for now; what it has done by then is not known.
_PASSING = frozenset({408, 500, 502, 503, 504})


class Watch(Protocol):
    """What tells time and chance; see `penstock_sdk.pacing`."""

    def now(self) -> float:
        """Seconds since some moment; never backwards."""
        ...

    def jitter(self) -> float:
        """From 0 to 1, by chance."""
        ...


def worth_repeating(error: PenstockError, repeat: Repeat) -> bool:
    """Whether the same call may be made again after this error, and could succeed.

    Args:
        error: What the last try came to.
        repeat: When the operation may be made again.
    """
    certain = repeat is not Repeat.REFUSED_ONLY
    match error:
        case UnexpectedAnswer(status=status) | ApiError(status=status) if status == _TOO_MANY_REQUESTS:
            return True
        case UnexpectedAnswer(status=status):
            return certain and status in _PASSING
        case NoAnswer():
            return certain or not error.sent
        case ApiError():
            return error.reason in _REFUSALS or (certain and error.status in _PASSING)
        case _:
            return False


class Tries:
    """The tries of one call.

    The pause is what the server asks for, or exponential with full jitter where that is longer (M. Brooker,
    "Exponential Backoff And Jitter", AWS, 2015).

    Args:
        repeat: When the operation may be made again.
        retry_for_s: No pause ends later than so many seconds after the first try began.
        pacing: What tells time and chance.
        raised_at_once: Errors that are not tried again.
    """

    def __init__(
        self,
        repeat: Repeat,
        *,
        retry_for_s: float,
        pacing: Watch,
        raised_at_once: Sequence[type[PenstockError]] = (),
    ) -> None:
        self._repeat = repeat
        self._retry_for_s = retry_for_s
        self._pacing = pacing
        self._raised_at_once = tuple(raised_at_once)
        self._began = pacing.now()
        self._made = 0

    def pause_after(self, error: PenstockError) -> float:
        """How long to pause before the next try, in seconds.

        Raises:
            PenstockError: The error itself where there is no further try; it then tells how many were made.
        """
        self._made += 1
        error.tries = self._made
        error.took_s = self._pacing.now() - self._began
        if isinstance(error, self._raised_at_once) or not worth_repeating(error, self._repeat):
            raise error
        pause_s = max(asked_for_s(error), self._backoff_s())
        if error.took_s + pause_s > self._retry_for_s:
            raise error
        return pause_s

    def _backoff_s(self) -> float:
        return self._pacing.jitter() * ceiling_s(self._made)


def ceiling_s(tries: int) -> float:
    """The pause at most after so many tries, from 1; in seconds."""
    return min(FIRST_PAUSE_S * 2.0 ** min(tries - 1, _MAX_DOUBLINGS), MAX_PAUSE_S)


def asked_for_s(error: PenstockError) -> float:
    """The pause that an error's answer asks for, in seconds; 0 where it asks for none."""
    if isinstance(error, ApiError | UnexpectedAnswer):
        return error.retry_after_s or 0.0
    return 0.0
