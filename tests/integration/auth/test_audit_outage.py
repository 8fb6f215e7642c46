"""NATS and MongoDB go and come back, and processes die: nothing of the audit is lost, and nothing is there twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import structlog
from google.protobuf.json_format import ParseDict
from penstock.auth.v1 import auth_pb2
from penstock.events.v1.audit_pb2 import AuditEntry

from services.auth import audit_trail
from services.auth.__main__ import serve
from services.auth.audit_filter import AuditFilter
from services.auth.audit_store import OPERATORS, MongoAuditStore
from services.auth.audit_trail import AuditTrail
from shared import ids, streams
from shared.audit.outbox import Outbox
from shared.bus import Outgoing
from shared.config import Secret
from shared.errors import Unavailable
from tests.integration.auth.conftest import Auth, identity_of
from tests.integration.auth.test_audit import listed
from tests.service import running
from tests.waiting import eventually
from tests.wires import Wire, wire_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from services.auth.config import Config
    from services.auth.store import MongoStore
    from shared.bus import Bus, Incoming
    from shared.mongo import Client
    from tests.identities import Identities

pytestmark = pytest.mark.usefixtures("uncounted", "no_stalls", "bus")
EVERYTHING = AuditFilter()


@pytest.fixture(autouse=True)
def short_ack_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a broken connection has swallowed comes again sooner than after half a minute."""
    monkeypatch.setattr(audit_trail, "CONSUMER", audit_trail.CONSUMER.evolve(ack_wait=1.0))


@pytest.fixture
async def nats_wire(nats_url: str) -> AsyncIterator[Wire]:
    server = urlsplit(nats_url)
    async with wire_to(server.hostname or "", server.port or 0) as wire:
        yield wire


@pytest.fixture
async def mongo_wire(mongo_url: str) -> AsyncIterator[Wire]:
    server = urlsplit(mongo_url)
    async with wire_to(server.hostname or "", server.port or 0) as wire:
        yield wire


def entry(service: str = "scheduler") -> AuditEntry:
    made = AuditEntry(id=ids.new_audit_id(), tenant="acme", action="A.B", service=service, outcome="OK", count=1)
    made.time.GetCurrentTime()
    return made


def message(made: AuditEntry) -> Outgoing:
    return Outgoing(subject=streams.audit_subject(made.service), payload=made.SerializeToString(), message_id=made.id)


async def test_without_nats_a_key_is_revoked_all_the_same_and_the_entry_is_there_once_afterwards(
    config: Config, nats_wire: Wire, store: MongoStore, identities: Identities
) -> None:
    severable = replace(config, nats_url=Secret(nats_wire.on_the_way_to(config.nats_url.reveal())))
    admin = identities.mint("acme")
    async with running("auth", serve, severable) as address:
        auth = Auth(address, identities)
        async with auth.keys(admin) as keys:
            made = await keys.CreateKey(auth_pb2.CreateKeyRequest(name="laptop", scopes=["jobs:read"]))
            await listed(auth, admin, 1, target=made.key.id)
            await nats_wire.cut()
            with structlog.testing.capture_logs() as lines:
                async with asyncio.timeout(150):
                    revoked = await keys.RevokeKey(auth_pb2.RevokeKeyRequest(key_id=made.key.id))
            assert revoked.HasField("revoked_at")
        assert (await auth.check(made.secret)).denied_response.status.code == 401
        (in_log,) = [ParseDict(line["entry"], AuditEntry()) for line in lines if line["event"] == "audit"]
        assert (in_log.action, in_log.target.id, in_log.outcome) == ("KeyService.RevokeKey", made.key.id, "OK")
        assert len(await auth.audit(admin, target=made.key.id)) == 1
        await nats_wire.mend()
        assert (await listed(auth, admin, 2, target=made.key.id))[0] == in_log
        (refusal,) = await listed(auth, admin, 1, refused_only=True)
        assert (refusal.actor.id, refusal.detail) == (made.key.id, "revoked")


async def test_without_mongodb_entries_wait_in_the_stream(
    config: Config, mongo_wire: Wire, store: MongoStore, identities: Identities, bus: Bus
) -> None:
    through = mongo_wire.on_the_way_to(config.mongo_url.reveal()).replace(
        "replicaSet=penstock", "directConnection=true"
    )
    severable = replace(config, mongo_url=Secret(through))
    admin = identities.mint("acme")
    async with running("auth", serve, severable) as address:
        auth = Auth(address, identities)
        await bus.publish([message(entry())])
        await listed(auth, admin, 1)
        await mongo_wire.cut()
        entries = [entry() for _ in range(300)]
        await bus.publish([message(each) for each in entries])

        async def tried() -> bool:
            info = await bus._jetstream.consumer_info(streams.AUDIT, "auth")
            return (info.num_redelivered or 0) > 0

        await eventually(tried, within=150, what="a batch that comes again")
        await mongo_wire.mend()
        await eventually(lambda: all_there(auth, admin), within=150, what="every entry")


async def all_there(auth: Auth, admin: str) -> bool:
    return len(await auth.audit(admin, page_size=500)) == 301


async def test_a_replica_that_dies_after_it_kept_a_batch_and_before_it_said_so_makes_no_second_copy(
    mongo: Client, bus: Bus
) -> None:
    kept = asyncio.Event()

    class Dying(MongoAuditStore):
        async def add(self, entries: Sequence[AuditEntry]) -> None:
            await super().add(entries)
            kept.set()
            await asyncio.Event().wait()  # for the end of its process

    await MongoAuditStore(mongo).prepare()
    entries = [entry() for _ in range(20)]
    await bus.publish([message(each) for each in entries])
    dying = AuditTrail(Dying(mongo))
    first = asyncio.create_task(bus.consumer(streams.AUDIT, audit_trail.CONSUMER).run(dying.handle))
    await kept.wait()
    first.cancel()
    await asyncio.wait({first})

    again: list[int] = []
    trail = AuditTrail(MongoAuditStore(mongo))

    async def handle(batch: Sequence[Incoming]) -> None:
        again.extend(each.deliveries for each in batch)
        await trail.handle(batch)

    second = asyncio.create_task(bus.consumer(streams.AUDIT, audit_trail.CONSUMER).run(handle))
    await eventually(lambda: len(again) == 20, what="the batch, delivered again")
    second.cancel()
    await asyncio.wait({second})
    assert min(again) >= 2
    found = await MongoAuditStore(mongo).list(OPERATORS, EVERYTHING, after=None, limit=50)
    assert sorted(each.id for each in found) == sorted(each.id for each in entries)


async def test_an_entry_whose_acknowledgement_is_lost_is_in_the_stream_once(bus: Bus) -> None:
    class Deaf:
        """Publishes, and says at first that nobody knows whether it has."""

        tries = 0

        async def publish(self, messages: Sequence[Outgoing]) -> None:
            await bus.publish(messages)
            self.tries += 1
            if self.tries < 3:
                raise Unavailable("the acknowledgement did not come")

    outbox, deaf = Outbox(), Deaf()
    entries = [entry("auth") for _ in range(40)]  # more than go singly
    for each in entries:
        outbox.add_change(each)
    publishing = asyncio.create_task(outbox.run(deaf))
    await outbox.drain()
    publishing.cancel()
    await asyncio.wait({publishing})
    assert deaf.tries == 3
    async with bus.reader(streams.AUDIT, "audit.*", start=1) as reader:
        found: list[str] = []
        more = await reader.opened()
        while more:
            for stored in await reader.batch():
                found.append(AuditEntry.FromString(stored.payload).id)
                more = stored.pending > 0
    assert found == [each.id for each in entries]


async def test_what_a_process_has_taken_down_is_published_when_it_is_told_to_stop(
    config: Config, store: MongoStore, identities: Identities, mongo: Client, bus: Bus
) -> None:
    async with running("auth", serve, config) as address:
        auth = Auth(address, identities)
        for _ in range(5):
            assert identity_of(await auth.check("psk_live_" + "0" * 30)) is None
    async with running("auth", serve, config) as address:
        operator = identities.mint("ops", ["audit:read", "operator"])
        entries = await listed(Auth(address, identities), operator, 2, tenant="-")
    assert [each.count for each in entries] == [4, 1]
    assert {each.detail for each in entries} == {"malformed"}
