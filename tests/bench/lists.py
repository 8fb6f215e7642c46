"""How lists of history grow: pages by every kind of filter at ever more jobs, in a real MongoDB.

Straight on what answers ListJobs, without its RPC: the question to MongoDB, the documents, and the jobs made of them.
The jobs are asked for in the name of the tenant that has most of them.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
import time
from collections import defaultdict
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.local import layout, programs
from deploy.local.stack import Stack
from services.history.jobs.documents import DATABASE
from services.history.jobs.domain import Filter
from services.history.jobs.messages import basic
from services.history.listing.pages import MAX_TOTAL, page_of
from services.history.listing.store import MongoJobLists
from shared import mongo
from shared.config import Secret
from shared.paging import DEFAULT_PAGE_SIZE, Cursor, Position
from tests.bench import figures, recorded

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterator, Sequence

    from shared.mongo import Client
    from tests.bench.figures import Figures

TENANT = recorded.TENANTS[0]
_START_TIMEOUT_S = 60.0
#: Pages that are timed of each kind.
_PAGES = 100
_WARM_UP_PAGES = 3
_COUNTS = 3
_FAILURES = ("CANCELED", "EXPIRED", "FAILED", "OUTCOME_UNKNOWN")
_UNFINISHED = ("QUEUED", "RETRYING", "RUNNING")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """What pages take at one number of jobs."""

    jobs: int
    #: Documents that were made and written in a second, by one process; their indexes come after it.
    filled_per_s: float
    indexed_s: float
    #: Milliseconds of each page, by kind of filter.
    pages_ms: dict[str, list[float]]
    #: Of a total, where all jobs are counted.
    total_ms: float
    #: And what answers with figures take.
    figures: Figures

    def quantile_ms(self, kind: str, part: float) -> float:
        """What that part of the pages of a kind took at most."""
        taken = sorted(self.pages_ms[kind])
        return taken[min(int(len(taken) * part), len(taken) - 1)]

    @property
    def worst(self) -> str:
        """The kind whose slow pages are the slowest."""
        return max(self.pages_ms, key=lambda kind: self.quantile_ms(kind, 0.99))


def measure(*, jobs: Sequence[int]) -> Iterator[Lists]:
    """Measures at each number of jobs.

    Args:
        jobs: In ascending order.
    """
    with _mongo() as url:
        for number in jobs:
            yield asyncio.run(_measure(url, number))


@contextmanager
def _mongo() -> Generator[str]:
    folder = Path(tempfile.mkdtemp(prefix="penstock-bench-"))
    stack = Stack(layout.on_free_ports(folder, programs.PORTS))
    servers = [program for program in programs.PROGRAMS if program.name == "mongo"]
    try:
        stack.start(servers, tied=True)
        stack.wait_until_ready(servers, timeout_s=_START_TIMEOUT_S)
        yield stack.layout.mongo_url
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def _filled(url: str, generator: recorded.Generator) -> AsyncGenerator[tuple[Client, recorded.Filled]]:
    """History with these jobs and no other."""
    client = await mongo.connect(Secret(url))
    try:
        await client.drop_database(DATABASE)
        yield client, await recorded.fill(client, generator)
    finally:
        await mongo.close(client)


async def _measure(url: str, jobs: int) -> Lists:
    generator = recorded.Generator(jobs=jobs, until=datetime.now(UTC).replace(microsecond=0))
    async with _filled(url, generator) as (client, filled):
        lists = MongoJobLists(client)
        taken: dict[str, list[float]] = defaultdict(list)
        for number in range(_WARM_UP_PAGES + _PAGES):
            for kind, (wanted, cursor, oldest) in _asked(generator, random.Random(number)).items():
                began = time.perf_counter()
                page = await page_of(lists, TENANT, wanted, cursor=cursor, size=DEFAULT_PAGE_SIZE, oldest=oldest)
                for record in page.records:
                    basic(record)
                if number >= _WARM_UP_PAGES:
                    taken[kind].append((time.perf_counter() - began) * 1000)
        began = time.perf_counter()
        for _ in range(_COUNTS):
            await lists.count(TENANT, Filter(), limit=MAX_TOTAL)
        return Lists(
            jobs=jobs,
            filled_per_s=jobs / filled.written_s,
            indexed_s=filled.indexed_s,
            pages_ms=dict(taken),
            total_ms=(time.perf_counter() - began) * 1000 / _COUNTS,
            figures=await figures.measure(client, generator),
        )


def _asked(generator: recorded.Generator, draw: random.Random) -> dict[str, tuple[Filter, Cursor | None, bool]]:
    """A question of each kind: its filter, where its page begins, and whether it begins with the oldest job."""
    [method] = draw.choices(recorded.METHODS, cum_weights=recorded.METHOD_WEIGHTS)
    [connection] = draw.choices(generator.connections[TENANT], cum_weights=recorded.CONNECTION_WEIGHTS)
    upstream, priority = method.partition(".")[0], draw.choice(list(recorded.PRIORITIES))
    order, region = draw.randrange(generator.jobs // recorded.ORDER_SIZE), draw.randrange(recorded.REGIONS)
    within = generator.until - recorded.SPAN * draw.random()
    deep = Cursor(position=Position(created_at=within, id="m"))
    filters = {
        "state": Filter(states=(draw.choice(_FAILURES),)),
        "states": Filter(states=_UNFINISHED),
        "upstream": Filter(upstream=upstream),
        "method": Filter(method=method),
        "connection": Filter(connection_id=connection),
        "priority": Filter(priority=priority),
        "batch": Filter(batch_id=draw.choice(generator.batches)),
        "label": Filter(labels=(f"order={order}",)),
        "frequent label": Filter(labels=(f"region={region}",)),
        "time": Filter(created_after=within, created_before=within + recorded.SPAN / 90),
        "method and state": Filter(method=method, states=_FAILURES),
        "connection and state": Filter(connection_id=connection, states=("FAILED",)),
        "priority and succeeded": Filter(priority=priority, states=("SUCCEEDED",)),
        "method and priority": Filter(method=method, priority=priority),
        "connection and label": Filter(connection_id=connection, labels=(f"region={region}",)),
        "connection and another's method": Filter(connection_id=connection, method="http.get"),
    }
    return {
        "all": (Filter(), None, False),
        "oldest first": (Filter(), None, True),
        "deep": (Filter(), deep, False),
        "deep back": (Filter(), Cursor(position=deep.position, back=True), False),
        **{kind: (wanted, None, False) for kind, wanted in filters.items()},
    }
