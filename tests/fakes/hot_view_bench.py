"""Two replicas of the job store on one Redis, each with what holds the hot view to its bound."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.intake.hot_view import HotView, RedisKeptRecords
from services.intake.known_servers import KnownServers
from services.intake.store import RedisJobStore, server_id
from shared import kv
from shared.config import Secret

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from datetime import datetime

CLOCK = Path(__file__).parent / "intake_clock.lua"
MAX_BYTES = 2500


class Bench:
    """Two replicas on one Redis, and a hand on its clock and on how far history is."""

    def __init__(self, url: str) -> None:
        self.runner = asyncio.Runner()
        self.client = self.runner.run(kv.connect(Secret(url)))
        self.runner.run(self.client.flushall())
        servers = KnownServers(self.runner.run(server_id(self.client)))
        self.recorded = 0
        self.views = [
            HotView(RedisKeptRecords(self.client, clock=CLOCK), max_bytes=MAX_BYTES, recorded=self.acknowledged)
            for _ in range(2)
        ]
        self.stores = [RedisJobStore(self.client, servers, clock=CLOCK, ended=view.ended) for view in self.views]

    async def acknowledged(self) -> int:
        return self.recorded

    def run(self, call: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(call)

    def set_clock(self, now: datetime) -> None:
        self.run(self.client.set("intake-test-clock", round(now.timestamp() * 1000)))

    def close(self) -> None:
        self.run(kv.close(self.client))
        self.runner.close()
