"""Schedulers on a Redis that a test can kill."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy.local.layout import on_free_ports
from shared import kv
from tests.integration.scheduler.recovery.lossy_redis import LossyRedis
from tests.integration.scheduler.recovery.replica import UPSTREAM, Replica

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from shared.bus import Bucket, Bus


@pytest.fixture
async def lossy(tmp_path: Path) -> AsyncIterator[LossyRedis]:
    folder = tmp_path / "redis"
    folder.mkdir()
    server = LossyRedis(folder, on_free_ports(tmp_path, {"redis": 0}).ports["redis"])
    await server.start()
    yield server
    await server.end()


@pytest.fixture
async def bucket(bus: Bus) -> Bucket:
    return await bus.bucket("scheduler", replicas=1)


@pytest.fixture
async def replicas(lossy: LossyRedis, bus: Bus, bucket: Bucket) -> AsyncIterator[list[Replica]]:
    """Two schedulers, neither of which runs yet."""
    clients = [await kv.connect(lossy.url) for _ in range(2)]
    yield [Replica(client, bus, bucket) for client in clients]
    for client in clients:
        await kv.close(client)


@pytest.fixture
async def replica(replicas: list[Replica]) -> AsyncIterator[Replica]:
    """One scheduler that runs."""
    async with replicas[0].running():
        await replicas[0].wholeness.seen(UPSTREAM)
        yield replicas[0]
