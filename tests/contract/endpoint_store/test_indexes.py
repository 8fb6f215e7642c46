"""Every question to the real store is answered by an index, as MongoDB itself explains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from services.webhooks.deliveries.documents import DATABASE
from shared.paging import Position
from tests.fakes.endpoints import NOW, endpoint_secrets, make_endpoint

if TYPE_CHECKING:
    from services.webhooks.endpoints.store import MongoEndpointStore
    from shared.mongo import Client

AFTER = Position(created_at=NOW, id="ep_z")


@pytest.mark.parametrize(
    ("question", "plan"),
    [
        (lambda store: store.endpoints("acme", limit=5, after=AFTER), "IXSCAN { tenant: 1, created_at: -1, _id: -1 }"),
        (
            lambda store: store.endpoints("acme", limit=5, enabled=False),
            "IXSCAN { tenant: 1, enabled: 1, created_at: -1, _id: -1 }",
        ),
        (lambda store: store.add(make_endpoint(), limit=5), "DISTINCT_SCAN { tenant: 1, slot: 1 }"),
        (lambda store: store.untold(limit=5), "IXSCAN { untold: 1 }"),
        (lambda store: store.endpoint("acme", "ep_1"), "IXSCAN { _id: 1 }"),
        (lambda store: store.by_ids(["ep_1", "ep_2"]), "IXSCAN { _id: 1 }"),
    ],
)
async def test_a_question_is_answered_by_an_index(
    mongo: Client, mongo_store: MongoEndpointStore, question: Any, plan: str
) -> None:
    secrets = endpoint_secrets()
    for number in range(40):
        await mongo_store.add(make_endpoint(secrets=secrets, tenant="acme" if number % 4 else "globex"))
    database = mongo.get_database(DATABASE)
    await database.command("profile", 2)
    try:
        await question(mongo_store)
    finally:
        await database.command("profile", 0)
    entry = await database["system.profile"].find_one({"ns": f"{DATABASE}.endpoints"})
    assert entry is not None
    assert entry["planSummary"] == plan
    assert not entry.get("hasSortStage")


async def test_the_endpoints_of_many_tenants_are_read_by_an_index(
    mongo: Client, mongo_store: MongoEndpointStore
) -> None:
    for number in range(40):
        await mongo_store.add(make_endpoint(tenant=f"tenant-{number % 8}"))
    database = mongo.get_database(DATABASE)
    await database.command("profile", 2)
    try:
        found = await mongo_store.of_tenants(["tenant-1", "tenant-2"])
    finally:
        await database.command("profile", 0)
    entry = await database["system.profile"].find_one({"ns": f"{DATABASE}.endpoints"})
    assert entry is not None
    assert entry["planSummary"].startswith("IXSCAN { tenant: 1")
    assert entry["docsExamined"] == sum(map(len, found.values())) == 10
