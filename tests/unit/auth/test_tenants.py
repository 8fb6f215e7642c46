from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from services.auth.display_names import MAX_DISPLAY_NAME_CHARACTERS
from services.auth.tenants import MAX_REASON_CHARACTERS, TenantOrder, Tenants
from shared.errors import InvalidArgument, OwnTenant, TenantExists, TenantNotFound, Unavailable
from shared.identity import Principal, PrincipalKind
from shared.permissions import Scope
from shared.streams import TENANT_RESUMED_SIGNAL, TENANT_SUSPENDED_SIGNAL

if TYPE_CHECKING:
    from tests.unit.auth.conftest import World

OPERATOR = Principal(kind=PrincipalKind.KEY, id="key_operator", tenant="staff", scopes=frozenset(map(str, Scope)))


class Signals:
    """Notes what is signalled; can be away."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.away = False

    async def signal(self, subject: str, payload: bytes = b"") -> None:
        if self.away:
            raise Unavailable("NATS does not answer")
        self.sent.append((subject, payload))


@pytest.fixture
def signals() -> Signals:
    return Signals()


@pytest.fixture
def changes() -> list[None]:
    """Has an entry for each change that the mesh is to be told of."""
    return []


@pytest.fixture
def tenants(world: World, signals: Signals, changes: list[None]) -> Tenants:
    return Tenants(store=world.store, signals=signals, clock=world.time, changed=lambda: changes.append(None))


async def test_a_tenant_is_made_once(tenants: Tenants, world: World) -> None:
    order = TenantOrder(name="cask", display_name="Cask & Söhne")
    made = await tenants.create(order, maker=OPERATOR)
    assert (made.name, made.display_name, made.created_at) == ("cask", "Cask & Söhne", world.time.now())
    assert await tenants.tenant("cask") == made
    with pytest.raises(TenantExists) as refused:
        await tenants.create(TenantOrder(name="cask"), maker=OPERATOR)
    assert refused.value.metadata == {"tenant": "cask"}
    assert await tenants.tenant("cask") == made


@pytest.mark.parametrize(
    ("order", "field"),
    [
        (TenantOrder(name=""), "name"),
        (TenantOrder(name="Acme"), "name"),
        (TenantOrder(name="-"), "name"),
        (TenantOrder(name="a" * 41), "name"),
        (TenantOrder(name="a:b"), "name"),
        (TenantOrder(name="cask", display_name="x" * (MAX_DISPLAY_NAME_CHARACTERS + 1)), "displayName"),
        (TenantOrder(name="cask", display_name="two\nlines"), "displayName"),
    ],
)
async def test_a_wrong_order_makes_nothing_and_names_what_is_wrong(
    tenants: Tenants, world: World, order: TenantOrder, field: str
) -> None:
    before = dict(world.store.tenants_by_name)
    with pytest.raises(InvalidArgument) as refused:
        await tenants.create(order, maker=OPERATOR)
    assert [violation.field for violation in refused.value.violations] == [field]
    assert world.store.tenants_by_name == before


async def test_a_suspension_says_since_when_why_and_by_whom_and_is_told_to_every_replica(
    tenants: Tenants, world: World, signals: Signals
) -> None:
    suspended = (await tenants.suspend("acme", "unpaid", by=OPERATOR)).suspension
    assert suspended is not None
    assert (suspended.at, suspended.reason, suspended.by) == (world.time.now(), "unpaid", "key_operator")
    world.time.advance(minutes=1)
    assert (await tenants.resume("acme", by=OPERATOR)).suspension is None
    assert signals.sent == [(TENANT_SUSPENDED_SIGNAL, b"acme"), (TENANT_RESUMED_SIGNAL, b"acme")]


async def test_suspending_and_resuming_again_changes_nothing_and_tells_again(
    tenants: Tenants, signals: Signals
) -> None:
    suspended = await tenants.suspend("acme", "unpaid", by=OPERATOR)
    assert await tenants.suspend("acme", "unpaid", by=OPERATOR) == suspended
    resumed = await tenants.resume("acme", by=OPERATOR)
    assert await tenants.resume("acme", by=OPERATOR) == resumed
    assert [subject for subject, _ in signals.sent] == [TENANT_SUSPENDED_SIGNAL] * 2 + [TENANT_RESUMED_SIGNAL] * 2


async def test_a_tenant_is_suspended_even_when_no_replica_can_be_told(
    tenants: Tenants, signals: Signals, changes: list[None]
) -> None:
    signals.away = True
    assert (await tenants.suspend("acme", "unpaid", by=OPERATOR)).suspension is not None
    assert (await tenants.resume("acme", by=OPERATOR)).suspension is None
    assert len(changes) == 2


async def test_an_operator_cannot_shut_itself_out(tenants: Tenants, world: World, signals: Signals) -> None:
    await tenants.create(TenantOrder(name="staff"), maker=OPERATOR)
    with pytest.raises(OwnTenant) as refused:
        await tenants.suspend("staff", "by mistake", by=OPERATOR)
    assert "operator's key of another tenant" in refused.value.message
    assert world.store.tenants_by_name["staff"].suspension is None
    assert signals.sent == []


async def test_what_is_no_tenant_is_neither_shown_nor_suspended_nor_resumed(tenants: Tenants, signals: Signals) -> None:
    for error, name in ((TenantNotFound, "nobody"), (InvalidArgument, ""), (InvalidArgument, "x" * 100_000)):
        for ask in (
            tenants.tenant(name),
            tenants.suspend(name, "unpaid", by=OPERATOR),
            tenants.resume(name, by=OPERATOR),
        ):
            with pytest.raises(error) as refused:
                await ask
            assert len(refused.value.message) < 300
    assert signals.sent == []


@pytest.mark.parametrize("reason", ["", " ", "x" * (MAX_REASON_CHARACTERS + 1), "two\nlines", "a\0b"])
async def test_a_reason_that_cannot_be_shown_is_refused(tenants: Tenants, world: World, reason: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await tenants.suspend("acme", reason, by=OPERATOR)
    assert refused.value.violations[0].field == "reason"
    assert world.store.tenants_by_name["acme"].suspension is None
