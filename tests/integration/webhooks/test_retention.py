"""Deliveries go when they have had their tenant's time, as history tells it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from penstock.history.v1 import retention_pb2

from services.webhooks.deliveries import retention as retention_
from services.webhooks.deliveries.documents import COLLECTION, DATABASE
from services.webhooks.deliveries.retention import DeliveryRetention
from services.webhooks.deliveries.store import MongoDeliveryStore
from shared.retentions import ToldRetentions
from tests.waiting import eventually

if TYPE_CHECKING:
    from shared.mongo import Client
    from tests.integration.webhooks.conftest import Mesh

pytestmark = pytest.mark.usefixtures("no_stalls")
NOW = datetime(2026, 5, 4, 10, tzinfo=UTC)
DAY = timedelta(days=1)


class Clock:
    def now(self) -> datetime:
        return NOW


class History:
    """Keeps acme's deliveries for 8 days, and all others' for 30."""

    async def ListRetentions(
        self, request: retention_pb2.ListRetentionsRequest
    ) -> retention_pb2.ListRetentionsResponse:
        del request
        answer = retention_pb2.ListRetentionsResponse()
        answer.default_retention.deliveries.FromTimedelta(30 * DAY)
        answer.retentions["acme"].deliveries.FromTimedelta(8 * DAY)
        return answer


async def test_each_tenants_deliveries_go_in_its_own_time(mongo: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention_, "AT_ONCE", 2)  # it takes several writes
    await MongoDeliveryStore(mongo).prepare()
    deliveries = mongo[DATABASE][COLLECTION]
    ended = {"a7": 7, "a9": 9, "b0": 9, "b1": 9, "b2": 10, "o29": 29, "o31": 31}
    await deliveries.insert_many(
        [
            {"_id": name, "tenant": "other" if name[0] == "o" else "acme", "finished_at": NOW - age * DAY}
            for name, age in ended.items()
        ]
        + [{"_id": "pending", "tenant": "acme", "finished_at": None}]
    )
    told = ToldRetentions(History())
    sweep = DeliveryRetention(mongo, retentions=told, clock=Clock(), interval=timedelta(hours=1))
    assert await sweep.sweep() == 0  # nobody has told yet
    await told.ask()
    await mongo[DATABASE].command("profile", 2)
    try:
        assert await sweep.sweep() == 5
    finally:
        await mongo[DATABASE].command("profile", 0)
    assert {each["_id"] async for each in deliveries.find()} == {"a7", "o29", "pending"}
    done = (
        await mongo[DATABASE]["system.profile"]
        .find({"ns": f"{DATABASE}.{COLLECTION}", "op": {"$ne": "getmore"}})
        .to_list()
    )
    assert not [each for each in done if "COLLSCAN" in each.get("planSummary", "") and each["op"] != "query"]


async def test_webhooks_serves_without_history(mesh: Mesh) -> None:
    async with mesh.running(history_address="127.0.0.1:9"):
        job = await mesh.finished_job()
        await mesh.delivered(job)
    assert await eventually(lambda: mesh.receiver.at("/hook"))
