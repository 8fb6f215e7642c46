"""Connections, as tenants make and delete them; and what a reader of the database finds of their secrets."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from penstock.auth.v1 import connections_pb2, credentials_pb2, credentials_pb2_grpc
from penstock.events.v1 import notices_pb2

from services.auth.__main__ import serve
from shared import errors, ids, streams
from shared.permissions import Scope
from shared.streams import CONNECTION_CHANGED_SIGNAL
from tests.integration.auth.conftest import Auth
from tests.integration.auth.test_tenants import refused
from tests.service import channel, running
from tests.waiting import eventually

if TYPE_CHECKING:
    from services.auth.config import Config
    from services.auth.store import MongoStore
    from shared.bus import Bus
    from shared.mongo import Client
    from tests.identities import Identities

pytestmark = pytest.mark.usefixtures("no_stalls")

Connection = connections_pb2.Connection
CANARY = "canary-5b1f0c7d-canary"
HOSTS = ["API.example.com:443", "127.0.0.1:8080"]


def bearer(token: str = CANARY) -> connections_pb2.StaticSecret:
    return connections_pb2.StaticSecret(bearer=connections_pb2.Bearer(token=token))


async def create(auth: Auth, *, tenant: str = "acme", **fields: Any) -> Connection:
    given: dict[str, Any] = {"secret": bearer(), "hosts": HOSTS}
    async with auth.connections(tenant) as connections:
        return await connections.CreateConnection(connections_pb2.CreateConnectionRequest(**given | fields), timeout=30)


async def update(auth: Auth, connection: Connection, **fields: Any) -> Connection:
    async with auth.connections() as connections:
        request = connections_pb2.UpdateConnectionRequest(connection_id=connection.id, **fields)
        return await connections.UpdateConnection(request, timeout=30)


async def delete(auth: Auth, connection: Connection) -> Connection:
    async with auth.connections() as connections:
        request = connections_pb2.DeleteConnectionRequest(connection_id=connection.id)
        return await connections.DeleteConnection(request, timeout=30)


async def credential(auth: Auth, connection: Connection) -> credentials_pb2.Credential:
    """As the upstream service asks for it."""
    async with channel(auth.address, auth.identities.service("upstream").token()) as connected:
        stub = credentials_pb2_grpc.CredentialServiceStub(connected)
        request = credentials_pb2.GetCredentialRequest(tenant="acme", connection_id=connection.id)
        return await stub.GetCredential(request, timeout=30)


async def report_refused(auth: Auth, connection: Connection) -> errors.PenstockError:
    async with channel(auth.address, auth.identities.service("upstream").token()) as connected:
        stub = credentials_pb2_grpc.CredentialServiceStub(connected)
        return await refused(
            stub.ReportRefusedCredential(
                credentials_pb2.ReportRefusedCredentialRequest(
                    tenant="acme", connection_id=connection.id, version=1, reason="401", certain=True
                ),
                timeout=10,
            )
        )


async def notices(bus: Bus) -> list[notices_pb2.Notice]:
    """Every notice on disk."""
    found: list[notices_pb2.Notice] = []
    async with bus.reader(streams.NOTICES, streams.notice_subject("*"), start=1) as reader:
        more = await reader.opened()
        while more:
            for message in await reader.batch():
                found.append(notices_pb2.Notice.FromString(message.payload))
                assert message.subject == streams.notice_subject(found[-1].WhichOneof("fact") or "")
                more = message.pending > 0
    return found


async def until_told(bus: Bus, *facts: tuple[str, int]) -> list[notices_pb2.Notice]:
    async def told() -> list[notices_pb2.Notice]:
        found = await notices(bus)
        named = [(each.WhichOneof("fact") or "", each) for each in found]
        assert [(fact, getattr(each, fact).revision) for fact, each in named] == list(facts)
        return found

    return await eventually(told, what=f"the notices {facts}")


async def test_a_connection_is_made_shown_changed_and_deleted_and_shows_no_secret(auth: Auth) -> None:
    made = await create(auth, display_name="CRM")
    assert ids.is_connection_id(made.id)
    assert (made.upstream, made.kind, made.state) == ("http", Connection.BEARER, Connection.ACTIVE)
    assert (made.hosts, made.display_name) == (["api.example.com", "127.0.0.1:8080"], "CRM")
    assert made.reauth_policy == Connection.FAIL
    async with auth.connections() as connections:
        request = connections_pb2.GetConnectionRequest(connection_id=made.id)
        assert await connections.GetConnection(request) == made
        secret = connections_pb2.StaticSecret(basic=connections_pb2.Basic(username="ann", password=CANARY))
        changed = await update(auth, made, display_name="", secret=secret, reauth_policy=Connection.WAIT)
        assert (changed.kind, changed.display_name, changed.hosts) == (Connection.BASIC, "", made.hosts)
        assert await connections.GetConnection(request) == changed
        found = await credential(auth, made)
        assert (found.basic.username, found.basic.password, found.version) == ("ann", CANARY, 2)
        assert await delete(auth, made) == changed
        gone = await refused(connections.GetConnection(request))
        assert isinstance(gone, errors.ConnectionNotFound)
        assert CANARY not in f"{made}{changed}{gone.message}"
    assert isinstance(await refused(credential(auth, made)), errors.ConnectionNotFound)


async def test_connections_are_listed_page_by_page_to_their_tenant_alone(auth: Auth) -> None:
    made = [await create(auth, upstream=upstream) for upstream in ("http", "crm", "http")]
    await create(auth, tenant="globex")
    await report_refused(auth, made[0])

    async def listed(**wanted: Any) -> list[str]:
        found: list[str] = []
        request = connections_pb2.ListConnectionsRequest(page_size=1, **wanted)
        async with auth.connections() as connections:
            while True:
                page = await connections.ListConnections(request, timeout=30)
                found += [each.id for each in page.connections]
                request.page_token = page.next_page_token
                if not page.next_page_token:
                    return found

    newest_first = [each.id for each in reversed(made)]
    assert sorted(await listed()) == sorted(newest_first)
    assert await listed(upstream="crm") == [made[1].id]
    assert await listed(state=Connection.NEEDS_REAUTH) == [made[0].id]
    async with auth.connections() as acme, auth.connections("globex") as globex:
        first = await acme.ListConnections(connections_pb2.ListConnectionsRequest(page_size=1))
        stolen = connections_pb2.ListConnectionsRequest(page_token=first.next_page_token)
        assert isinstance(await refused(globex.ListConnections(stolen)), errors.InvalidArgument)
        for wrong in ({"upstream": "No Slug"}, {"state": 9}, {"page_size": -1}):
            asked = connections_pb2.ListConnectionsRequest(**wrong)
            assert isinstance(await refused(acme.ListConnections(asked)), errors.InvalidArgument)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"secret": None, "hosts": HOSTS}, "secret"),
        ({"secret": connections_pb2.StaticSecret()}, "secret"),
        ({"hosts": []}, "hosts"),
        ({"hosts": ["10.0.0.1"]}, "hosts[0]"),
        ({"scopes": ["read"]}, "scopes"),
        ({"reauth_policy": 7}, "reauthPolicy"),
        ({"secret": None, "provider": "flickr"}, "hosts"),
        ({"secret": bearer(f"{CANARY}\n")}, "secret.bearer.token"),
    ],
)
async def test_a_wrong_order_names_its_field_and_shows_no_secret(auth: Auth, fields: dict[str, Any], path: str) -> None:
    error = await refused(create(auth, **fields))
    assert isinstance(error, errors.InvalidArgument)
    assert [violation.field for violation in error.violations] == [path]
    assert CANARY not in error.message


async def test_no_more_are_made_than_a_tenant_may_have(
    config: Config, store: MongoStore, identities: Identities
) -> None:
    async with running("auth", serve, replace(config, max_connections=2)) as address:
        auth = Auth(address, identities)
        for _ in range(2):
            await create(auth)
        error = await refused(create(auth))
        assert isinstance(error, errors.ConnectionLimitReached)
        assert error.metadata == {"tenant": "acme", "limit": "2"}
        await create(auth, tenant="globex")


async def test_a_change_is_told_and_heard_by_every_replica(bus: Bus, auth: Auth, other_replica: Auth) -> None:
    heard: list[bytes] = []

    async def hear(payload: bytes) -> None:
        heard.append(payload)

    await bus.on_signal(CONNECTION_CHANGED_SIGNAL, hear)
    made = await create(auth, reauth_policy=Connection.WAIT)
    assert (await credential(other_replica, made)).bearer.token == CANARY
    assert isinstance(await report_refused(other_replica, made), errors.ConnectionNeedsReauth)
    await until_told(bus, ("connection_needs_reauth", 2))
    await update(auth, made, secret=bearer("another"))
    await until_told(bus, ("connection_needs_reauth", 2), ("connection_restored", 3))

    async def is_another() -> bool:
        return (await credential(other_replica, made)).bearer.token == "another"

    await eventually(is_another, within=15)
    await delete(auth, made)
    facts = ("connection_needs_reauth", 2), ("connection_restored", 3), ("connection_deleted", 4)
    needs, restored, deleted = await until_told(bus, *facts)
    assert needs.connection_needs_reauth.jobs_wait
    assert needs.connection_needs_reauth.reason
    assert {each.tenant for each in (needs, restored, deleted)} == {"acme"}
    assert {needs.connection_needs_reauth.connection_id, deleted.connection_deleted.connection_id} == {made.id}
    assert restored.connection_restored.upstream == "http"
    assert len({each.id for each in (needs, restored, deleted)}) == 3
    await eventually(lambda: heard.count(made.id.encode()) >= 3)


async def test_what_is_audited_of_a_connection_holds_no_secret(auth: Auth, identities: Identities) -> None:
    made = await create(auth)
    await update(auth, made, secret=bearer(f"{CANARY}-2"))
    await refused(create(auth, secret=bearer(f"{CANARY}\r")))
    await delete(auth, made)

    async def audited() -> str:
        entries = await auth.audit(identities.mint("acme", frozenset(Scope)))
        assert len([each for each in entries if each.target.id == made.id]) == 3
        return str(entries)

    assert CANARY not in await eventually(audited)


async def test_a_dump_of_the_database_shows_no_secret(
    auth: Auth, mongo: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets = [
        bearer(),
        connections_pb2.StaticSecret(header=connections_pb2.HeaderKey(name="X-Api-Key", value=CANARY)),
        connections_pb2.StaticSecret(basic=connections_pb2.Basic(username="ann", password=CANARY)),
    ]
    made = [await create(auth, secret=secret) for secret in secrets]
    await update(auth, made[0], secret=bearer(f"{CANARY}-2"))
    await credential(auth, made[0])
    await delete(auth, made[1])
    names = await mongo.list_database_names()
    assert "auth" in names
    dumped = 0
    for name in names:
        database = mongo[name]
        for collection in await database.list_collection_names():
            if collection.startswith(("system.", "replset.")):  # the servers own, which nobody may read
                continue
            async for raw in database[collection].find_raw_batches({}):
                dumped += len(raw)
                assert CANARY.encode() not in raw, f"in {name}.{collection}"
                assert not re.search(rb"canary", raw), f"in {name}.{collection}"
    assert dumped > 1000
    shown = capsys.readouterr()
    assert CANARY not in shown.out + shown.err


async def test_what_is_left_of_a_deleted_connection_is_gone_once_it_is_told(
    auth: Auth, bus: Bus, mongo: Client
) -> None:
    made = await create(auth)
    await delete(auth, made)
    await until_told(bus, ("connection_deleted", 2))

    async def is_gone() -> bool:
        return await mongo["auth"]["connections"].count_documents({}) == 0

    await eventually(is_gone)
