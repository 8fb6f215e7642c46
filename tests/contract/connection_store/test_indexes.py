"""Every question to the real store is answered by an index, as MongoDB itself explains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from services.auth.connections.domain import State
from services.auth.store import DATABASE
from shared.paging import Position
from tests.fakes.connections import NOW, added

if TYPE_CHECKING:
    from services.auth.connections.sealing.sealed_store import MongoSealedStore
    from services.auth.connections.store import MongoConnectionStore
    from shared.mongo import Client

AFTER = Position(created_at=NOW, id="con_z")


@pytest.mark.parametrize(
    ("question", "plan"),
    [
        (
            lambda store, _: store.connections("acme", limit=5, after=AFTER),
            "IXSCAN { tenant: 1, created_at: -1, _id: -1 }",
        ),
        (
            lambda store, _: store.connections("acme", limit=5, upstream="http"),
            "IXSCAN { tenant: 1, upstream: 1, created_at: -1, _id: -1 }",
        ),
        (
            lambda store, _: store.connections("acme", limit=5, state=State.NEEDS_REAUTH),
            "IXSCAN { tenant: 1, state: 1, created_at: -1, _id: -1 }",
        ),
        (lambda store, _: store.count("acme", limit=5), "IXSCAN { tenant: 1, created_at: -1, _id: -1 }"),
        (lambda _, sealed: sealed.sealed_under("dk_1", limit=5), "IXSCAN { sealed.data_key_id: 1, _id: 1 }"),
        (lambda _, sealed: sealed.count_sealed_under("dk_1"), "COUNT_SCAN { sealed.data_key_id: 1, _id: 1 }"),
        (lambda store, _: store.untold(limit=5), "IXSCAN { untold: 1 }"),
        (lambda store, _: store.connection("acme", "con_1"), "IXSCAN { _id: 1 }"),
    ],
)
async def test_a_question_is_answered_by_an_index(
    mongo: Client, mongo_store: MongoConnectionStore, mongo_sealed_store: MongoSealedStore, question: Any, plan: str
) -> None:
    for number in range(60):
        await added(mongo_store, upstream=f"upstream-{number % 10}")
    database = mongo.get_database(DATABASE)
    await database.command("profile", 2)
    try:
        await question(mongo_store, mongo_sealed_store)
    finally:
        await database.command("profile", 0)
    entry = await database["system.profile"].find_one({"ns": f"{DATABASE}.connections"})
    assert entry is not None
    assert entry["planSummary"] == plan
    assert not entry.get("hasSortStage")
