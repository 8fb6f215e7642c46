"""What intake knows of connections: asked for where one is named, remembered for a moment, and waited for by nobody."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest
from penstock.auth.v1 import connections_pb2
from penstock.jobs.v1 import batches_pb2

from services.intake import connections as connections_
from services.intake.connections import ABSENT_TIME_TO_LIVE, TIME_TO_LIVE, Connections
from services.intake.domain import ConnectionFacts, Draft
from services.intake.reading import read_batch_draft, read_draft
from shared import errors, ids
from shared.identity import Principal, PrincipalKind
from tests.fakes.credentials import CONNECTION, FakeCredentials
from tests.fakes.intake_batches import FakeBatchStore
from tests.fakes.intake_requests import request
from tests.fakes.intake_store import FakeJobStore
from tests.fakes.intake_submitters import batch_submitter_of, submitter_of
from tests.waiting import eventually

PRINCIPAL = Principal(kind=PrincipalKind.KEY, id="key_1", tenant="acme", scopes=frozenset())


def drafts(*connections: str) -> list[Draft]:
    return [read_draft(request(connection_id=each) if each else request(), {}) for each in connections]


class Desk:
    def __init__(self, auth: FakeCredentials) -> None:
        self.now_s = 1000.0
        self.connections = Connections(cast("Any", auth), monotonic=lambda: self.now_s)

    async def facts(self, connection: str = CONNECTION, tenant: str = "acme") -> ConnectionFacts | None:
        [found] = await self.connections.look_up(drafts(connection), tenant)
        return found.connection_facts


async def test_drafts_without_a_connection_ask_nobody() -> None:
    auth = FakeCredentials()
    named = drafts("", "", "con_1")
    assert await Desk(auth).connections.look_up(named, "acme") == named
    assert not auth.described


async def test_each_connection_of_a_batch_is_asked_for_once() -> None:
    auth = FakeCredentials()
    other = ids.new_connection_id()
    found = await Desk(auth).connections.look_up(drafts(CONNECTION, other, "", CONNECTION), "acme")
    shop = ConnectionFacts(upstream="shop", hosts=("shop.example.com",))
    assert [draft.connection_facts for draft in found] == [shop, ConnectionFacts(exists=False), None, shop]
    assert sorted(each.connection_id for each in auth.described) == sorted([CONNECTION, other])


async def test_what_is_known_is_asked_for_again_after_a_while_or_when_it_has_changed() -> None:
    auth = FakeCredentials()
    desk = Desk(auth)
    for _ in range(3):
        await desk.facts()
    assert len(auth.described) == 1
    desk.now_s += TIME_TO_LIVE.total_seconds()
    await desk.facts()
    assert len(auth.described) == 2
    auth.state = connections_pb2.Connection.NEEDS_REAUTH
    await desk.connections.changed(CONNECTION.encode())
    found = await desk.facts()
    assert found is not None
    assert found.needs_reauth
    assert not found.jobs_wait
    desk.connections.forget_all()
    auth.reauth_policy = connections_pb2.Connection.WAIT
    found = await desk.facts()
    assert found is not None
    assert found.jobs_wait


async def test_what_was_asked_before_a_change_is_not_remembered_after_it() -> None:
    auth = FakeCredentials()
    desk = Desk(auth)
    auth.open.clear()
    before = asyncio.create_task(desk.facts())
    await eventually(lambda: auth.described)
    auth.upstream = "other"
    await desk.connections.changed(CONNECTION.encode())
    auth.open.set()
    await before
    found = await desk.facts()
    assert found is not None
    assert found.upstream == "other"


async def test_that_one_is_not_there_is_remembered_for_a_moment_only() -> None:
    auth = FakeCredentials(error=errors.ConnectionNotFound("none"))
    desk = Desk(auth)
    assert [await desk.facts() for _ in range(2)] == [ConnectionFacts(exists=False)] * 2
    assert len(auth.described) == 1
    auth.error = None
    desk.now_s += ABSENT_TIME_TO_LIVE.total_seconds()
    found = await desk.facts()
    assert found is not None
    assert found.exists


async def test_another_tenants_connection_is_not_there_and_its_owner_is_not_hurt() -> None:
    auth = FakeCredentials()
    desk = Desk(auth)
    await desk.facts()
    assert await desk.facts(tenant="rival") == ConnectionFacts(exists=False)
    await desk.facts()
    assert [each.tenant for each in auth.described] == ["acme", "rival"]


async def test_while_auth_is_away_nothing_is_known_and_nobody_waits_for_it() -> None:
    auth = FakeCredentials(away_for=1)
    desk = Desk(auth)
    assert [await desk.facts() for _ in range(5)] == [None] * 5
    assert len(auth.described) == 1
    desk.now_s += 1
    assert await desk.facts() is not None


async def test_no_more_is_remembered_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections_, "MAX_CONNECTIONS", 2)
    auth = FakeCredentials()
    desk = Desk(auth)
    first, second = ids.new_connection_id(), ids.new_connection_id()
    for connection in (first, second, CONNECTION, second, first):
        await desk.facts(connection)
    assert [each.connection_id for each in auth.described] == [first, second, CONNECTION, first]


class Log:
    """Takes messages."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    async def publish_whole(self, messages: Any) -> None:
        self.messages += messages


def of_http(**fields: Any) -> FakeCredentials:
    return replace(FakeCredentials(), upstream="http", hosts=("example.com",), **fields)


async def test_a_retry_is_answered_as_the_first_time_whatever_became_of_the_connection() -> None:
    auth, store, log = of_http(), FakeJobStore(), Log()
    submitter = submitter_of(store, cast("Any", log), auth=auth)
    draft = read_draft(request(connection_id=CONNECTION, request_id="k"), {})
    first = await submitter.submit(draft, PRINCIPAL, remaining_s=None)
    assert first.connection_id == CONNECTION
    auth.state = connections_pb2.Connection.NEEDS_REAUTH
    for error in (None, errors.ConnectionNotFound("gone")):
        auth.error = error
        again = submitter_of(store, cast("Any", log), auth=auth)
        assert (await again.submit(draft, PRINCIPAL, remaining_s=None)).id == first.id
        with pytest.raises((errors.InvalidArgument, errors.ConnectionNeedsReauth)):
            await again.submit(replace(draft, idempotency_key="other"), PRINCIPAL, remaining_s=None)
    assert len(log.messages) == 1


async def test_a_batch_is_refused_whole_where_one_of_its_connections_has_to_be_authorized_anew() -> None:
    auth, store, log = of_http(state=connections_pb2.Connection.NEEDS_REAUTH), FakeJobStore(), Log()
    submitter = batch_submitter_of(store, FakeBatchStore(), cast("Any", log), auth=auth)
    batch = batches_pb2.SubmitBatchRequest(jobs=[request(), request(connection_id=CONNECTION)])
    with pytest.raises(errors.ConnectionNeedsReauth) as caught:
        await submitter.submit(read_batch_draft(batch, {}), PRINCIPAL, remaining_s=None)
    assert caught.value.metadata["faulty_jobs"] == "1"
    assert not log.messages
