"""What HistoryService answers of figures."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from services.history.stats.messages import asked_of, message_of
from shared.rpc.call import current_tenant

if TYPE_CHECKING:
    from penstock.history.v1 import stats_pb2

    from services.history.stats.reader import StatsReader
    from shared.clock import Clock


class StatsAnswers:
    """Answers GetStats.

    Args:
        reader: Makes reports.
        clock: The time.
    """

    def __init__(self, reader: StatsReader, *, clock: Clock) -> None:
        self._reader = reader
        self._clock = clock

    async def get_stats(self, request: stats_pb2.GetStatsRequest) -> stats_pb2.Stats:
        """The figures of the tenant's jobs over a range.

        Raises:
            InvalidArgument: With field paths.
            Unavailable: MongoDB is away.
        """
        group, whole = asked_of(request, tenant=current_tenant(), now=self._clock.now())
        report = await self._reader.report(group, whole)
        return await asyncio.to_thread(message_of, report)  # by the hour of 90 days that is 2,000 buckets
