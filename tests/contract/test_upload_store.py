"""What every store of uploads that are not READY does: the fake in memory and the real one in Redis."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from services.intake.domain import Content
from services.intake.upload_store import RedisUploadStore
from shared import ids
from tests.fakes.upload_store import FakeUploadStore
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.intake.uploads import UploadStore
    from shared import kv

CONTENT = Content(size=5, sha256=bytes(range(32)), content_type='text/plain; charset="utf-8"')


@pytest.fixture
def fake() -> Callable[..., UploadStore]:
    return FakeUploadStore


@pytest.fixture
def real(redis: kv.Client) -> Callable[..., UploadStore]:
    return lambda **settings: RedisUploadStore(redis, **settings)


@pytest.fixture(params=["fake", "real"])
def make_store(request: pytest.FixtureRequest) -> Callable[..., UploadStore]:
    return request.getfixturevalue(request.param)


async def test_what_was_told_is_found_by_its_tenant_alone(make_store: Callable[..., UploadStore]) -> None:
    store, upload_id = make_store(), ids.new_upload_id()
    await store.add("acme", upload_id, CONTENT)
    assert await store.find("acme", upload_id) == CONTENT
    assert await store.find("globex", upload_id) is None
    assert await store.find("acme", ids.new_upload_id()) is None


async def test_what_is_removed_is_not_found(make_store: Callable[..., UploadStore]) -> None:
    store, upload_id = make_store(), ids.new_upload_id()
    await store.add("acme", upload_id, CONTENT)
    assert await store.remove("acme", upload_id) is True
    assert await store.find("acme", upload_id) is None
    assert await store.remove("acme", upload_id) is False


async def test_what_was_told_is_forgotten_in_time(make_store: Callable[..., UploadStore]) -> None:
    store, upload_id = make_store(lifetime=timedelta(milliseconds=30)), ids.new_upload_id()
    await store.add("acme", upload_id, CONTENT)

    async def is_forgotten() -> bool:
        return await store.find("acme", upload_id) is None

    await eventually(is_forgotten, what="the end of its lifetime")
