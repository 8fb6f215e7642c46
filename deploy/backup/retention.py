"""Which backups are kept.

All of the last day; of each day the newest, for so many days; of each month the first there is, for so many months. The
newest of all stays whatever its age: where backups have failed for long, the last good one is the one that is needed.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from deploy.backup.manifest import time_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

#: What has no manifest is still being made, until then.
UNFINISHED = timedelta(days=1)
_A_DAY = timedelta(days=1)


def kept(names: Iterable[str], *, now: datetime, daily: int, monthly: int) -> set[str]:
    """Those of these backups that are kept.

    Args:
        names: Of backups that are whole.
        now: The time, in UTC.
        daily: Days.
        monthly: Months, the current one among them.
    """
    times = {name: time for name in names if (time := time_of(name)) is not None}
    in_order = sorted(times, key=lambda name: times[name])
    days = {times[name].date(): name for name in in_order}
    months = {(times[name].year, times[name].month): name for name in reversed(in_order)}
    last_day = now.date() - timedelta(days=daily)
    last_month = now.year * 12 + now.month - monthly
    return {
        *in_order[-1:],
        *(name for name in in_order if times[name] > now - _A_DAY),
        *(name for day, name in days.items() if day > last_day),
        *(name for (year, month), name in months.items() if year * 12 + month > last_month),
    }
