"""That a suspension is told on the stream of notices, whatever dies or is away in between."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from penstock.auth.v1 import tenants_pb2
from penstock.events.v1 import notices_pb2

from services.auth.__main__ import serve
from services.auth.domain import Suspension
from shared import streams
from shared.clock import SystemClock
from shared.config import Secret
from shared.permissions import Scope
from tests.integration.auth.conftest import Auth
from tests.integration.auth.test_outage import is_ready
from tests.service import running
from tests.waiting import eventually
from tests.wires import Wire, wire_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.auth.config import Config
    from services.auth.store import MongoStore
    from shared.bus import Bus
    from tests.identities import Identities

pytestmark = pytest.mark.usefixtures("uncounted", "no_stalls")


@pytest.fixture
async def wire(nats_url: str) -> AsyncIterator[Wire]:
    server = urlsplit(nats_url)
    async with wire_to(server.hostname or "", server.port or 0) as wire:
        yield wire


async def told(bus: Bus) -> list[tuple[str, str, int]]:
    """Every notice on disk: its fact, tenant and revision."""
    found: list[tuple[str, str, int]] = []
    async with bus.reader(streams.NOTICES, streams.notice_subject("*"), start=1) as reader:
        more = await reader.opened()
        while more:
            for message in await reader.batch():
                notice = notices_pb2.Notice.FromString(message.payload)
                fact = notice.WhichOneof("fact") or ""
                assert message.subject == streams.notice_subject(fact)
                found.append((fact, notice.tenant, getattr(notice, fact).revision))
                more = message.pending > 0
    return found


async def until_told(bus: Bus, *notices: tuple[str, str, int]) -> None:
    async def is_told() -> bool:
        return await told(bus) == list(notices)

    await eventually(is_told, what=f"the notices {notices}")


async def suspend(auth: Auth, *, reason: str = "unpaid") -> None:
    async with auth.tenants(auth.identities.mint("globex", frozenset(Scope))) as tenants:
        await tenants.SuspendTenant(tenants_pb2.SuspendTenantRequest(tenant="acme", reason=reason))


async def resume(auth: Auth) -> None:
    async with auth.tenants(auth.identities.mint("globex", frozenset(Scope))) as tenants:
        await tenants.ResumeTenant(tenants_pb2.ResumeTenantRequest(tenant="acme"))


async def test_each_change_is_told_once_by_whichever_replica_made_it(
    bus: Bus, auth: Auth, other_replica: Auth, store: MongoStore
) -> None:
    await suspend(auth)
    await until_told(bus, ("tenant_suspended", "acme", 1))
    await suspend(other_replica)  # says nothing new
    await resume(other_replica)
    await until_told(bus, ("tenant_suspended", "acme", 1), ("tenant_resumed", "acme", 2))

    async def all_told() -> bool:
        return await store.untold_tenants(limit=10) == []

    await eventually(all_told)


async def test_a_suspension_whose_replica_died_before_it_was_told_is_told_by_the_next_one(
    bus: Bus, config: Config, store: MongoStore, identities: Identities
) -> None:
    suspension = Suspension(at=SystemClock().now(), reason="unpaid", by="key_1")
    await store.suspend_tenant("acme", suspension)  # and here it dies
    assert await told(bus) == []
    async with running("auth", serve, config):
        await until_told(bus, ("tenant_suspended", "acme", 1))


async def test_a_suspension_whose_replica_died_after_it_was_told_is_told_under_the_same_id(
    bus: Bus, config: Config, store: MongoStore, auth: Auth
) -> None:
    await suspend(auth)
    await until_told(bus, ("tenant_suspended", "acme", 1))
    await store._tenants.update_one({"_id": "acme"}, {"$set": {"untold": True}})  # it dies before this is taken back
    async with running("auth", serve, replace(config)):

        async def all_told() -> bool:
            return await store.untold_tenants(limit=10) == []

        await eventually(all_told)
        assert await told(bus) == [("tenant_suspended", "acme", 1)]


async def test_a_suspension_holds_though_nats_is_away_and_is_told_when_it_is_back(
    bus: Bus, config: Config, wire: Wire, store: MongoStore, identities: Identities
) -> None:
    severed = replace(config, nats_url=Secret(wire.on_the_way_to(config.nats_url.reveal())))
    async with running("auth", serve, severed) as address:
        auth = Auth(address, identities)
        await wire.cut()

        async def unready() -> bool:
            return not await is_ready(auth)

        await eventually(unready, within=150, what="unreadiness")
        await suspend(auth)
        tenant = await store.tenant("acme")
        assert tenant is not None
        assert tenant.suspension is not None
        assert await told(bus) == []
        await wire.mend()
        await until_told(bus, ("tenant_suspended", "acme", 1))
