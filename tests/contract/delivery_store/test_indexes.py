"""Every question to the real store is answered by an index, in the list's order, as MongoDB itself explains."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

from services.webhooks.deliveries import indexes
from services.webhooks.deliveries.documents import COLLECTION, DATABASE
from services.webhooks.deliveries.domain import State
from services.webhooks.deliveries.filters import DeliveryFilter
from services.webhooks.deliveries.store import MongoDeliveryStore
from shared import ids
from shared.paging import Position
from tests.fakes.deliveries import NOW, SECOND, failed, make_delivery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.mongo import Client, Document

ENDPOINTS = [ids.new_endpoint_id() for _ in range(4)]
TYPES = ("job.succeeded", "job.failed", "batch.finished")
MANY = 480
LIMIT = 5
PARTS: Mapping[str, Any] = {
    "endpoint_id": ENDPOINTS[1],
    "states": (State.FAILED, State.SKIPPED),
    "event_type": TYPES[1],
    "about": "con_1",
    "created_after": NOW + 100 * SECOND,
    "created_before": NOW + 400 * SECOND,
}
FILTERS = [
    DeliveryFilter(**{name: PARTS[name] for name in names})
    for number in range(len(PARTS) + 1)
    for names in combinations(PARTS, number)
]


async def fill(store: MongoDeliveryStore) -> None:
    """Most were delivered; few tell of one thing."""
    made = []
    for number in range(MANY):
        given: dict[str, Any] = {
            "at": NOW + number * SECOND,
            "endpoint_id": ENDPOINTS[number % 4],
            "event_type": TYPES[number % 3],
            "finished_at": NOW,
        }
        if number % 60 == 1:
            given["about"] = "con_1"
        dead = number % 11 == 0
        made.append(failed(**given) if dead else make_delivery(state=State.DELIVERED, **given))
    await store.add([*made, *(make_delivery(tenant="other") for _ in range(50))])


def stages(plan: Mapping[str, Any]) -> set[str]:
    inner = [plan["inputStage"]] if "inputStage" in plan else list(plan.get("inputStages", ()))
    return {plan["stage"]}.union(*(stages(each) for each in inner))


async def test_no_filter_looks_at_more_than_it_answers_with(mongo: Client, mongo_store: MongoDeliveryStore) -> None:
    await fill(mongo_store)
    collection = mongo[DATABASE][COLLECTION]
    assert len(FILTERS) == 2 ** len(PARTS)
    for wanted in FILTERS:
        for oldest_first, order in ((False, indexes.NEWEST_FIRST), (True, indexes.OLDEST_FIRST)):
            after = Position(created_at=NOW + 200 * SECOND, id="dlv_8")
            asked = indexes.query("acme", wanted, after=after, oldest_first=oldest_first)
            found = collection.find(asked, hint=indexes.name_for(wanted)).sort(order).limit(LIMIT)
            explained = await found.explain()
            used = stages(explained["queryPlanner"]["winningPlan"])
            assert not used & {"COLLSCAN", "SORT"}, wanted
            of_one_thing = MANY // 60 if wanted.about else 0  # the few that tell of it are looked through
            seen = explained["executionStats"]["totalKeysExamined"]
            assert seen <= LIMIT + of_one_thing + 2 * len(State), wanted


async def test_a_count_reads_the_index_alone(mongo: Client, mongo_store: MongoDeliveryStore) -> None:
    await fill(mongo_store)
    for wanted in FILTERS:
        command: Document = {
            "aggregate": COLLECTION,
            "pipeline": [{"$match": indexes.query("acme", wanted)}, {"$group": {"_id": 1, "n": {"$sum": 1}}}],
            "hint": indexes.name_for(wanted),
            "cursor": {},
        }
        explained = str(await mongo[DATABASE].command("explain", command, verbosity="executionStats"))
        assert "COLLSCAN" not in explained
        assert wanted.about or "'totalDocsExamined': 0" in explained, wanted


async def test_one_delivery_is_found_by_its_id(mongo: Client, mongo_store: MongoDeliveryStore) -> None:
    await fill(mongo_store)
    await mongo[DATABASE].command("profile", 2)
    try:
        await mongo_store.delivery("acme", "dlv_1")
        await mongo_store.put_back("acme", "dlv_1", now=NOW)
        await mongo_store.put_back_for("rpl_1", "acme", ["dlv_1", "dlv_2"], DeliveryFilter(), now=NOW)
    finally:
        await mongo[DATABASE].command("profile", 0)
    asked = mongo[DATABASE]["system.profile"].find({"ns": f"{DATABASE}.{COLLECTION}"})
    assert {entry["planSummary"] async for entry in asked} == {"IXSCAN { _id: 1 }"}


async def test_mongodb_itself_deletes_what_has_outlived_every_tenants_time(mongo: Client) -> None:
    """Also where the version before has set it to the mesh's own retention."""
    await mongo[DATABASE][COLLECTION].create_index("finished_at", name="retention", expireAfterSeconds=30 * 86400)
    for _ in range(2):
        await MongoDeliveryStore(mongo).prepare()
        present = await mongo[DATABASE][COLLECTION].index_information()
        assert present["retention"]["expireAfterSeconds"] == 366 * 86400


async def test_what_is_pending_alone_is_searched(mongo: Client, mongo_store: MongoDeliveryStore) -> None:
    await fill(mongo_store)
    found = await mongo[DATABASE].command("aggregate", COLLECTION, pipeline=[{"$indexStats": {}}], cursor={})
    specification = next(each["spec"] for each in found["cursor"]["firstBatch"] if each["name"] == "earlier")
    assert specification["partialFilterExpression"]["state"] == "PENDING"
