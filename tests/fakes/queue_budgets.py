"""Budgets in the plain queue: what was begun, what is under way, and what the upstream has said is left."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from services.scheduler.views import BudgetUse, Hold, HoldKind

if TYPE_CHECKING:
    from services.scheduler.limits import Budget, Rate

#: Of a rate's window.
SUBWINDOWS = 64
#: Of a window that nothing depends on to the call.
COARSE_SUBWINDOWS = 8
MAX_RESET_MS = 24 * 3600 * 1000
SAME_RESET_MS = 1000
#: A call is known for so long at least, however short its window was.
KEPT_MS = 3600 * 1000
#: No time is known at which there is room: only the end of a lease makes some.
NEVER = math.inf


def milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)


@dataclass(slots=True)
class History:
    """Calls by the end of the sub-window in which they count."""

    calls: dict[int, int] = field(default_factory=dict)

    def within(self, window_ms: int, now_ms: int) -> dict[int, int]:
        return {end: calls for end, calls in sorted(self.calls.items()) if end + window_ms > now_ms}

    def used(self, window_ms: int, now_ms: int) -> int:
        return sum(self.within(window_ms, now_ms).values())

    def with_call(self, window_ms: int, now_ms: int, subwindows: int = SUBWINDOWS) -> History:
        calls = self.within(window_ms, now_ms)
        end = _subwindow_end(window_ms, subwindows, now_ms)
        # after a longer window the newest entry may end later: the call joins it, so that no call counts too short
        end = max([end, *calls])
        calls[end] = calls.get(end, 0) + 1
        return History(calls)

    def without_call(self, window_ms: int, now_ms: int, begun_ms: int) -> History:
        """Without one that was counted when it was begun, unless it counts no more."""
        own_end = _subwindow_end(window_ms, SUBWINDOWS, begun_ms)
        first = min((end for end in self.calls if end >= own_end), default=None)
        if first is None or own_end + window_ms <= now_ms:
            return self
        left = self.calls | {first: self.calls[first] - 1}
        return History({end: calls for end, calls in left.items() if calls})

    def room_at(self, rate: Rate, now_ms: int) -> float:
        """When one more call fits in; 0 for now."""
        window_ms = milliseconds(rate.window)
        left = self.used(window_ms, now_ms)
        at = 0
        for end, calls in self.within(window_ms, now_ms).items():
            if left + 1 <= rate.calls:
                break
            left -= calls
            at = end + window_ms
        return at


@dataclass(slots=True)
class Scope:
    """What is counted for one budget, whatever its limits are."""

    running: int = 0
    histories: dict[int, History] = field(default_factory=dict)
    quota_until_ms: int = 0
    quota_left: int = 0

    def quota_stands(self, now_ms: int) -> bool:
        return self.quota_until_ms > now_ms

    def history(self, window_ms: int) -> History:
        """That of the window; where it is new, what is known of the shortest longer one, else of the longest."""
        if not self.histories or window_ms in self.histories:
            return self.histories.get(window_ms, History())
        longer = [other for other in self.histories if other > window_ms]
        other = min(longer) if longer else max(self.histories)
        too_long = max(0, window_ms - max(other, KEPT_MS))
        return History({end - too_long: calls for end, calls in self.histories[other].calls.items()})

    def holds(self, name: str, budget: Budget, now_ms: int) -> list[Hold]:
        """All that keeps one more call out."""
        found: list[Hold] = []
        for rate in budget.rates:
            window_ms = milliseconds(rate.window)
            at = self.history(window_ms).room_at(rate, now_ms)
            if at:
                found.append(
                    Hold(kind=HoldKind.RATE, scope=name, until_ms=int(at), limit=rate.calls, window_ms=window_ms)
                )
        if budget.concurrency and self.running + 1 > budget.concurrency:
            found.append(Hold(kind=HoldKind.CONCURRENCY, scope=name, limit=budget.concurrency))
        if self.quota_stands(now_ms) and self.quota_left <= 0:
            found.append(Hold(kind=HoldKind.QUOTA, scope=name, until_ms=self.quota_until_ms))
        return found

    def take(self, budget: Budget, now_ms: int) -> None:
        """Counts a call that is begun."""
        self.running += 1
        if budget.rates:  # what no rate names any more has been taken over by those that are new
            windows = {milliseconds(rate.window) for rate in budget.rates}
            self.histories = {window: self.history(window).with_call(window, now_ms) for window in windows}
        if self.quota_stands(now_ms):
            self.quota_left -= 1

    def give_back(self, budget: Budget, begun_ms: int, now_ms: int) -> None:
        """Takes out a call that did not go out; what is under way is another matter."""
        for window_ms in (milliseconds(rate.window) for rate in budget.rates):
            self.histories[window_ms] = self.histories[window_ms].without_call(window_ms, now_ms, begun_ms)
        if self.quota_stands(now_ms):
            self.quota_left += 1

    def learn(self, remaining: int, reset_after_ms: int, now_ms: int) -> None:
        """Takes the upstream's word; the call that brought it is not under way any more."""
        until = now_ms + min(reset_after_ms, MAX_RESET_MS)
        left = remaining - self.running
        if self.quota_stands(now_ms) and abs(self.quota_until_ms - until) <= SAME_RESET_MS:
            left = min(left, self.quota_left)
        self.quota_until_ms, self.quota_left = until, left

    def use(self, name: str, budget: Budget, now_ms: int) -> BudgetUse:
        """For a view."""
        stands = self.quota_stands(now_ms)
        windows = [milliseconds(rate.window) for rate in budget.rates]
        return BudgetUse(
            scope=name,
            budget=budget,
            used=tuple(self.history(window).used(window, now_ms) for window in windows),
            running=self.running,
            remaining=max(0, self.quota_left) if stands else None,
            resets_at_ms=self.quota_until_ms if stands else 0,
        )


def _subwindow_end(window_ms: int, subwindows: int, time_ms: int) -> int:
    width = math.ceil(window_ms / subwindows)
    return (time_ms // width + 1) * width


def room_at(holds: list[Hold]) -> float:
    """When the last of them may be over: 0 where there is none, `NEVER` where one's end is not known."""
    return max((hold.until_ms or NEVER for hold in holds), default=0)
