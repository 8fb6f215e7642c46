"""What every store of tenants does: the fake in memory and the real one in MongoDB."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from services.auth.domain import Suspension, Tenant
from services.auth.tenant_store import MongoTenantStore, TenantStore
from shared.paging import Position
from tests.fakes.auth_store import FakeStore

if TYPE_CHECKING:
    from shared.mongo import Client

NOW = datetime(2026, 5, 4, 10, 30, 15, 123000, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ACME = Tenant(name="acme", created_at=NOW)


@pytest.fixture
def fake_store() -> FakeStore:
    return FakeStore()


@pytest.fixture
async def mongo_store(mongo: Client) -> MongoTenantStore:
    store = MongoTenantStore(mongo)
    await store.prepare()
    return store


@pytest.fixture(params=["fake_store", "mongo_store"])
def store(request: pytest.FixtureRequest) -> TenantStore:
    return request.getfixturevalue(request.param)


def suspension(reason: str = "unpaid", *, at: datetime = NOW + SECOND, by: str = "key_1") -> Suspension:
    return Suspension(at=at, reason=reason, by=by)


async def test_a_tenant_is_found_by_its_name(store: TenantStore) -> None:
    tenant = Tenant(
        name="acme", created_at=NOW, display_name="Acme", suspension=suspension(), changed_at=NOW + SECOND, revision=3
    )
    assert await store.add_tenant(tenant)
    assert await store.tenant("acme") == tenant
    assert await store.tenant("other") is None


async def test_a_tenant_added_again_stays_as_it_was(store: TenantStore) -> None:
    await store.add_tenant(ACME)
    assert not await store.add_tenant(Tenant(name="acme", created_at=NOW + SECOND))
    assert await store.tenant("acme") == ACME


async def test_a_suspended_tenant_is_so_until_it_is_resumed(store: TenantStore) -> None:
    await store.add_tenant(ACME)
    suspended = await store.suspend_tenant("acme", suspension())
    assert suspended == replace(ACME, suspension=suspension(), changed_at=NOW + SECOND, revision=1)
    assert await store.tenant("acme") == suspended
    resumed = await store.resume_tenant("acme", NOW + 2 * SECOND)
    assert resumed == replace(ACME, changed_at=NOW + 2 * SECOND, revision=2)
    assert await store.tenant("acme") == resumed


async def test_a_tenant_that_is_suspended_again_for_the_same_reason_stays_as_it_is(store: TenantStore) -> None:
    await store.add_tenant(ACME)
    first = await store.suspend_tenant("acme", suspension())
    assert await store.suspend_tenant("acme", suspension(at=NOW + 9 * SECOND, by="key_2")) == first
    assert await store.tenant("acme") == first


async def test_another_reason_takes_the_place_of_the_one_before_and_the_time_stays(store: TenantStore) -> None:
    await store.add_tenant(ACME)
    await store.suspend_tenant("acme", suspension())
    changed = await store.suspend_tenant("acme", suspension("abuse", at=NOW + 9 * SECOND, by="key_2"))
    assert changed is not None
    assert changed.suspension == suspension("abuse", by="key_2")
    assert (changed.changed_at, changed.revision) == (NOW + 9 * SECOND, 2)


@pytest.mark.parametrize("text", ["$name", "$$NOW", "{$ne: 1}", "a.b", "Grüße, 世界"])
async def test_a_reason_is_kept_as_it_was_written_whatever_it_reads_like(store: TenantStore, text: str) -> None:
    await store.add_tenant(ACME)
    given = suspension(text, by=text)
    suspended = await store.suspend_tenant("acme", given)
    assert suspended is not None
    assert suspended.suspension == given
    assert await store.suspend_tenant("acme", given) == suspended


async def test_a_tenant_that_is_not_suspended_is_resumed_without_a_change(store: TenantStore) -> None:
    await store.add_tenant(ACME)
    assert await store.resume_tenant("acme", NOW + SECOND) == ACME
    assert await store.untold_tenants(limit=10) == []


async def test_a_tenant_that_is_not_there_can_be_neither_suspended_nor_resumed(store: TenantStore) -> None:
    assert await store.suspend_tenant("acme", suspension()) is None
    assert await store.resume_tenant("acme", NOW) is None
    assert await store.tenant("acme") is None


async def test_a_change_is_untold_until_its_own_revision_is_noted(store: TenantStore) -> None:
    for name in ("acme", "globex", "quiet"):
        await store.add_tenant(replace(ACME, name=name))
    await store.suspend_tenant("acme", suspension())
    await store.suspend_tenant("globex", suspension())
    assert len(await store.untold_tenants(limit=1)) == 1
    assert {tenant.name for tenant in await store.untold_tenants(limit=10)} == {"acme", "globex"}
    await store.resume_tenant("acme", NOW + 2 * SECOND)
    await store.note_told("acme", 1)  # too late: it has changed since
    await store.note_told("globex", 1)
    assert [(tenant.name, tenant.revision) for tenant in await store.untold_tenants(limit=10)] == [("acme", 2)]
    await store.note_told("acme", 2)
    await store.note_told("nobody", 1)
    assert await store.untold_tenants(limit=10) == []
    assert (await store.tenant("acme")) is not None


async def test_who_asks_again_for_what_is_so_already_has_it_told_again(store: TenantStore) -> None:
    await store.add_tenant(ACME)
    for change in (lambda: store.suspend_tenant("acme", suspension()), lambda: store.resume_tenant("acme", NOW)):
        first = await change()
        assert first is not None
        await store.note_told("acme", first.revision)
        assert await store.untold_tenants(limit=10) == []
        assert await change() == first
        assert await store.untold_tenants(limit=10) == [first]


async def test_changes_at_once_each_have_a_revision_of_their_own(store: TenantStore) -> None:
    await store.add_tenant(ACME)
    answers = await asyncio.gather(*(store.suspend_tenant("acme", suspension(f"reason {n}")) for n in range(8)))
    assert sorted(answer.revision for answer in answers if answer is not None) == list(range(1, 9))
    assert len({answer.suspension.at for answer in answers if answer and answer.suspension}) == 1


async def test_tenants_are_listed_newest_first_page_by_page_and_by_state(store: TenantStore) -> None:
    names = ["cask", "acme", "bolt", "dune"]
    for index, name in enumerate(names):
        await store.add_tenant(replace(ACME, name=name, created_at=NOW + index // 2 * SECOND))
    for name in ("bolt", "cask"):
        await store.suspend_tenant(name, suspension())

    async def listed(*, suspended: bool | None = None) -> list[str]:
        seen: list[str] = []
        after: Position | None = None
        while page := await store.tenants(limit=1, suspended=suspended, after=after):
            seen += [tenant.name for tenant in page]
            after = Position(created_at=page[-1].created_at, id=page[-1].name)
        return seen

    assert await listed() == ["dune", "bolt", "cask", "acme"]
    assert await listed(suspended=True) == ["bolt", "cask"]
    assert await listed(suspended=False) == ["dune", "acme"]


async def test_tenants_of_an_earlier_version_are_read_and_told_of_where_they_were_closed(
    mongo_store: MongoTenantStore,
) -> None:
    closed_at = NOW + SECOND
    await mongo_store._tenants.insert_many(
        [
            {"_id": "acme", "created_at": NOW, "disabled_at": None},
            {"_id": "globex", "created_at": NOW, "disabled_at": closed_at},
        ]
    )
    closed = replace(ACME, name="globex", suspension=suspension("", at=closed_at, by=""), changed_at=closed_at)
    assert await mongo_store.tenant("acme") == ACME
    assert await mongo_store.tenant("globex") == closed
    for _ in range(2):
        await mongo_store.prepare()
        assert await mongo_store.untold_tenants(limit=10) == [replace(closed, revision=1)]
    suspended = await mongo_store.suspend_tenant("acme", suspension())
    assert suspended is not None
    assert suspended.revision == 1
    resumed = await mongo_store.resume_tenant("globex", NOW + 2 * SECOND)
    assert resumed is not None
    assert resumed.revision == 2
