"""What an audit store does: one suite over the fake and over MongoDB."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from penstock.events.v1.audit_pb2 import AuditEntry
from penstock.history.v1.retention_pb2 import Retention
from pymongo.errors import BulkWriteError

from services.auth.audit_filter import AuditFilter
from services.auth.audit_store import OPERATORS, RETENTION, MongoAuditStore, query_of
from services.auth.domain import to_milliseconds
from services.auth.store import DATABASE
from shared import ids
from shared.paging import Position
from tests.fakes.audit_store import FakeAuditStore

if TYPE_CHECKING:
    from services.auth.audit_store import AuditStore
    from shared import mongo

#: MongoDB removes what is older than a year.
NOW = datetime.now(UTC)
ALL = AuditFilter()


@pytest.fixture
def fake_store() -> FakeAuditStore:
    return FakeAuditStore()


@pytest.fixture
async def mongo_store(mongo: mongo.Client) -> MongoAuditStore:
    store = MongoAuditStore(mongo)
    await store.prepare()
    await store.prepare()  # as the next replica does
    return store


@pytest.fixture(params=["fake_store", "mongo_store"])
def store(request: pytest.FixtureRequest) -> AuditStore:
    return request.getfixturevalue(request.param)


def entry(number: int = 0, *, at: datetime | None = None, **fields: Any) -> AuditEntry:
    """An entry that differs from others by its number in all that can be filtered by."""
    made = AuditEntry(
        **{
            "id": ids.new_audit_id(),
            "tenant": "acme",
            "actor": AuditEntry.Actor(kind=AuditEntry.Actor.KEY, id=f"key_{number}", tenant="acme"),
            "action": f"KeyService.Do{number}",
            "target": AuditEntry.Target(kind="key", id=f"thing_{number}"),
            "service": "auth",
            "outcome": f"REASON_{'ABCDEFGHIJ'[number % 10]}",
            "client_address": f"192.0.2.{number % 200}",
            "request_id": f"order-{number}",
            "trace_id": "0af7651916cd43dd8448eb211c80319c",
            "count": 1,
            **fields,
        }
    )
    made.time.FromDatetime(at or NOW - timedelta(minutes=number))
    return made


def position_of(listed: AuditEntry) -> Position:
    return Position(created_at=to_milliseconds(listed.time.ToDatetime(tzinfo=UTC)), id=listed.id)


async def every_page(store: AuditStore, reader: str, wanted: AuditFilter, *, size: int) -> list[AuditEntry]:
    found: list[AuditEntry] = []
    while True:
        after = position_of(found[-1]) if found else None
        page = await store.list(reader, wanted, after=after, limit=size)
        found += page
        if len(page) < size:
            return found


async def test_an_entry_comes_back_as_it_was_added(store: AuditStore) -> None:
    whole = entry(3, detail="keys:write", refused=True)
    whole.count = 7
    whole.since.FromDatetime(NOW - timedelta(minutes=4))
    bare = AuditEntry(id=ids.new_audit_id(), outcome="OK")
    bare.time.FromDatetime(NOW - timedelta(hours=1))
    await store.add([whole, bare])
    assert await store.list(OPERATORS, ALL, after=None, limit=10) == [whole, bare]


async def test_an_entry_that_comes_again_is_there_once_and_stays_as_it_was(store: AuditStore) -> None:
    first, other = entry(1), entry(2)
    again = AuditEntry()
    again.CopyFrom(first)
    again.outcome = "CHANGED"
    await store.add([first])
    await store.add([again, other, first])
    await store.add([other])
    assert await store.list("acme", ALL, after=None, limit=10) == [first, other]


async def test_a_tenant_sees_its_own_and_operators_all(store: AuditStore) -> None:
    ours, theirs, nobodys = entry(1), entry(2, tenant="globex"), entry(3, tenant="")
    await store.add([ours, theirs, nobodys])
    assert await store.list("acme", ALL, after=None, limit=10) == [ours]
    assert await store.list("globex", ALL, after=None, limit=10) == [theirs]
    assert await store.list("", ALL, after=None, limit=10) == []
    assert await store.list(OPERATORS, ALL, after=None, limit=10) == [ours, theirs, nobodys]


@pytest.mark.parametrize("size", [1, 2, 3, 50])
async def test_pages_have_every_entry_once_newest_first_though_many_are_of_one_time(
    store: AuditStore, size: int
) -> None:
    at = to_milliseconds(NOW)
    entries = [entry(number, at=at - timedelta(milliseconds=number // 4)) for number in range(13)]
    await store.add(entries)
    listed = await every_page(store, "acme", ALL, size=size)
    expected = sorted(entries, key=lambda each: (position_of(each).created_at, each.id), reverse=True)
    assert listed == expected


FILTERS = [
    AuditFilter(principal="key_5"),
    AuditFilter(action="KeyService.Do5"),
    AuditFilter(target="thing_5"),
    AuditFilter(outcome="REASON_F"),
    AuditFilter(client_address="::ffff:192.0.2.5"),
    AuditFilter(request_id="order-5"),
    AuditFilter(refused_only=True),
    AuditFilter(start=NOW - timedelta(minutes=5), end=NOW - timedelta(minutes=4)),
    AuditFilter(principal="key_5", action="KeyService.Do5", outcome="REASON_F", refused_only=True),
]


@pytest.mark.parametrize("wanted", FILTERS)
async def test_a_filter_finds_what_matches_and_nothing_else(store: AuditStore, wanted: AuditFilter) -> None:
    entries = [entry(number, at=to_milliseconds(NOW) - timedelta(minutes=number)) for number in range(10)]
    entries[5].refused = True
    await store.add([*entries, entry(5, tenant="globex", refused=True)])
    if wanted.start is not None:
        wanted = AuditFilter(start=to_milliseconds(wanted.start), end=to_milliseconds(wanted.end or NOW))
    assert await store.list("acme", wanted, after=None, limit=10) == [entries[5]]


async def test_filters_that_are_given_must_all_match(store: AuditStore) -> None:
    await store.add([entry(1), entry(2)])
    wanted = AuditFilter(principal="key_1", request_id="order-2")
    assert await store.list("acme", wanted, after=None, limit=10) == []


async def test_a_callers_text_is_never_read_as_a_part_of_the_query(store: AuditStore) -> None:
    odd = entry(1, request_id="$where", target=AuditEntry.Target(kind="queue", id="flickr/$ne.a"))
    await store.add([odd])
    assert await store.list("acme", AuditFilter(target="flickr/$ne.a"), after=None, limit=10) == [odd]
    assert await store.list("acme", AuditFilter(target="$ne"), after=None, limit=10) == []


@pytest.mark.parametrize("reader", ["acme", OPERATORS])
@pytest.mark.parametrize("wanted", [ALL, *FILTERS])
@pytest.mark.parametrize("further", [False, True], ids=["first page", "next page"])
async def test_mongodb_reads_no_more_entries_than_it_answers_with(
    mongo_store: MongoAuditStore, mongo: mongo.Client, reader: str, wanted: AuditFilter, *, further: bool
) -> None:
    """Whatever is asked for: an index leads to it in its order, with one filter or with the most telling of several."""
    entries = [entry(number, at=NOW - timedelta(seconds=10 * number), tenant="globex") for number in range(300)]
    entries += [entry(number, at=NOW - timedelta(seconds=10 * number)) for number in range(300)]
    for each in entries[5::10]:
        each.refused = True
    await mongo_store.add(entries)
    after = Position(created_at=NOW - timedelta(seconds=1), id=ids.new_audit_id()) if further else None
    query = query_of(reader, wanted, after)
    found = {"find": "audit", "filter": query, "sort": {"at": -1, "_id": -1}, "limit": 20}
    plan = await mongo[DATABASE].command("explain", found, verbosity="executionStats")
    stages = _stages(plan["queryPlanner"]["winningPlan"])
    stats = plan["executionStats"]
    assert not {"COLLSCAN", "SORT"} & stages, stages
    assert stats["nReturned"] >= 1
    assert stats["totalDocsExamined"] <= stats["nReturned"] + 1
    assert stats["totalKeysExamined"] <= stats["nReturned"] + 3


def _stages(plan: Any) -> set[str]:
    """The stages of a query's plan."""
    inputs = [plan[name] for name in ("inputStage", "queryPlan") if name in plan] + plan.get("inputStages", [])
    return (
        {plan["stage"]}
        if not inputs and "stage" in plan
        else {
            *([plan["stage"]] if "stage" in plan else []),
            *(stage for each in inputs for stage in _stages(each)),
        }
    )


async def test_mongodb_itself_removes_what_is_older_than_a_year(
    mongo_store: MongoAuditStore, mongo: mongo.Client
) -> None:
    await mongo_store.add([entry()])
    indexes = await mongo[DATABASE]["audit"].index_information()
    assert timedelta(seconds=indexes["earlier"]["expireAfterSeconds"]) == RETENTION == timedelta(days=365)
    assert indexes["earlier"]["key"] == [("at", 1)]
    document = await mongo[DATABASE]["audit"].find_one()
    assert document is not None
    assert isinstance(document["at"], datetime)


async def test_what_mongodb_refuses_is_no_duplicate_and_is_raised(
    mongo_store: MongoAuditStore, mongo: mongo.Client
) -> None:
    await mongo[DATABASE].command("collMod", "audit", validator={"entry.outcome": {"$ne": "UNWANTED"}})
    with pytest.raises(BulkWriteError):
        await mongo_store.add([entry(1), entry(2, outcome="UNWANTED")])
    assert len(await mongo_store.list("acme", ALL, after=None, limit=10)) == 1


class Retentions:
    """Keeps acme's entries for 30 days, and all others' for 400."""

    def of(self, tenant: str) -> Retention:
        retention = Retention()
        retention.audit.FromTimedelta(timedelta(days=30 if tenant == "acme" else 400))
        return retention


async def test_an_entry_is_to_be_forgotten_in_its_tenants_time(mongo: mongo.Client) -> None:
    told, untold = MongoAuditStore(mongo, retentions=Retentions()), MongoAuditStore(mongo)
    added = [entry(1), entry(2, tenant="other"), entry(3, tenant="")]
    await told.add(added)
    await untold.add([last := entry(4)])
    kept = {each["_id"]: each["forget_at"] - each["at"] async for each in mongo[DATABASE]["audit"].find()}
    assert kept == dict(
        zip([each.id for each in [*added, last]], [timedelta(days=days) for days in (30, 400, 400, 365)], strict=True)
    )


async def test_what_the_version_before_has_added_is_kept_for_a_year(mongo: mongo.Client) -> None:
    """By an index of its own: the one that was there makes way, or it would end what is kept for longer."""
    collection = mongo[DATABASE]["audit"]
    await collection.create_index("at", name="expiry", expireAfterSeconds=365 * 86400)
    await collection.insert_one({"_id": "earlier", "at": NOW - timedelta(days=400)})
    longer = {"_id": "longer", "at": NOW - timedelta(days=400), "forget_at": NOW + timedelta(days=1)}
    over = {"_id": "over", "at": NOW, "forget_at": NOW - timedelta(days=1)}
    await collection.insert_many([longer, over])
    for _ in range(2):
        await MongoAuditStore(mongo).prepare()
    present = await collection.index_information()
    assert "expiry" not in present
    assert (present["forget"]["expireAfterSeconds"], present["earlier"]["expireAfterSeconds"]) == (0, 365 * 86400)
    plan = await collection.find({"forget_at": None, "at": {"$lt": NOW}}, hint="earlier").explain()
    assert plan["executionStats"]["totalKeysExamined"] == 1
