"""What becomes of uploads when the object store or Redis is away, or another call comes in between."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from services.intake.domain import Content
from services.intake.uploads import READY_LIFETIME, Uploads
from shared import ids
from shared.errors import Unavailable, UploadIncomplete, UploadNotFound
from shared.objects import incoming_key, upload_key
from tests.fakes.objects import FakeObjects
from tests.fakes.upload_store import FakeUploadStore

BODY = b"a body"
CONTENT = Content(size=len(BODY), sha256=hashlib.sha256(BODY).digest(), content_type="text/plain")


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = datetime.now(UTC)

    def now(self) -> datetime:
        return self.time


class Bench:
    """Uploads on fakes."""

    def __init__(self) -> None:
        self.clock = HandClock()
        self.objects = FakeObjects(self.clock.now)
        self.store = FakeUploadStore()
        self.uploads = Uploads(store=self.store, objects=self.objects, clock=self.clock)

    async def sent(self) -> str:
        """The id of an upload whose bytes were sent."""
        upload, sending = await self.uploads.create("acme", CONTENT)
        assert self.objects.send(sending.put.url, BODY, sending.put.headers) == 200
        return upload.id

    async def ready(self) -> str:
        upload_id = await self.sent()
        assert (await self.uploads.complete("acme", upload_id)).ready
        return upload_id


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_a_link_ends_and_another_one_is_to_be_had(bench: Bench) -> None:
    upload, sending = await bench.uploads.create("acme", CONTENT)
    bench.clock.time += timedelta(minutes=15)
    assert bench.objects.send(sending.put.url, BODY, sending.put.headers) == 403
    _, again = await bench.uploads.get("acme", upload.id, to_send=True)
    assert again is not None
    assert bench.objects.send(again.put.url, BODY, again.put.headers) == 200


async def test_no_link_outlives_its_upload(bench: Bench) -> None:
    upload, _ = await bench.uploads.create("acme", CONTENT)
    bench.clock.time += timedelta(hours=23, minutes=59)
    _, late = await bench.uploads.get("acme", upload.id, to_send=True)
    assert late is not None
    assert late.expires_at <= upload.expires_at + timedelta(seconds=1)


async def test_what_the_store_or_redis_cannot_say_is_not_guessed(bench: Bench) -> None:
    upload_id = await bench.sent()
    bench.objects.away = True
    with pytest.raises(Unavailable):
        await bench.uploads.get("acme", upload_id, to_send=False)
    with pytest.raises(Unavailable):
        await bench.uploads.complete("acme", upload_id)
    with pytest.raises(Unavailable):
        await bench.uploads.why_not_ready("acme", upload_id)
    bench.objects.away, bench.store.away = False, True
    with pytest.raises(Unavailable):
        await bench.uploads.complete("acme", upload_id)
    bench.store.away = False
    assert (await bench.uploads.complete("acme", upload_id)).ready


async def test_a_completed_upload_stays_so_though_redis_went_away_in_the_middle(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_id = await bench.sent()
    copy = bench.objects.copy

    async def copy_and_lose_redis(source: str, target: str) -> None:
        await copy(source, target)
        bench.store.away = True

    monkeypatch.setattr(bench.objects, "copy", copy_and_lose_redis)
    assert (await bench.uploads.complete("acme", upload_id)).ready
    upload, sending = await bench.uploads.get("acme", upload_id, to_send=True)
    assert upload.ready
    assert sending is None


async def test_an_upload_that_is_deleted_while_it_is_completed_is_gone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_id = await bench.sent()

    async def copy_after_a_delete(source: str, target: str) -> None:
        await bench.uploads.delete("acme", upload_id)
        await FakeObjects.copy(bench.objects, source, target)

    monkeypatch.setattr(bench.objects, "copy", copy_after_a_delete)
    with pytest.raises(UploadIncomplete):
        await bench.uploads.complete("acme", upload_id)
    with pytest.raises(UploadNotFound):
        await bench.uploads.get("acme", upload_id, to_send=False)


async def test_two_calls_that_complete_at_once_both_answer_ready(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    upload_id = await bench.sent()
    copy = bench.objects.copy

    async def be_second(source: str, target: str) -> None:
        monkeypatch.setattr(bench.objects, "copy", copy)
        assert (await bench.uploads.complete("acme", upload_id)).ready
        await copy(source, target)

    monkeypatch.setattr(bench.objects, "copy", be_second)
    assert (await bench.uploads.complete("acme", upload_id)).ready


async def test_bytes_that_change_between_the_look_and_the_copy_make_no_upload(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_id = await bench.sent()

    async def copy_what_came_in_between(source: str, target: str) -> None:
        await bench.objects.put(source, b"other", content_type="text/html")
        await FakeObjects.copy(bench.objects, source, target)

    monkeypatch.setattr(bench.objects, "copy", copy_what_came_in_between)
    with pytest.raises(UploadIncomplete):
        await bench.uploads.complete("acme", upload_id)
    assert upload_key("acme", upload_id) not in bench.objects.objects
    assert incoming_key("acme", upload_id) in bench.objects.objects


async def test_an_upload_can_be_named_for_a_week(bench: Bench) -> None:
    upload_id = await bench.ready()
    upload, _ = await bench.uploads.get("acme", upload_id, to_send=False)
    bench.clock.time = upload.expires_at - timedelta(seconds=1)
    assert await bench.uploads.why_not_ready("acme", upload_id) == upload
    bench.clock.time = upload.expires_at
    told = await bench.uploads.why_not_ready("acme", upload_id)
    assert isinstance(told, str)
    assert "time is over" in told
    with pytest.raises(UploadNotFound):
        await bench.uploads.get("acme", upload_id, to_send=False)
    assert timedelta(days=7) == READY_LIFETIME


def test_an_id_tells_when_it_was_made() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    assert before <= ids.made_at(ids.new_upload_id()) <= datetime.now(UTC)
