"""What services hold of a tenant or a connection is exported, and erased everywhere; what is another's stays."""

from __future__ import annotations

import asyncio
import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from penstock.history.v1 import data_pb2

from services.history.data.erasures import Erasures, MongoErasureStore
from services.history.data.reapply import reapply
from services.history.operations.domain import Kind, State
from services.history.operations.store import MongoOperationStore
from services.history.operations.worker import Worker
from services.intake.changes import Change
from services.intake.erased import ErasedThings
from shared import ids
from shared import mongo as mongo_
from tests.integration.history.belongings import (
    SECRET,
    Belongings,
    found_in_mongo,
    found_in_objects,
    found_in_redis,
)
from tests.integration.history.holding import CLOCK, Held, erasure, everything, told

if TYPE_CHECKING:
    from shared import kv
    from shared.bus import Bus
    from shared.mongo import Client
    from shared.objects import Objects

#: What remains of a tenant beside its streams, each with a date in the report, or its bare name.
REMAINS = {"auth.audit", "auth.tenants", "history.erasures"}
Phase = data_pb2.DataMetadata


@pytest.fixture
async def held(mongo: Client, redis: kv.Client, objects: Objects, bus: Bus) -> Held:
    return await everything(mongo, redis, objects, bus)


@pytest.fixture
async def doomed(held: Held, mongo: Client, redis: kv.Client, objects: Objects) -> Belongings:
    await Belongings("other").put(mongo, redis, objects)
    belongings = Belongings("doomed")
    await belongings.put(mongo, redis, objects)
    return belongings


async def test_of_a_tenant_nothing_is_left_but_what_the_report_names(
    held: Held, doomed: Belongings, mongo: Client, redis: kv.Client, objects: Objects
) -> None:
    others = [await found(each, "other") for found, each in everywhere(mongo, redis, objects)]
    held.holders["webhooks"].calls_away = 2
    ended = await held.through(erasure())
    assert ended.state is State.SUCCEEDED
    assert held.tenants.suspended == {"doomed": True, "other": False}

    assert await found_in_mongo(mongo, "doomed") == REMAINS
    assert await found_in_mongo(mongo, doomed.canary) == {"auth.audit"}
    assert await found_in_redis(redis, "doomed") == set()
    assert await found_in_objects(objects, "doomed") == set()
    assert [await found(each, "other") for found, each in everywhere(mongo, redis, objects)] == others

    report = data_pb2.EraseDataResponse.FromString(ended.response)
    stores = {store.store: store for store in report.stores}
    dated = {name for name, store in stores.items() if store.HasField("forgets_by")}
    assert {"auth.audit", "history.erasures", "stream.JOBS", "stream.NOTICES", "stream.AUDIT", "backups"} <= dated
    assert report.forgotten_by.ToDatetime(tzinfo=UTC) > datetime.now(UTC) + timedelta(days=360)
    removed = {name for name, store in stores.items() if store.removed}
    assert {"auth.keys", "auth.connections", "history.jobs", "webhooks.deliveries", "redis.intake"} <= removed
    assert {"objects.results", "objects.uploads", "objects.params", "objects.exports", "objects.cache"} <= removed


def everywhere(mongo: Client, redis: kv.Client, objects: Objects) -> list[tuple[object, object]]:
    """How each server is searched."""
    return [(found_in_mongo, mongo), (found_in_redis, redis), (found_in_objects, objects)]


async def test_a_service_that_is_away_is_named_and_asked_again(held: Held, doomed: Belongings, mongo: Client) -> None:
    assert doomed.tenant
    held.holders["webhooks"].calls_away = 1
    runner, operation = held.runners[Kind.ERASE_DATA], erasure()
    names: list[set[str]] = []
    while operation.state is State.RUNNING:
        step = await runner.take_turn(operation)
        operation = replace(operation, state=step.state, metadata=step.metadata, cursor=step.cursor)
        names.append({store.store for store in told(operation).stores if "does not answer" in store.note})
    assert names.count({"webhooks"}) == 1
    assert names[-1] == set()
    assert "webhooks.deliveries" not in await found_in_mongo(mongo, "doomed")


async def test_of_a_connection_its_things_go_and_the_tenants_others_stay(
    held: Held, doomed: Belongings, mongo: Client, redis: kv.Client, objects: Objects
) -> None:
    ended = await held.through(erasure(connection_id=doomed.connection), twice=True)
    assert ended.state is State.SUCCEEDED
    assert held.tenants.suspended["doomed"] is False
    for gone in (doomed.connection, *doomed.jobs[:2]):
        assert await found_in_mongo(mongo, gone) <= {"history.erasures"}
        assert await found_in_objects(objects, gone) == set()
    assert not await redis.exists(f"{{intake:doomed}}:job:{doomed.jobs[0]}")
    kept = doomed.jobs[2]
    assert await found_in_mongo(mongo, kept) == {"history.jobs", "webhooks.deliveries"}
    assert await found_in_objects(objects, kept) == {f"results/doomed/{kept}/1"}
    assert await redis.hgetall("{intake:doomed}:sizes") == {kept.encode(): b"700 5", b"sum": b"700"}


@pytest.mark.parametrize("was_suspended", [False, True])
async def test_within_the_grace_it_is_taken_back_and_who_was_not_suspended_before_is_let_in(
    held: Held, doomed: Belongings, mongo: Client, *, was_suspended: bool
) -> None:
    held.tenants.suspended["doomed"] = was_suspended
    before = await found_in_mongo(mongo, doomed.canary)
    runner, operation = held.runners[Kind.ERASE_DATA], erasure(grace=timedelta(days=7))
    for _ in range(3):
        step = await runner.take_turn(operation)
        operation = replace(operation, metadata=step.metadata, cursor=step.cursor)
    assert step.due_at == told(operation).erases_at.ToDatetime(tzinfo=UTC)
    assert told(operation).phase == Phase.SOFT
    assert held.tenants.suspended["doomed"] is True
    step = await runner.take_turn(replace(operation, cancel_requested=True))
    assert (step.state, step.due_at) == (State.CANCELED, None)
    assert held.tenants.suspended["doomed"] is was_suspended
    assert await found_in_mongo(mongo, doomed.canary) == before


async def test_an_export_has_all_and_no_secret(held: Held, doomed: Belongings) -> None:
    request = data_pb2.ExportDataRequest(tenant="doomed").SerializeToString()
    operation = replace(erasure(), kind=Kind.EXPORT_DATA, request=request)
    ended = await held.through(operation, twice=True)
    response = data_pb2.ExportDataResponse.FromString(await held.runners[Kind.EXPORT_DATA].response(ended))
    assert response.url
    body = await held.objects.get(f"exports/doomed/{operation.id}.ndjson.gz", at_most=1 << 20)
    assert len(body) == response.size
    lines = [json.loads(line) for line in gzip.decompress(body).decode().splitlines()]
    assert len(lines) == sum(response.lines.values())
    stores = {line["store"] for line in lines}
    assert {"auth.keys", "auth.connections", "auth.audit", "history.jobs", "webhooks.endpoints"} <= stores
    assert [each["id"] for each in (line["holding"] for line in lines if line["store"] == "history.jobs")] == sorted(
        doomed.jobs
    )
    assert doomed.canary in gzip.decompress(body).decode()
    assert SECRET not in gzip.decompress(body).decode()
    assert "canary-of-other" not in gzip.decompress(body).decode()
    parts = await found_in_objects(held.objects, f"{operation.id}/")
    assert parts == set()


async def test_what_was_erased_is_not_brought_back_by_the_log_nor_by_a_rebuild(
    held: Held, doomed: Belongings, mongo: Client, bus: Bus
) -> None:
    await held.through(erasure())
    later = Erasures(MongoErasureStore(mongo), clock=CLOCK)
    await later.look()
    replica = ErasedThings(await bus.bucket("intake", replicas=1))
    await replica.load()
    for job_id in doomed.jobs:
        assert later.covers("doomed", "", ids.made_at(job_id))
        assert not later.covers("other", "", ids.made_at(job_id))
        assert replica.left([change(job_id, "doomed")]) == []
        assert len(replica.left([change(job_id, "other")])) == 1
    after = ids.new_job_id("http")
    assert not later.covers("doomed", "", ids.made_at(after) + timedelta(seconds=1))


def change(job_id: str, tenant: str) -> Change:
    """An event that comes again."""
    return Change(tenant=tenant, job_id=job_id, revision=2, event=b"", at=CLOCK.now())


async def test_after_a_restore_it_is_carried_out_again(
    held: Held, doomed: Belongings, mongo: Client, redis: kv.Client, objects: Objects
) -> None:
    began = datetime.now(UTC)
    await held.through(erasure())
    await mongo["history"]["erasures"].drop()
    await mongo["auth"]["tenants"].delete_one({"_id": "doomed"})
    await doomed.put(mongo, redis, objects)  # as a backup has it

    operations = MongoOperationStore(mongo_.database(mongo, "history"))
    await operations.prepare()
    worker = Worker(store=operations, runners=held.runners, ended=lambda _: None, clock=CLOCK)
    working = asyncio.create_task(worker.run())
    try:
        again = await reapply(
            began,
            remembered=held.beside.remembered,
            erasures=MongoErasureStore(mongo),
            operations=operations,
            clock=CLOCK,
        )
    finally:
        working.cancel()
        await asyncio.wait({working})
    assert again == 1
    assert await found_in_mongo(mongo, "doomed") == REMAINS | {"history.operations"}
    assert await found_in_mongo(mongo, doomed.canary) == {"auth.audit"}
    assert await found_in_redis(redis, "doomed") == set()
    assert await found_in_objects(objects, "doomed") == set()
