"""What a submit comes to when the store is away or late, and how each outcome is counted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from services.intake import metrics
from services.intake.reading import read_draft
from shared import errors
from shared.identity import Principal, PrincipalKind
from tests.fakes.intake_requests import request
from tests.fakes.intake_store import FakeJobStore
from tests.fakes.intake_submitters import submitter_of
from tests.fakes.intake_tally import roomy_tally
from tests.fakes.objects import FakeObjects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.jobs.v1 import jobs_pb2

    from services.intake.tally import Tally
    from shared.bus import Outgoing

PRINCIPAL = Principal(kind=PrincipalKind.KEY, id="key_1", tenant="acme", scopes=frozenset())


class Log:
    """Takes messages; the store goes away with the first, where it is told to."""

    def __init__(self, store: FakeJobStore, *, store_goes: bool = False, fails: bool = False) -> None:
        self.messages: list[Outgoing] = []
        self._store = store
        self._store_goes = store_goes
        self._fails = fails

    async def publish_whole(self, messages: Sequence[Outgoing]) -> None:
        self.messages += messages
        self._store.away = self._store_goes
        if self._fails:
            raise errors.Unavailable("no acknowledgement came")


async def send(
    store: FakeJobStore,
    log: Log,
    *,
    max_pending: int = 10,
    tally: Tally | None = None,
    objects: FakeObjects | None = None,
    **changes: Any,
) -> jobs_pb2.Job:
    submitter = submitter_of(store, log, max_pending=max_pending, tally=tally, objects=objects)
    return await submitter.submit(read_draft(request(**changes), {}), PRINCIPAL, remaining_s=0.3)


def counted(outcome: str) -> float:
    return metrics.SUBMITS.labels(outcome)._value.get()


async def test_a_job_that_is_on_disk_is_answered_though_the_store_went_away() -> None:
    store = FakeJobStore()
    log = Log(store, store_goes=True)
    job = await send(store, log, request_id="k")
    assert [message.message_id for message in log.messages] == [job.id]


async def test_a_store_that_is_away_admits_nothing() -> None:
    store = FakeJobStore()
    store.away = True
    log = Log(store)
    with pytest.raises(errors.Unavailable):
        await send(store, log)
    assert log.messages == []


async def test_a_log_and_a_store_that_are_both_away_are_told_with_the_job() -> None:
    store = FakeJobStore()
    log = Log(store, store_goes=True, fails=True)
    with pytest.raises(errors.Unavailable) as refused:
        await send(store, log, request_id="k")
    assert {message.message_id for message in log.messages} == {refused.value.metadata["job"]}


async def test_a_key_whose_job_was_lost_says_so_and_makes_no_second_job() -> None:
    store = FakeJobStore()
    log = Log(store)
    first = await send(store, log, request_id="k")
    store._tenants["acme"].jobs.clear()
    with pytest.raises(errors.Unavailable) as refused:
        await send(store, log, request_id="k")
    assert refused.value.metadata == {"job": first.id}
    assert len(log.messages) == 1


@pytest.mark.parametrize("key", ["", "k"])
async def test_a_job_that_could_not_be_published_does_not_count_any_more(key: str) -> None:
    store = FakeJobStore()
    with pytest.raises(errors.Unavailable):
        await send(store, Log(store, fails=True), max_pending=1, request_id=key)
    await send(store, Log(store), max_pending=1, request_id=key)


async def test_where_all_tenants_have_too_many_jobs_nothing_new_is_accepted() -> None:
    store = FakeJobStore()
    log, tally = Log(store), roomy_tally(cap=2)
    first = await send(store, log, tally=tally, request_id="k")
    await send(store, log, tally=tally)
    with pytest.raises(errors.QueueFull) as refused:
        await send(store, log, tally=tally)
    assert refused.value.metadata == {"scope": "all_tenants"}
    assert (await send(store, log, tally=tally, request_id="k")).id == first.id
    assert len(log.messages) == 2


async def test_a_request_that_is_too_late_is_not_refused_while_its_key_may_be_lost() -> None:
    store = FakeJobStore()
    store.rebuilding = True
    late = request(request_id="k")
    late.expires_at.FromSeconds(1)
    with pytest.raises(errors.Unavailable) as refused:
        await submitter_of(store, Log(store)).submit(read_draft(late, {}), PRINCIPAL, remaining_s=None)
    assert refused.value.metadata == {"dependency": "redis", "state": "rebuilding"}
    store.rebuilding = False
    with pytest.raises(errors.InvalidArgument):
        await submitter_of(store, Log(store)).submit(read_draft(late, {}), PRINCIPAL, remaining_s=None)


async def test_a_store_that_is_being_rebuilt_accepts_nothing() -> None:
    store = FakeJobStore()
    store.rebuilding = True
    log = Log(store)
    with pytest.raises(errors.Unavailable) as refused:
        await send(store, log)
    assert refused.value.metadata == {"dependency": "redis", "state": "rebuilding"}
    assert log.messages == []


async def test_every_outcome_is_counted() -> None:
    store = FakeJobStore()
    log = Log(store)
    outcomes = ["accepted", "replayed", "idempotency_key_reused", "invalid_argument", "queue_full"]
    before = {outcome: counted(outcome) for outcome in outcomes}
    await send(store, log, request_id="k")
    await send(store, log, request_id="k")
    for error, changes in (
        (errors.IdempotencyKeyReused, {"request_id": "k", "metadata": {"a": "b"}}),
        (errors.InvalidArgument, {"method": ""}),
        (errors.QueueFull, {"max_pending": 1}),
    ):
        with pytest.raises(error):
            await send(store, log, **changes)
    assert {outcome: counted(outcome) - before[outcome] for outcome in outcomes} == dict.fromkeys(outcomes, 1)


async def test_a_bad_request_is_not_replayed_under_a_key_that_made_another() -> None:
    store = FakeJobStore()
    log = Log(store)
    await send(store, log, request_id="k")
    with pytest.raises(errors.InvalidArgument):
        await send(store, log, request_id="k", method="")
    with pytest.raises(errors.InvalidArgument):
        await send(store, log, request_id="k", params={"url": float("nan")})
    with pytest.raises(errors.InvalidArgument):
        await send(store, log, request_id="k", priority=9)


@pytest.mark.parametrize("key", ["", "k"])
async def test_a_job_whose_params_could_not_be_kept_was_never_accepted(key: str) -> None:
    store, objects = FakeJobStore(), FakeObjects()
    log = Log(store)
    large = {"url": "https://example.com/x", "json": "x" * 70_000}
    objects.away = True
    with pytest.raises(errors.Unavailable) as refused:
        await send(store, log, objects=objects, max_pending=1, request_id=key, params=large)
    assert refused.value.metadata == {"dependency": "objects"}
    assert log.messages == []
    objects.away = False
    await send(store, log, objects=objects, max_pending=1, request_id=key, params=large)
    assert len(log.messages) == len(objects.objects) == 1


async def test_a_job_whose_params_could_not_be_kept_lapses_where_the_store_is_away_too() -> None:
    store = FakeJobStore()

    class Both(FakeObjects):
        async def put(self, key: str, body: bytes, *, content_type: str) -> None:
            store.away = True
            raise errors.Unavailable("away", metadata={"dependency": "objects"})

    large = {"url": "https://example.com/x", "json": "x" * 70_000}
    with pytest.raises(errors.Unavailable) as refused:
        await send(store, Log(store), objects=Both(), params=large)
    assert refused.value.metadata == {"dependency": "objects"}


async def test_an_object_store_that_takes_too_long_is_told_apart_from_the_log() -> None:
    store = FakeJobStore()

    class Slow(FakeObjects):
        async def put(self, key: str, body: bytes, *, content_type: str) -> None:
            await asyncio.Event().wait()

    large = {"url": "https://example.com/x", "json": "x" * 70_000}
    log = Log(store)
    with pytest.raises(errors.Unavailable) as refused:
        await send(store, log, objects=Slow(), max_pending=1, params=large)
    assert refused.value.metadata == {"dependency": "objects"}
    await send(store, log, max_pending=1, params=large)
    assert len(log.messages) == 1
