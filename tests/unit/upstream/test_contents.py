"""What calls need of the store: there, gone, or to be waited for."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from penstock.events.v1 import events_pb2
from penstock.scheduler.v1 import scheduler_pb2

from services.upstream.contents import ContentGoneError, Contents
from shared import ids
from shared.errors import Unavailable
from shared.objects import params_key, result_key, upload_key
from tests.fakes.contents import ContentStore

PARAMS = b'{"a":1}'
DIGEST = hashlib.sha256(PARAMS).digest()
UPLOAD = ids.new_upload_id()
#: Over the first pause or two.
PATIENCE = timedelta(seconds=0.4)


def call(*, uploads: bool = False, **submission: object) -> scheduler_pb2.Call:
    attached = [events_pb2.AttachedUpload(upload_id=UPLOAD, content_type="image/png", size=9)] if uploads else []
    return scheduler_pb2.Call(
        job_id="http-1",
        tenant="acme",
        attempt=3,
        submission=events_pb2.Submission(uploads=attached, **submission),  # type: ignore[arg-type]  of its fields
    )


STORED = call(stored_params=events_pb2.StoredParams(size=len(PARAMS), sha256=DIGEST))


def contents(store: ContentStore) -> Contents:
    return Contents(store, max_result_bytes=7, patience=PATIENCE)


async def test_params_that_travel_are_asked_of_nobody() -> None:
    assert await contents(ContentStore(away_for=99)).params(call(params=PARAMS)) == PARAMS


async def test_params_that_are_stored_are_found_by_tenant_and_digest() -> None:
    store = ContentStore({params_key("acme", DIGEST): PARAMS})
    assert await contents(store).params(STORED) == PARAMS


@pytest.mark.parametrize("found", [None, b'{"a":2}', PARAMS + b" "], ids=["none", "others", "too many"])
async def test_params_that_are_not_those_that_were_accepted_are_gone(found: bytes | None) -> None:
    store = ContentStore({params_key("acme", DIGEST): found} if found is not None else {})
    with pytest.raises(ContentGoneError):
        await contents(store).params(STORED)


async def test_an_upload_is_told_as_it_was_attached_and_can_be_read_again_and_again() -> None:
    store = ContentStore({upload_key("acme", UPLOAD): b"some data"})
    upload = (await contents(store).uploads(call(uploads=True)))[UPLOAD]
    assert (upload.id, upload.content_type, upload.size) == (UPLOAD, "image/png", 9)
    for _ in range(2):
        async with upload.open() as chunks:
            assert b"".join([chunk async for chunk in chunks]) == b"some data"


@pytest.mark.parametrize(
    "objects", [{}, {upload_key("other", UPLOAD): b"some data"}, {upload_key("acme", UPLOAD): b"x"}]
)
async def test_an_upload_that_is_not_there_as_it_was_is_gone(objects: dict[str, bytes]) -> None:
    with pytest.raises(ContentGoneError, match=UPLOAD):
        await contents(ContentStore(objects)).uploads(call(uploads=True))


async def test_a_store_that_is_away_for_a_moment_is_waited_for() -> None:
    store = ContentStore({params_key("acme", DIGEST): PARAMS, upload_key("acme", UPLOAD): b"some data"}, away_for=1)
    assert await contents(store).params(STORED) == PARAMS
    store.away_for = 1
    assert UPLOAD in await contents(store).uploads(call(uploads=True))


async def test_a_store_that_stays_away_is_not_waited_for_for_ever() -> None:
    with pytest.raises(Unavailable, match=r"0\.4 s"):
        await contents(ContentStore(away_for=1000)).params(STORED)


async def test_each_attempt_has_a_place_of_its_own_for_its_answer() -> None:
    place = contents(ContentStore()).result_place(STORED)
    assert (place.key, place.at_most) == (result_key("acme", "http-1", 3), 7)
