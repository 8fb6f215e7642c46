"""What a service's interceptors take down of the calls that it answers, through a real port."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import structlog
from penstock.auth.v1 import auth_pb2, auth_pb2_grpc
from penstock.events.v1.audit_pb2 import AuditEntry

from shared import errors, ids
from shared.audit.outbox import DRAIN_PATIENCE
from shared.config import ServiceConfig
from shared.identity import CLIENT_ADDRESS_HEADER
from shared.lifecycle import Process
from tests.fakes.audit_publisher import FakePublisher
from tests.service import channel, running_process
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.identities import Identities

pytestmark = pytest.mark.usefixtures("no_stalls")
KEY_ID = ids.new_key_id()
CANARY = "psk_live_PuBLic7SecretSecretSecretSecret"
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
METADATA = {
    CLIENT_ADDRESS_HEADER: "192.0.2.7",
    "x-request-id": "order-7",
    "traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01",
}


@dataclass
class Keys(auth_pb2_grpc.KeyServiceServicer):
    """Makes keys as a test tells it to."""

    publisher: FakePublisher
    act: Callable[[], Awaitable[None]] | None = None
    #: Set when a change has begun.
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def CreateKey(self, request: auth_pb2.CreateKeyRequest, context: Any) -> auth_pb2.CreateKeyResponse:
        self.begun.set()
        if self.act is not None:
            await self.act()
        return auth_pb2.CreateKeyResponse(key=auth_pb2.Key(id=KEY_ID, tenant="acme"), secret=CANARY)

    async def GetKey(self, request: auth_pb2.GetKeyRequest, context: Any) -> auth_pb2.Key:
        if self.act is not None:
            await self.act()
        return auth_pb2.Key(id=KEY_ID)


@dataclass
class Running:
    address: str
    identities: Identities
    keys: Keys
    publisher: FakePublisher
    process: Process

    @property
    def entries(self) -> list[AuditEntry]:
        return self.publisher.entries

    @asynccontextmanager
    async def stub(self, token: str | None = "") -> AsyncIterator[auth_pb2_grpc.KeyServiceStub]:
        """KeyService, called as an admin of acme unless told otherwise."""
        token = self.identities.mint("acme", key_id="key_1") if token == "" else token
        async with channel(self.address, token, metadata=METADATA) as connection:
            yield auth_pb2_grpc.KeyServiceStub(connection)

    async def create(self, token: str | None = "", *, within_s: float = 10.0) -> auth_pb2.CreateKeyResponse:
        async with self.stub(token) as keys:
            return await keys.CreateKey(auth_pb2.CreateKeyRequest(name=CANARY), timeout=within_s)


def config_of(identities: Identities) -> ServiceConfig:
    return ServiceConfig(
        grpc_address="127.0.0.1:0",
        identity_keys_file=identities.keys_file,
        service_key=identities.service_key("auth"),
        drain_timeout=timedelta(seconds=5),
    )


@pytest.fixture
async def server(identities: Identities) -> AsyncIterator[Running]:
    process, publisher = Process("auth", config_of(identities)), FakePublisher()
    keys = Keys(publisher)
    registration = (auth_pb2_grpc.add_KeyServiceServicer_to_server, keys, "penstock.auth.v1.KeyService")
    process.loop("audit", lambda: process.audit.run(publisher))
    async with running_process(process, process.serve(registration)) as address:
        yield Running(address, identities, keys, publisher, process)


async def test_a_change_is_taken_down_before_it_is_answered(server: Running) -> None:
    assert (await server.create()).secret == CANARY
    (entry,) = server.entries
    assert entry.actor == AuditEntry.Actor(kind=AuditEntry.Actor.KEY, id="key_1", tenant="acme")
    assert (entry.tenant, entry.action, entry.service, entry.outcome) == ("acme", "KeyService.CreateKey", "auth", "OK")
    assert entry.target == AuditEntry.Target(kind="key", id=KEY_ID)
    assert (entry.client_address, entry.request_id, entry.trace_id) == ("192.0.2.7", "order-7", TRACE_ID)
    assert entry.HasField("time")
    assert b"Secret" not in entry.SerializeToString()


async def test_a_read_that_succeeds_is_not_taken_down(server: Running) -> None:
    async with server.stub() as keys:
        await keys.GetKey(auth_pb2.GetKeyRequest(key_id=KEY_ID))
    await server.create()
    assert [entry.action for entry in server.entries] == ["KeyService.CreateKey"]


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (errors.Unavailable("MongoDB does not answer"), "UNAVAILABLE"),
        (RuntimeError("mongodb://root:hunter2@db said no"), "INTERNAL"),
        (TimeoutError(), "DEADLINE_EXCEEDED"),
    ],
)
async def test_a_change_that_fails_midway_is_taken_down_before_that_is_told(
    server: Running, fault: Exception, outcome: str
) -> None:
    async def fail() -> None:
        raise fault

    server.keys.act = fail
    with structlog.testing.capture_logs(), pytest.raises(grpc.aio.AioRpcError):
        await server.create()
    (entry,) = server.entries
    assert (entry.outcome, entry.refused, entry.target.id) == (outcome, False, "")
    assert b"hunter2" not in entry.SerializeToString()


async def test_what_was_taken_down_when_a_loop_fails_stands_in_the_log(identities: Identities) -> None:
    broken = asyncio.Event()

    async def fail() -> None:
        await broken.wait()
        raise LookupError("the loop broke")

    process, publisher = Process("auth", config_of(identities)), FakePublisher()
    publisher.away = True
    process.loop("audit", lambda: process.audit.run(publisher))
    process.loop("broken", fail)
    registration = (auth_pb2_grpc.add_KeyServiceServicer_to_server, Keys(publisher), "penstock.auth.v1.KeyService")
    with structlog.testing.capture_logs() as lines:
        serving = asyncio.create_task(process.serve(registration))
        await process.started.wait()
        async with channel(f"127.0.0.1:{process.port}") as connection:
            with pytest.raises(grpc.aio.AioRpcError):
                await auth_pb2_grpc.KeyServiceStub(connection).GetKey(auth_pb2.GetKeyRequest())
        broken.set()
        with pytest.raises(ExceptionGroup):
            await serving
    assert [line["entry"]["action"] for line in lines if line["event"] == "audit"] == ["KeyService.GetKey"]


async def test_a_change_whose_caller_leaves_is_taken_down_once(server: Running) -> None:
    server.keys.act = asyncio.Event().wait  # type: ignore[assignment]  what it returns is of no interest
    creating = asyncio.create_task(server.create())
    await server.keys.begun.wait()
    creating.cancel()
    await eventually(lambda: server.entries, what="an entry")
    (entry,) = server.entries
    assert (entry.outcome, entry.action) == ("CANCELED", "KeyService.CreateKey")


async def test_a_change_that_was_not_made_is_taken_down_beside_its_answer(server: Running) -> None:
    async def refuse() -> None:
        raise errors.TenantNotFound("there is no tenant globex")

    server.keys.act = refuse
    for _ in range(3):
        with pytest.raises(grpc.aio.AioRpcError):
            await server.create()
    await eventually(lambda: server.entries, what="an entry")
    await server.process.audit.drain()
    assert [(entry.outcome, entry.refused, entry.count) for entry in server.entries] == [
        ("TENANT_NOT_FOUND", False, 1),
        ("TENANT_NOT_FOUND", False, 2),
    ]


async def test_every_refusal_is_taken_down_whatever_the_rpc(server: Running) -> None:
    mint = server.identities.mint
    for token in (
        None,
        "forged",
        mint("acme", ["jobs:read"], key_id="key_2"),
        server.identities.service("upstream").token(),
    ):
        async with server.stub(token) as keys:
            with pytest.raises(grpc.aio.AioRpcError):
                await keys.GetKey(auth_pb2.GetKeyRequest(key_id=CANARY))
    await eventually(lambda: len(server.entries) == 3, what="the entries")
    told = [
        (entry.actor.id, entry.tenant, entry.outcome, entry.detail, entry.client_address) for entry in server.entries
    ]
    assert told == [
        ("", "", "UNAUTHENTICATED", "", "127.0.0.1"),  # and the forged token is an equal one
        ("key_2", "acme", "PERMISSION_DENIED", "keys:read", "192.0.2.7"),
        ("upstream", "", "PERMISSION_DENIED", "", "192.0.2.7"),
    ]
    assert {entry.action for entry in server.entries} == {"KeyService.GetKey"}
    assert all(entry.refused for entry in server.entries)
    await server.process.audit.drain()
    assert len(server.entries) == 4
    assert b"psk" not in b"".join(entry.SerializeToString() for entry in server.entries)


async def test_a_refusal_by_the_handler_itself_is_one_too(server: Running) -> None:
    async def refuse() -> None:
        raise errors.PermissionDenied("another tenant's", metadata={"scope": "operator"})

    server.keys.act = refuse
    async with server.stub() as keys:
        with pytest.raises(grpc.aio.AioRpcError):
            await keys.GetKey(auth_pb2.GetKeyRequest(key_id=KEY_ID))
    await eventually(lambda: server.entries, what="an entry")
    (entry,) = server.entries
    assert (entry.refused, entry.detail, entry.actor.id) == (True, "operator", "key_1")


async def test_without_nats_a_change_is_made_and_its_entry_comes_later(server: Running) -> None:
    server.publisher.away = True
    for _ in range(3):
        await server.create(within_s=5)
    assert server.entries == []
    server.publisher.away = False
    await eventually(lambda: len(server.entries) == 3, what="the entries")


async def test_what_is_not_published_yet_is_when_the_process_ends(server: Running) -> None:
    server.publisher.away = True
    with pytest.raises(grpc.aio.AioRpcError):
        await server.create(None)
    await server.create()
    server.process.stopping.set()

    async def ended() -> bool:
        try:
            await server.create(within_s=1)
        except grpc.aio.AioRpcError as failure:
            return failure.code() is grpc.StatusCode.UNAVAILABLE
        return False

    await eventually(ended, within=DRAIN_PATIENCE.total_seconds() + 5, what="the end of the server")
    server.publisher.away = False
    await eventually(lambda: len(server.entries) >= 2, what="the entries")
    assert {entry.outcome for entry in server.entries} == {"OK", "UNAUTHENTICATED"}
