"""What has had its time is archived and deleted, and nothing else; on real servers, by a clock that is put forward."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from prometheus_client import REGISTRY

from services.history.leases import Lease, LeaseLostError, Leases
from services.history.retention import sweep as sweep_
from services.history.retention.domain import DAY
from services.history.retention.jobs import MongoDueStore
from shared import mongo
from shared.objects import ObjectNotFoundError, open_objects, result_key
from tests import object_stores
from tests.integration.history.retention.conftest import DAY_OF, ENDED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.history.retention.jobs import Marked
    from shared.objects import ObjectSettings
    from tests.integration.history.retention.conftest import Shelf

pytestmark = pytest.mark.usefixtures("no_stalls")


async def test_jobs_are_archived_by_how_they_ended_and_not_a_second_sooner(shelf: Shelf) -> None:
    good, bad = await shelf.add(), [await shelf.add(state) for state in ("FAILED", "CANCELED", "EXPIRED")]
    for days, left in ((29.9, {good, *bad}), (30, {good}), (89.9, {good}), (90, set[str]())):
        shelf.after(days)
        assert await shelf.sweep().sweep()
        assert await shelf.listed() == left
    assert await shelf.archived_ids() == sorted([good, *bad])


async def test_a_line_is_the_job_as_the_api_answers_it_in_full(shelf: Shelf) -> None:
    job_id = await shelf.add(connection_id="con_1")
    shelf.after(90)
    await shelf.sweep().sweep()
    (job,) = await shelf.archived()
    assert job["id"] == job_id
    assert (job["state"], job["connectionId"], job["metadata"]) == ("SUCCEEDED", "con_1", {"order": "1 ünd\u2028more"})
    assert job["result"]["inline"]["text"] == "the answer"
    assert [(attempt["number"], attempt["state"]) for attempt in job["attempts"]] == [(1, "RETRYING"), (2, "SUCCEEDED")]


async def test_another_retention_holds_for_what_is_there_and_for_its_tenant_alone(shelf: Shelf) -> None:
    mine, theirs = await shelf.add(), await shelf.add(tenant="other")
    await shelf.retain(succeeded_jobs=2 * DAY)
    shelf.after(2)
    await shelf.sweep().sweep()
    assert await shelf.listed() == {theirs}
    assert await shelf.archived_ids() == [mine]


async def test_who_wants_no_archive_has_none(shelf: Shelf) -> None:
    await shelf.add()
    await shelf.retain(archive=False)
    shelf.after(90)
    await shelf.sweep().sweep()
    assert not await shelf.listed()
    assert await object_stores.keys_in(shelf.objects) == []


async def test_a_job_stays_until_it_is_counted(shelf: Shelf) -> None:
    job_id = await shelf.add(counted=False)
    shelf.after(90)
    await shelf.sweep().sweep()
    assert await shelf.listed() == {job_id}
    await shelf.jobs.update_one({"_id": job_id}, {"$unset": {"uncounted": ""}})
    await shelf.sweep().sweep()
    assert await shelf.archived_ids() == [job_id]
    assert not await shelf.listed()


async def test_what_is_marked_anew_while_it_is_archived_is_deleted_when_it_is_counted(shelf: Shelf) -> None:
    job_id = await shelf.add()
    shelf.after(90)
    await shelf.due.mark([job_id], "01-part")
    await shelf.jobs.update_one({"_id": job_id}, {"$set": {"uncounted": ["end"]}})
    await shelf.sweep().sweep()
    assert await shelf.listed() == {job_id}
    assert await shelf.archived_ids() == [job_id]
    await shelf.jobs.update_one({"_id": job_id}, {"$unset": {"uncounted": ""}})
    await shelf.sweep().sweep()
    assert not await shelf.listed()
    assert await shelf.archived_ids() == [job_id]


async def test_a_large_answer_goes_with_its_job(shelf: Shelf) -> None:
    job_id = await shelf.add(large=True)
    keys = [result_key("acme", job_id, attempt) for attempt in (1, 2)]
    for key in keys:
        await shelf.objects.put(key, b"large", content_type="text/plain")
    shelf.after(90)
    await shelf.sweep().sweep()
    for key in keys:
        with pytest.raises(ObjectNotFoundError):
            await shelf.objects.get(key, at_most=10)
    assert "url" in (await shelf.archived())[0]["result"]


async def test_what_never_ended_goes_as_if_it_had_failed_when_it_was_made(shelf: Shelf) -> None:
    stuck, fresh = await shelf.add("RUNNING"), await shelf.add("RUNNING", ended=ENDED + 20 * DAY)
    earlier = await shelf.add("CANCELED")  # the version before wrote no end of what was never begun
    await shelf.jobs.update_one({"_id": earlier}, {"$set": {"finished_at": None}})
    await shelf.retain(failed_jobs=DAY)
    shelf.after(29)
    await shelf.sweep().sweep()
    assert await shelf.listed() == {stuck, fresh, earlier}
    shelf.after(30)
    await shelf.sweep().sweep()
    assert await shelf.listed() == {fresh}
    assert await shelf.archived_ids() == sorted([stuck, earlier])


async def test_what_lacks_its_submission_is_deleted_and_not_archived(shelf: Shelf) -> None:
    job_id, whole = await shelf.add("FAILED"), await shelf.add("FAILED")
    await shelf.jobs.update_one({"_id": job_id}, {"$unset": {"job": "", "created_at": ""}})
    shelf.after(30)
    await shelf.sweep().sweep()
    assert not await shelf.listed()
    assert await shelf.archived_ids() == [whole]


async def test_parts_are_of_one_day_and_bounded(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [await shelf.add() for _ in range(3)]
    next_day = await shelf.add(ended=ENDED + DAY)
    monkeypatch.setattr(sweep_, "MAX_PART_BYTES", 1)  # a job is larger, and goes alone
    shelf.after(91)
    await shelf.sweep().sweep()
    assert await shelf.archived_ids() == sorted(jobs)
    assert await shelf.archived_ids(DAY_OF + DAY) == [next_day]
    assert len(await shelf.parts.of_day("acme", DAY_OF)) == len(jobs)


async def test_nothing_is_deleted_while_the_object_store_is_away(shelf: Shelf, object_settings: ObjectSettings) -> None:
    kept = await shelf.add()
    await shelf.add(tenant="unarchived")
    await shelf.retain("unarchived", archive=False)
    shelf.after(92)
    away = await open_objects(replace(object_settings, url="http://127.0.0.1:9"))
    try:
        assert await shelf.sweep(objects=away).sweep()
    finally:
        await away.close()
    assert await shelf.listed() == {kept}
    assert REGISTRY.get_sample_value("penstock_history_oldest_due_seconds") == (2 * DAY).total_seconds() + 1
    await shelf.sweep().sweep()
    assert await shelf.archived_ids() == [kept]
    assert REGISTRY.get_sample_value("penstock_history_oldest_due_seconds") == 0


async def test_archives_go_when_they_have_had_their_time(shelf: Shelf) -> None:
    old, later = await shelf.add("FAILED"), await shelf.add()
    await shelf.retain(archives=100 * DAY)
    for days in (30, 90, 129.9):
        shelf.after(days)
        await shelf.sweep().sweep()
    assert await shelf.archived_ids() == sorted([old, later])
    shelf.after(131)
    await shelf.sweep().sweep()
    assert await shelf.archived_ids() == [later]
    shelf.after(191)
    await shelf.sweep().sweep()
    assert await object_stores.keys_in(shelf.objects) == []


async def test_one_replica_sweeps_at_a_time(shelf: Shelf) -> None:
    await shelf.add()
    shelf.after(90)
    lease = await shelf.leases.take("sweep")
    assert lease is not None
    assert not await shelf.sweep().sweep()
    assert await shelf.sweep().erase("acme", "", shelf.clock.now()) == (0, True)
    await shelf.leases.release(lease)
    assert await shelf.sweep().sweep()


async def test_two_that_take_themselves_for_the_one_do_no_harm(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a process stood still for longer than its lease: nothing is lost, and nothing is there twice."""
    jobs = [await shelf.add() for _ in range(12)]
    await shelf.due.mark(jobs[:3], "01-begun")
    shelf.after(90)
    monkeypatch.setattr(sweep_, "MAX_PART_JOBS", 2)

    class Blind(Leases):
        """Gives the lease to everybody."""

        async def take(self, name: str) -> Lease:
            return Lease(name=name, token="any")

        async def renew(self, lease: Lease) -> bool:
            del lease
            return True

    blind = Blind(shelf.client)
    await asyncio.gather(*(shelf.sweep(leases=blind).sweep() for _ in range(3)))
    await shelf.sweep().sweep()  # what they have left to each other
    assert await shelf.archived_ids() == sorted(jobs)
    assert not await shelf.listed()
    assert not await shelf.parts.open()


async def test_who_has_lost_the_lease_writes_and_deletes_nothing(shelf: Shelf) -> None:
    job_id = await shelf.add()
    shelf.after(90)

    class Late(MongoDueStore):
        """Takes so long to read that another has the lease by then."""

        async def marked(self, part_id: str, *, content: bool = True) -> Sequence[Marked]:
            await shelf.let_the_lease_run_out()
            assert await shelf.leases.take("sweep")
            return await super().marked(part_id, content=content)

    with pytest.raises(LeaseLostError):
        await shelf.sweep(jobs=Late(shelf.client)).sweep()
    assert await shelf.listed() == {job_id}
    assert await object_stores.keys_in(shelf.objects) == []


async def test_no_step_of_a_sweep_walks_over_the_collection(shelf: Shelf) -> None:
    """As it asked MongoDB itself: every query that a sweep has made is explained."""
    await shelf.add()
    shelf.after(90)
    database = mongo.database(shelf.client, "history")
    await database.command("profile", 2)
    try:
        await shelf.sweep().sweep()
    finally:
        await database.command("profile", 0)
    done = await database.get_collection("system.profile").find({"ns": "history.jobs"}).to_list()
    plans = {each.get("planSummary", "") for each in done}
    assert any("DISTINCT_SCAN" in plan for plan in plans)
    assert not [each["command"] for each in done if "COLLSCAN" in each.get("planSummary", "")]
