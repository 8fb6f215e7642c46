"""MongoDB away under load: what was told meanwhile is in history afterwards, each job once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from services.history import metrics
from services.history.__main__ import serve
from services.history.jobs.lag import LagWatch
from shared import ids
from shared.clock import SystemClock
from shared.config import Secret
from tests.fakes.history_events import Event, life, publish
from tests.integration.history.conftest import has
from tests.service import running
from tests.waiting import eventually
from tests.wires import wire_to

if TYPE_CHECKING:
    from typing import Any

    from services.history.config import Config
    from shared.bus import Bus

pytestmark = pytest.mark.usefixtures("uncounted")

RETRIED = (Event.STARTED, Event.RETRYING, Event.STARTED, Event.SUCCEEDED)


async def lag(bus: Bus) -> tuple[float, float]:
    """As the metrics show it: messages and seconds."""
    await LagWatch(bus, clock=SystemClock()).look()
    return metrics.LAG_MESSAGES._value.get(), metrics.LAG_SECONDS._value.get()


async def test_history_is_complete_after_mongodb_was_away_under_load(
    config: Config,
    bus: Bus,
    jobs: Any,
) -> None:
    server = urlsplit(config.mongo_url.reveal())
    known = [ids.new_job_id("http") for _ in range(300)]
    began = asyncio.Event()

    async def load() -> None:
        for start in range(0, len(known), 20):
            await publish(bus, [event for job in known[start : start + 20] for event in life(job, *RETRIED)])
            began.set()

    async with wire_to(server.hostname or "", server.port or 0) as wire:
        through = wire.on_the_way_to(config.mongo_url.reveal()).replace("replicaSet=penstock", "directConnection=true")
        severable = replace(config, mongo_url=Secret(through))
        async with running("history", serve, severable), running("history", serve, severable):
            assert await lag(bus) == (0, 0)
            loading = asyncio.create_task(load())
            await began.wait()
            await wire.cut()
            await loading

            async def behind() -> bool:
                messages, seconds = await lag(bus)
                return messages > 0 and seconds > 1

            await eventually(behind, what="a lag that shows")
            await wire.mend()
            await eventually(lambda: has(jobs, dict.fromkeys(known, "SUCCEEDED")), within=150)

            async def caught_up() -> bool:
                return await lag(bus) == (0, 0)

            await eventually(caught_up, within=150, what="a history that has caught up")
    documents = [document async for document in jobs.find({})]
    assert sorted(document["_id"] for document in documents) == sorted(known)
    for document in documents:
        assert sorted(document["timeline"]) == ["1", "2", "3", "4", "5"]
        assert sorted(document.get("uncounted", []) + document.get("counted", [])) == ["end", "submission"]
