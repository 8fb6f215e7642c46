# Made of _async/deadline.py by `make sdks`; do not edit.
"""When a wait is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock_sdk.errors import InvalidUse, WaitTimeout

if TYPE_CHECKING:
    from penstock_sdk.pacing import Pacing

_ENDLESS = float("inf")


class Deadline:
    """When a wait is over that begins now.

    Args:
        pacing: What tells time, and pauses.
        timeout_s: How long it lasts, in seconds; None for no end.

    Raises:
        InvalidUse: It cannot last that long.
    """

    def __init__(self, pacing: Pacing, timeout_s: float | None) -> None:
        if timeout_s is not None and not 0 <= timeout_s < _ENDLESS:
            raise InvalidUse(f"timeout_s is {timeout_s!r}; it takes seconds, such as 30, or None for no end")
        self._pacing = pacing
        self._timeout_s = _ENDLESS if timeout_s is None else timeout_s
        self._until = pacing.now() + self._timeout_s

    @property
    def endless(self) -> bool:
        """Whether it is never over."""
        return self._timeout_s == _ENDLESS

    @property
    def left_s(self) -> float:
        """How much time is left, in seconds; below 0 when it is over."""
        return self._until - self._pacing.now()

    def pause(self, seconds: float) -> None:
        """Returns after so long, or when the wait is over."""
        self._pacing.sleep(max(min(seconds, self.left_s), 0.0))

    def timeout(self, waited_for: str, state: str) -> WaitTimeout:
        """What is raised when it is over."""
        return WaitTimeout(waited_for, timeout_s=self._timeout_s, state=state)
