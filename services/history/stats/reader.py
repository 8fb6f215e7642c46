"""Answers with the figures of a range."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING

from services.history.stats.domain import Figures, Report, Rollup
from services.history.stats.ranges import cover

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from services.history.stats.domain import Bucket, Group, Stretch
    from services.history.stats.store import StatsStore

#: Upstreams, methods and connections that are told, of each.
TOP = 20
#: What the buckets of a group tell of their jobs.
_TOLD_BY = {
    Rollup.ALL: (),
    Rollup.UPSTREAM: (Rollup.UPSTREAM,),
    Rollup.METHOD: (Rollup.UPSTREAM, Rollup.METHOD),
    Rollup.CONNECTION: (Rollup.UPSTREAM, Rollup.CONNECTION),
    Rollup.CALL: (Rollup.UPSTREAM, Rollup.METHOD, Rollup.CONNECTION),
}


class StatsReader:
    """Makes reports of what was counted.

    Args:
        store: Where that is kept.
    """

    def __init__(self, store: StatsStore) -> None:
        self._store = store

    async def report(self, group: Group, whole: Stretch) -> Report:
        """What there is to tell of a group's jobs in a range.

        Raises:
            Unavailable: MongoDB is away.
        """
        series, upstreams, methods, connections = await asyncio.gather(
            self._store.buckets(group, [whole]),
            self._parts(group, Rollup.UPSTREAM, whole),
            self._parts(group, Rollup.METHOD, whole),
            self._parts(group, Rollup.CONNECTION, whole),
        )
        by_start: dict[datetime, Figures] = {}
        total = Figures()
        for bucket, figures in series:
            known = by_start.get(bucket.start)
            by_start[bucket.start] = figures if known is None else _together(known, figures)
            total.merge(figures)
        return Report(
            range=whole,
            total=total,
            series={start: by_start[start] for start in sorted(by_start)},
            # of what the group itself is told by, the buckets of the series tell
            top_upstreams=_top(series if upstreams is None else upstreams, lambda part: part.upstream),
            top_methods=_top(series if methods is None else methods, lambda part: part.method),
            top_connections=_top(series if connections is None else connections, lambda part: part.connection_id),
        )

    async def _parts(self, group: Group, by: Rollup, whole: Stretch) -> Sequence[tuple[Bucket, Figures]] | None:
        """The heaviest parts of a group, from as few buckets as may be; None where its own buckets tell them."""
        if by in _TOLD_BY[group.rollup]:
            return None
        return await self._store.shares(group, by, cover(whole), limit=TOP)


def _together(some: Figures, others: Figures) -> Figures:
    both = Figures()
    both.merge(some)
    both.merge(others)
    return both


def _top(parts: Iterable[tuple[Bucket, Figures]], name_of: Callable[[Group], str]) -> Mapping[str, Figures]:
    named: dict[str, Figures] = defaultdict(Figures)
    for bucket, figures in parts:
        if figures.ended:
            named[name_of(bucket.group)].merge(figures)
    heaviest = sorted(named, key=lambda name: (-named[name].ended.total(), name))
    return {name: named[name] for name in heaviest[:TOP]}
