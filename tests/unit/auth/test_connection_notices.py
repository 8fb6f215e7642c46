from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest
from penstock.events.v1 import notices_pb2

from services.auth.connections.domain import Change, GivenSecret, Kind, ReauthPolicy
from services.auth.connections.notices import UntoldConnections
from shared import streams
from shared.errors import Unavailable
from shared.notices import Notices
from tests.fakes.connection_store import FakeConnectionStore
from tests.fakes.connections import FRESH, LATER, NOW, SECOND, added

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.auth.connections.domain import Connection, Standing
    from shared.bus import Outgoing


class Publisher:
    """Notes what is published; its acknowledgement can be lost."""

    def __init__(self) -> None:
        self.taken: list[Outgoing] = []
        self.loses = False

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        self.taken += messages
        if self.loses:
            raise Unavailable("NATS does not answer")

    @property
    def notices(self) -> list[notices_pb2.Notice]:
        found = [notices_pb2.Notice.FromString(each.payload) for each in self.taken]
        for outgoing, notice in zip(self.taken, found, strict=True):
            assert outgoing.subject == streams.notice_subject(notice.WhichOneof("fact") or "")
            assert outgoing.message_id == notice.id
        return found


@pytest.fixture
def store() -> FakeConnectionStore:
    return FakeConnectionStore()


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
def notices(store: FakeConnectionStore, publisher: Publisher) -> Notices[Standing]:
    return Notices(UntoldConnections(store), publisher)


async def needs_reauth(store: FakeConnectionStore, connection: Connection) -> None:
    named = ("acme", connection.id)
    assert await store.mark_needs_reauth(*named, version=connection.version, reason="revoked", at=NOW + SECOND)


async def test_each_standing_is_told_with_all_that_there_is_to_say(
    store: FakeConnectionStore, publisher: Publisher, notices: Notices[Standing]
) -> None:
    made = await added(store, upstream="flickr", provider="flickr", reauth_policy=ReauthPolicy.WAIT)
    await needs_reauth(store, made)
    await notices.tell()
    fails = Change(at=LATER, reauth_policy=ReauthPolicy.FAIL)
    await store.change("acme", made.id, fails)
    await notices.tell()
    given = GivenSecret(kind=Kind.OAUTH1, sealed=FRESH)
    await store.change("acme", made.id, Change(at=LATER, given=given))
    await notices.tell()
    await store.delete("acme", made.id, LATER)
    await notices.tell()
    await notices.tell()
    waits, no_more, restored, deleted = publisher.notices
    needs = waits.connection_needs_reauth
    assert (needs.connection_id, needs.upstream, needs.provider) == (made.id, "flickr", "flickr")
    assert (needs.revision, needs.reason, needs.jobs_wait) == (2, "revoked", True)
    assert needs.needed_since.ToDatetime(tzinfo=NOW.tzinfo) == NOW + SECOND
    assert not no_more.connection_needs_reauth.jobs_wait
    assert no_more.connection_needs_reauth.revision == 3
    ended = restored.connection_restored
    assert (ended.connection_id, ended.upstream, ended.revision) == (made.id, "flickr", 4)
    gone = deleted.connection_deleted
    assert (gone.connection_id, gone.upstream, gone.revision) == (made.id, "flickr", 5)
    assert [each.id for each in publisher.notices] == [f"{made.id}:{revision}" for revision in (2, 3, 4, 5)]
    assert {each.tenant for each in publisher.notices} == {"acme"}
    assert FRESH.text not in b"".join(each.payload for each in publisher.taken)
    assert store.deleted == {}


async def test_what_is_not_acknowledged_is_told_again_as_it_is_then(
    store: FakeConnectionStore, publisher: Publisher, notices: Notices[Standing]
) -> None:
    made = await added(store)
    await needs_reauth(store, made)
    publisher.loses = True
    with pytest.raises(Unavailable):
        await notices.tell()
    await store.delete("acme", made.id, LATER)
    publisher.loses = False
    await notices.tell()
    facts = [each.WhichOneof("fact") for each in publisher.notices]
    assert facts == ["connection_needs_reauth", "connection_deleted"]


async def test_one_that_changes_while_it_is_told_is_told_once_more(
    store: FakeConnectionStore, publisher: Publisher, notices: Notices[Standing], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await added(store)
    await needs_reauth(store, made)
    publish = publisher.publish

    async def overtaken(messages: Sequence[Outgoing]) -> None:
        if not publisher.taken:
            await store.delete("acme", made.id, LATER)
        await publish(messages)

    monkeypatch.setattr(publisher, "publish", overtaken)
    await notices.tell()
    assert [each.WhichOneof("fact") for each in publisher.notices][-1] == "connection_deleted"
    assert store.deleted == {}


async def test_any_number_are_told(
    store: FakeConnectionStore, publisher: Publisher, notices: Notices[Standing]
) -> None:
    made = [await added(store) for _ in range(250)]
    for each in made:
        await needs_reauth(store, replace(each))
    await notices.tell()
    told = {each.connection_needs_reauth.connection_id for each in publisher.notices}
    assert told == {each.id for each in made}
    assert len(publisher.taken) == len(made)
    assert not cast("set[str]", store.untold_ids)
