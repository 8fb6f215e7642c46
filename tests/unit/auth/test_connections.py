from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from services.auth.connections.connections import Connections
from services.auth.connections.domain import BasicLogin, BearerToken, HeaderKey, Kind, ReauthPolicy, State
from services.auth.connections.notices import Changes
from services.auth.connections.orders import MAX_SECRET_CHARACTERS, ChangeOrder, SecretOrder
from services.auth.connections.sealing.vault import Vault
from shared import ids
from shared.addresses import AddressGuard
from shared.errors import ConnectionLimitReached, ConnectionNotFound, InvalidArgument, Unavailable
from shared.identity import Principal, PrincipalKind
from shared.streams import CONNECTION_CHANGED_SIGNAL
from tests.fakes.connection_store import FakeConnectionStore
from tests.fakes.connections import added
from tests.fakes.data_keys import FakeKeys
from tests.unit.auth.conftest import Time

if TYPE_CHECKING:
    from services.auth.connections.domain import Connection
    from services.auth.connections.orders import StaticSecret

ANN = Principal(kind=PrincipalKind.KEY, id="key_ann", tenant="acme", scopes=frozenset({"connections:write"}))
EVE = replace(ANN, id="key_eve", tenant="globex")
CANARY = "canary-0123456789"
ORDER = SecretOrder(secret=BearerToken(token=CANARY), hosts=("API.example.com",))
LIMIT = 3


class World:
    """Connections over a store in memory, and who hears of them."""

    def __init__(self) -> None:
        self.store, self.keys, self.time = FakeConnectionStore(), FakeKeys(), Time()
        self.vault = Vault(self.keys)
        self.sent: list[tuple[str, bytes]] = []
        self.woken = 0
        self.nats_away = False
        self.connections = Connections(
            store=self.store,
            vault=self.vault,
            changes=Changes(signals=self, changed=self.wake),
            guard=AddressGuard(),
            limit=LIMIT,
            clock=self.time,
        )

    def wake(self) -> None:
        self.woken += 1

    async def signal(self, subject: str, payload: bytes = b"") -> None:
        if self.nats_away:
            raise Unavailable("NATS does not answer")
        self.sent.append((subject, payload))

    async def secret(self, connection: Connection) -> Any:
        kept = self.store.by_id[connection.id]
        return await self.vault.open(kept.sealed, tenant=kept.tenant, connection_id=kept.id)

    async def needs_reauth(self, connection: Connection) -> None:
        await self.store.mark_needs_reauth(
            "acme", connection.id, version=connection.version, reason="revoked", at=self.time.now()
        )


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("secret", "kind"),
    [
        (BearerToken(token=CANARY), Kind.BEARER),
        (HeaderKey(name="X-Api-Key", value=CANARY), Kind.HEADER),
        (HeaderKey(name="Authorization", value=f"Token {CANARY}"), Kind.HEADER),
        (BasicLogin(username="ann", password=CANARY), Kind.BASIC),
        (BasicLogin(username="ann", password=""), Kind.BASIC),
    ],
)
async def test_a_secret_is_kept_sealed_for_its_hosts(world: World, secret: StaticSecret, kind: Kind) -> None:
    order = replace(ORDER, secret=secret, upstream="crm", display_name="CRM", reauth_policy=ReauthPolicy.WAIT)
    made = await world.connections.create(order, maker=ANN)
    assert made == world.store.by_id[made.id]
    assert (made.tenant, made.upstream, made.kind, made.hosts) == ("acme", "crm", kind, ("api.example.com",))
    assert (made.display_name, made.reauth_policy, made.made_by) == ("CRM", ReauthPolicy.WAIT, "key_ann")
    assert (made.state, made.version, made.revision) == (State.ACTIVE, 1, 1)
    assert made.created_at == made.updated_at == world.time.now()
    assert await world.secret(made) == secret
    assert CANARY not in repr(made)


def violations_of(error: pytest.ExceptionInfo[InvalidArgument]) -> list[str]:
    assert CANARY not in error.value.message
    return [violation.field for violation in error.value.violations]


@pytest.mark.parametrize(
    ("secret", "field"),
    [
        (BearerToken(token=""), "secret.bearer.token"),
        (BearerToken(token=f"{CANARY}\r\nX: y"), "secret.bearer.token"),
        (BearerToken(token=f"{CANARY} "), "secret.bearer.token"),
        (BearerToken(token=f"{CANARY}é"), "secret.bearer.token"),
        (BearerToken(token=CANARY * MAX_SECRET_CHARACTERS), "secret.bearer.token"),
        (HeaderKey(name="Host", value=CANARY), "secret.header.name"),
        (HeaderKey(name="content-length", value=CANARY), "secret.header.name"),
        (HeaderKey(name="Proxy-Authorization", value=CANARY), "secret.header.name"),
        (HeaderKey(name="X-Penstock-Identity", value=CANARY), "secret.header.name"),
        (HeaderKey(name="X Key", value=CANARY), "secret.header.name"),
        (HeaderKey(name="", value=CANARY), "secret.header.name"),
        (HeaderKey(name="X-Key", value=f"{CANARY}\n"), "secret.header.value"),
        (BasicLogin(username="", password=CANARY), "secret.basic.username"),
        (BasicLogin(username="a:b", password=CANARY), "secret.basic.username"),
        (BasicLogin(username="ann", password=f"{CANARY}\0"), "secret.basic.password"),
    ],
)
async def test_a_secret_that_cannot_be_sent_is_refused_and_not_shown(
    world: World, secret: StaticSecret, field: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await world.connections.create(replace(ORDER, secret=secret), maker=ANN)
    assert violations_of(refused) == [field]
    made = await world.connections.create(ORDER, maker=ANN)
    with pytest.raises(InvalidArgument) as refused:
        await world.connections.change(made.id, ChangeOrder(secret=secret), by=ANN)
    assert violations_of(refused) == [field]


async def test_every_mistake_is_named_at_once(world: World) -> None:
    order = SecretOrder(
        secret=BearerToken(token=""), hosts=("a.example", "10.0.0.1"), upstream="No Slug", display_name="x" * 101
    )
    with pytest.raises(InvalidArgument) as refused:
        await world.connections.create(order, maker=ANN)
    assert violations_of(refused) == ["upstream", "displayName", "hosts[1]", "secret.bearer.token"]
    with pytest.raises(InvalidArgument, match="hosts: are missing"):
        await world.connections.create(replace(ORDER, hosts=()), maker=ANN)
    assert world.store.by_id == {}


async def test_a_tenant_has_so_many_connections_and_no_more(world: World) -> None:
    made = [await world.connections.create(ORDER, maker=ANN) for _ in range(LIMIT)]
    with pytest.raises(ConnectionLimitReached, match="PENSTOCK_MAX_CONNECTIONS") as refused:
        await world.connections.create(ORDER, maker=ANN)
    assert refused.value.metadata == {"tenant": "acme", "limit": str(LIMIT)}
    await world.connections.create(ORDER, maker=EVE)
    await world.connections.delete(made[0].id, by=ANN)
    for standing in await world.store.untold(limit=10):
        await world.store.note_told(standing)
    await world.connections.create(ORDER, maker=ANN)


async def test_another_secret_has_a_connection_active_and_is_told(world: World) -> None:
    made = await world.connections.create(ORDER, maker=ANN)
    await world.needs_reauth(made)
    world.time.advance(minutes=1)
    secret = HeaderKey(name="X-Api-Key", value="other")
    order = ChangeOrder(secret=secret, hosts=("b.example:443", "B.example"), display_name="Other")
    changed = await world.connections.change(made.id, order, by=ANN)
    assert (changed.state, changed.kind, changed.hosts) == (State.ACTIVE, Kind.HEADER, ("b.example",))
    assert (changed.version, changed.revision, changed.display_name) == (2, 3, "Other")
    assert changed.updated_at == world.time.now()
    assert await world.secret(made) == secret
    assert world.sent == [(CONNECTION_CHANGED_SIGNAL, made.id.encode())]
    assert world.woken == 1


async def test_a_secret_keeps_its_hosts_and_hosts_come_with_a_secret_alone(world: World) -> None:
    made = await world.connections.create(ORDER, maker=ANN)
    changed = await world.connections.change(made.id, ChangeOrder(secret=BearerToken(token="new")), by=ANN)
    assert changed.hosts == ("api.example.com",)
    with pytest.raises(InvalidArgument, match="hosts: are bound to the secret"):
        await world.connections.change(made.id, ChangeOrder(hosts=("evil.example",)), by=ANN)
    assert world.store.by_id[made.id].hosts == ("api.example.com",)


async def test_what_a_provider_has_authorized_takes_no_secret(world: World) -> None:
    connection = await added(world.store, kind=Kind.OAUTH1, provider="flickr", hosts=())
    with pytest.raises(InvalidArgument, match="authorized at flickr; authorize it anew"):
        await world.connections.change(connection.id, ChangeOrder(secret=BearerToken(token="x")), by=ANN)
    changed = await world.connections.change(connection.id, ChangeOrder(display_name="Photos"), by=ANN)
    assert (changed.display_name, changed.version, changed.kind) == ("Photos", 1, Kind.OAUTH1)


async def test_a_change_of_nothing_changes_nothing(world: World) -> None:
    made = await world.connections.create(ORDER, maker=ANN)
    world.time.advance(minutes=1)
    assert await world.connections.change(made.id, ChangeOrder(), by=ANN) == made
    assert world.sent == []


async def test_a_connection_is_its_tenants_alone(world: World) -> None:
    made = await world.connections.create(ORDER, maker=ANN)
    for attempt in (
        world.connections.connection("globex", made.id),
        world.connections.change(made.id, ChangeOrder(display_name="x"), by=EVE),
        world.connections.change(made.id, ChangeOrder(secret=BearerToken(token="x")), by=EVE),
        world.connections.delete(made.id, by=EVE),
    ):
        with pytest.raises(ConnectionNotFound) as refused:
            await attempt
        assert refused.value.metadata == {"connection": made.id}
    assert await world.connections.connection("acme", made.id) == made


async def test_what_is_no_id_is_named(world: World) -> None:
    for attempt in (
        world.connections.connection("acme", "con_1"),
        world.connections.change("con_1", ChangeOrder(), by=ANN),
        world.connections.delete(ids.new_key_id(), by=ANN),
    ):
        with pytest.raises(InvalidArgument, match=r"connectionId: .* is no id of a connection"):
            await attempt


async def test_a_deleted_connection_is_gone_at_once_whoever_is_away(world: World) -> None:
    made = await world.connections.create(ORDER, maker=ANN)
    world.nats_away = world.keys.away = True
    assert await world.connections.delete(made.id, by=ANN) == made
    assert world.woken == 1
    with pytest.raises(ConnectionNotFound):
        await world.connections.connection("acme", made.id)


async def test_without_a_key_provider_no_secret_is_taken_and_the_rest_goes_on(world: World) -> None:
    made = await world.connections.create(ORDER, maker=ANN)
    world.keys.away = True
    for attempt in (
        world.connections.create(ORDER, maker=ANN),
        world.connections.change(made.id, ChangeOrder(secret=BearerToken(token="x")), by=ANN),
    ):
        with pytest.raises(Unavailable) as refused:
            await attempt
        assert refused.value.metadata == {"dependency": "key_provider"}
    changed = await world.connections.change(made.id, ChangeOrder(reauth_policy=ReauthPolicy.WAIT), by=ANN)
    assert changed.reauth_policy is ReauthPolicy.WAIT


async def test_no_line_of_the_log_holds_a_secret(world: World) -> None:
    with capture_logs() as lines:
        made = await world.connections.create(ORDER, maker=ANN)
        secret = BasicLogin(username="ann", password=f"{CANARY}-2")
        await world.connections.change(made.id, ChangeOrder(secret=secret), by=ANN)
        world.nats_away = True
        await world.connections.delete(made.id, by=ANN)
    assert [line["event"] for line in lines] == [
        "connection_created",
        "connection_changed",
        "connection_deleted",
        "connection_signal_lost",
    ]
    assert CANARY not in repr(lines)
