"""What MongoDB does for lists of history: nothing is looked through that an index can tell."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import AsyncMongoClient, IndexModel, monitoring

from services.history.jobs import indexes
from services.history.jobs.documents import COLLECTION, DATABASE
from services.history.jobs.domain import Filter
from services.history.listing.store import MongoJobLists
from shared.paging import Position
from tests.bench import recorded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymongo.asynchronous.collection import AsyncCollection

    from shared import mongo
    from shared.mongo import Document

NOW = datetime(2026, 5, 4, 10, 30, 15, tzinfo=UTC)
JOBS = 4_000
TENANT = recorded.TENANTS[0]
PAGE = 51
MIDDLE = Position(created_at=NOW - recorded.SPAN / 2, id="m")


@dataclass(frozen=True, slots=True)
class Filled:
    """A collection with many jobs, and the filters by which some of them are found, by what they filter."""

    jobs: AsyncCollection[Document]
    filters: dict[str, Filter]

    async def examined(self, wanted: Filter, *, oldest_first: bool, after: Position | None) -> dict[str, Any]:
        """How MongoDB answers a page, and what it looks at."""
        query = indexes.query(TENANT, wanted, after=after, oldest_first=oldest_first)
        sort = indexes.OLDEST_FIRST if oldest_first else indexes.NEWEST_FIRST
        find = {"find": COLLECTION, "filter": query, "sort": dict(sort), "limit": PAGE}
        return await self.jobs.database.command("explain", find, verbosity="executionStats")

    async def matched(self, wanted: Filter) -> int:
        return await self.jobs.count_documents(indexes.query(TENANT, wanted))


@pytest.fixture
async def filled(mongo: mongo.Client) -> Filled:
    generator = recorded.Generator(jobs=JOBS, until=NOW)
    await recorded.fill(mongo, generator)
    rare, frequent = recorded.METHODS[-1], recorded.METHODS[6]
    connections = generator.connections[TENANT]
    return Filled(
        mongo[DATABASE].get_collection(COLLECTION),
        {
            "failed": Filter(states=("FAILED",)),
            "not succeeded": Filter(states=("CANCELED", "EXPIRED", "FAILED", "OUTCOME_UNKNOWN")),
            "unfinished": Filter(states=("QUEUED", "RETRYING", "RUNNING")),
            "succeeded": Filter(states=("SUCCEEDED",)),
            "upstream": Filter(upstream="flickr"),
            "method": Filter(method=frequent),
            "rare method": Filter(method=rare),
            "connection": Filter(connection_id=connections[0]),
            "rare connection": Filter(connection_id=connections[-1]),
            "priority": Filter(priority="HIGH"),
            "batch": Filter(batch_id=generator.batches[0]),
            "label": Filter(labels=("order=77",)),
            "frequent label": Filter(labels=("region=3",)),
            "after": Filter(created_after=NOW - recorded.SPAN / 10),
            "before": Filter(created_before=NOW - recorded.SPAN * 9 / 10),
        },
    )


def stages(plan: Document) -> Iterator[str]:
    """Every stage of a plan."""
    yield plan["stage"]
    for inner in (*([plan["inputStage"]] if "inputStage" in plan else []), *plan.get("inputStages", ())):
        yield from stages(inner)


def together(first: Filter, second: Filter) -> Filter | None:
    """What both ask for; None where they ask for two of one kind."""
    empty = Filter()
    names = [name for name in Filter.__slots__ if getattr(second, name) != getattr(empty, name)]
    if any(getattr(first, name) != getattr(empty, name) for name in names):
        return None
    return replace(first, **{name: getattr(second, name) for name in names})


async def test_no_filter_and_no_two_of_them_look_at_more_than_the_narrower_one_finds(filled: Filled) -> None:
    sizes = {name: await filled.matched(wanted) for name, wanted in filled.filters.items()}
    assert min(sizes.values()) > 0, "each of them finds something"
    asked = {"": (Filter(), PAGE), **{name: (wanted, sizes[name]) for name, wanted in filled.filters.items()}}
    for one, other in combinations(filled.filters, 2):
        both = together(filled.filters[one], filled.filters[other])
        if both is not None:
            asked[f"{one} and {other}"] = (both, min(sizes[one], sizes[other]))
    for name, (wanted, narrower) in asked.items():
        for oldest_first, after in ((False, None), (True, None), (False, MIDDLE), (True, MIDDLE)):
            told = await filled.examined(wanted, oldest_first=oldest_first, after=after)
            plan, counted = told["queryPlanner"]["winningPlan"], told["executionStats"]
            used = set(stages(plan))
            assert not used & {"COLLSCAN", "SORT"}, (name, used)
            # To merge states is two steps a key, with which MongoDB reckons, and a key more of each.
            bound = narrower * (2 if len(wanted.states) > 1 else 1) + len(wanted.states) + 1
            assert counted["totalKeysExamined"] <= bound, (name, plan)
            assert counted["totalDocsExamined"] <= bound, (name, plan)
    # Those that ended without success are found by two filters as by one.
    for name in ("upstream", "method", "connection", "priority"):
        wanted = replace(filled.filters[name], states=("CANCELED", "EXPIRED", "FAILED", "OUTCOME_UNKNOWN"))
        counted = (await filled.examined(wanted, oldest_first=False, after=None))["executionStats"]
        assert counted["totalDocsExamined"] == counted["nReturned"] == min(await filled.matched(wanted), PAGE)


class Commands(monitoring.CommandListener):
    """The names of the commands that change indexes, in their order."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name in {"createIndexes", "dropIndexes"}:
            self.names.append(event.command_name)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


#: Of the version before.
OLD_ORDER = [("created_at", -1), ("_id", -1)]
OLD_INDEXES = [
    IndexModel([("tenant", 1), *OLD_ORDER]),
    IndexModel([("tenant", 1), ("state", 1), *OLD_ORDER]),
    IndexModel([("tenant", 1), ("upstream", 1), ("method", 1), *OLD_ORDER]),
    IndexModel([("tenant", 1), ("batch_id", 1), *OLD_ORDER], partialFilterExpression={"batch_id": {"$gt": ""}}),
]
OLD_FIELDS = (
    *("_id", "tenant", "job", "upstream", "method", "connection_id", "priority", "batch_id", "created_at"),
    *("revision", "state", "event", "result", "finished_at"),
)


async def test_the_collection_of_the_version_before_gets_its_indexes_while_that_reads_and_writes(
    mongo: mongo.Client, mongo_url: str
) -> None:
    old = mongo[DATABASE].get_collection(COLLECTION)
    documents = [
        {name: document[name] for name in OLD_FIELDS}
        for document in recorded.Generator(jobs=1_000, until=NOW).documents()
    ]
    await old.insert_many(documents)
    await old.create_indexes(OLD_INDEXES)
    commands, ready = Commands(), asyncio.Event()

    async def goes_on() -> int:
        """The replica of the version before: it lists, and writes what comes."""
        served = 0
        while not ready.is_set():
            [newest] = await old.find({"tenant": TENANT, "upstream": "http"}).sort(OLD_ORDER).limit(1).to_list()
            await old.update_one({"_id": newest["_id"]}, {"$set": {"revision": newest["revision"] + 1}})
            served += 1
        return served

    async with AsyncMongoClient[dict[str, Any]](mongo_url, event_listeners=[commands]) as client:
        serving = asyncio.create_task(goes_on())
        new = client[DATABASE].get_collection(COLLECTION)
        for _ in range(2):  # the second replica to start finds all of it done
            await indexes.prepare(new)
        ready.set()
    assert await serving > 0
    assert commands.names == ["createIndexes", "dropIndexes", "createIndexes"]
    present = set(await old.index_information())
    assert "tenant_1_method_1_created_at_-1__id_-1" in present
    assert "tenant_1_upstream_1_method_1_created_at_-1__id_-1" not in present
    theirs = [document["_id"] for document in documents if document["tenant"] == TENANT]
    listed = await MongoJobLists(mongo).page(TENANT, Filter(), after=None, limit=JOBS, oldest_first=True, whole=True)
    assert [position.id for position, _ in listed] == theirs
    await old.create_indexes(OLD_INDEXES)  # a replica of the version before starts again, and finds nothing in its way
