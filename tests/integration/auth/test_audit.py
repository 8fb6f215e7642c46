"""From a change or a refusal to the list of who did what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from penstock.auth.v1 import audit_pb2, audit_pb2_grpc, auth_pb2
from penstock.events.v1.audit_pb2 import AuditEntry

from shared import ids, streams
from shared.bus import Outgoing
from shared.identity import CLIENT_ADDRESS_HEADER
from shared.permissions import Scope
from tests.service import channel
from tests.waiting import eventually

if TYPE_CHECKING:
    from shared.bus import Bus
    from tests.identities import Identities
    from tests.integration.auth.conftest import Auth

pytestmark = pytest.mark.usefixtures("no_stalls", "bus")
MAKER = ids.new_key_id()


@pytest.fixture
def admin(identities: Identities) -> str:
    """The token of an admin of acme."""
    return identities.mint("acme", key_id=MAKER)


@pytest.fixture
def operator(identities: Identities) -> str:
    return identities.mint("ops", Scope)


def from_client(request_id: str) -> dict[str, str]:
    """What the gateway says of a request's client."""
    return {CLIENT_ADDRESS_HEADER: "192.0.2.7", "x-request-id": request_id}


async def listed(auth: Auth, token: str, count: int = 1, **wanted: Any) -> list[AuditEntry]:
    """So many entries, once they are there."""

    async def found() -> list[AuditEntry]:
        entries = await auth.audit(token, **wanted)
        assert len(entries) == count, entries
        return entries

    return await eventually(found, what=f"{count} entries")


async def test_the_life_of_a_key_is_listed_with_who_did_what_from_where(auth: Auth, admin: str) -> None:
    async with auth.keys(admin, metadata=from_client("order-1")) as keys:
        made = await keys.CreateKey(auth_pb2.CreateKeyRequest(name="laptop", scopes=["jobs:read"]))
    async with auth.keys(admin, metadata=from_client("order-2")) as keys:
        rotated = await keys.RotateKey(auth_pb2.RotateKeyRequest(key_id=made.key.id))
    async with auth.keys(admin, metadata=from_client("order-3")) as keys:
        await keys.RevokeKey(auth_pb2.RevokeKeyRequest(key_id=made.key.id))
    entries = await listed(auth, admin, 3, target=made.key.id)
    assert [(entry.action, entry.request_id) for entry in entries] == [
        ("KeyService.RevokeKey", "order-3"),
        ("KeyService.RotateKey", "order-2"),
        ("KeyService.CreateKey", "order-1"),
    ]
    for entry in entries:
        assert (entry.actor.id, entry.tenant, entry.outcome) == (MAKER, "acme", "OK")
        assert (entry.client_address, entry.service, entry.target.kind) == ("192.0.2.7", "auth", "key")
    told = b"".join(entry.SerializeToString() for entry in entries)
    for secret in (made.secret, rotated.secret):
        assert secret[16:].encode() not in told


async def test_a_refusal_by_a_service_is_listed_to_its_own_tenant(
    auth: Auth, identities: Identities, admin: str
) -> None:
    reader = identities.mint("acme", ["keys:read"], key_id="key_2")
    async with auth.keys(reader, metadata=from_client("order-1")) as keys:
        with pytest.raises(grpc.aio.AioRpcError):
            await keys.CreateKey(auth_pb2.CreateKeyRequest(name="more"))
    (entry,) = await listed(auth, admin, refused_only=True)
    assert (entry.actor.id, entry.action, entry.outcome, entry.detail) == (
        "key_2",
        "KeyService.CreateKey",
        "PERMISSION_DENIED",
        "keys:write",
    )
    assert (entry.client_address, entry.request_id) == ("192.0.2.7", "order-1")
    assert await auth.audit(identities.mint("globex")) == []


async def test_what_the_gateway_refuses_is_listed_as_far_as_it_is_known(auth: Auth, admin: str, operator: str) -> None:
    async with auth.keys(admin) as keys:
        made = await keys.CreateKey(
            auth_pb2.CreateKeyRequest(name="laptop", scopes=["jobs:read"], allowed_cidrs=["198.51.100.0/24"])
        )
        other = await keys.CreateKey(auth_pb2.CreateKeyRequest(name="old", scopes=["jobs:read"]))
        await keys.RevokeKey(auth_pb2.RevokeKeyRequest(key_id=other.key.id))
    rpc = "penstock.jobs.v1.JobService.GetJob"
    unknown = "psk_live_000000000000000000000000000000"
    await auth.check(made.secret, source="203.0.113.9", rpc=rpc, request_id="order-1")
    await auth.check(other.secret, source="203.0.113.9", rpc=rpc, request_id="order-2")
    await auth.check(unknown, source="203.0.113.9", request_id="order-3")
    by_address, revoked = sorted(await listed(auth, admin, 2, refused_only=True), key=lambda entry: entry.request_id)
    assert (by_address.actor.id, by_address.outcome, by_address.detail) == (
        made.key.id,
        "PERMISSION_DENIED",
        "address",
    )
    assert (revoked.actor.id, revoked.outcome, revoked.detail) == (other.key.id, "UNAUTHENTICATED", "revoked")
    assert {by_address.action, revoked.action} == {"JobService.GetJob"}
    assert {by_address.client_address, revoked.client_address} == {"203.0.113.9"}
    (nobody,) = await listed(auth, operator, tenant="-", request_id="order-3")
    assert (nobody.tenant, nobody.actor.id, nobody.action) == ("", "", "Authorization.Check")
    assert nobody.outcome == "UNAUTHENTICATED"
    told = b"".join(each.SerializeToString() for each in (by_address, revoked, nobody))
    for secret in (made.secret, other.secret, unknown):
        assert secret[16:].encode() not in told


async def test_an_operator_sees_every_tenant_and_a_tenant_what_an_operator_did_to_it(
    auth: Auth, identities: Identities, operator: str, admin: str
) -> None:
    async with auth.keys(operator) as keys:
        await keys.CreateKey(auth_pb2.CreateKeyRequest(name="given", scopes=["jobs:read"], tenant="globex"))
    (entry,) = await listed(auth, identities.mint("globex"))
    assert (entry.tenant, entry.actor.tenant) == ("globex", "ops")
    assert await auth.audit(operator, tenant="globex") == [entry]
    assert await auth.audit(operator, tenant="-") == [entry]
    assert await auth.audit(operator) == []
    for asked in ("globex", "-"):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await auth.audit(admin, tenant=asked)
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    (tried,) = await listed(auth, admin)
    assert (tried.action, tried.outcome, tried.tenant) == ("AuditService.ListAuditEntries", "PERMISSION_DENIED", "acme")


async def test_it_takes_a_scope_of_its_own(auth: Auth, identities: Identities) -> None:
    scopes = set(map(str, Scope)) - {"audit:read"}
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await auth.audit(identities.mint("acme", scopes))
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(
    "wanted",
    [
        {"page_size": -1},
        {"page_token": "nonsense"},
        {"action": "/penstock.auth.v1.KeyService/CreateKey"},
        {"outcome": "ok"},
        {"client_address": "somewhere"},
        {"request_id": "two words"},
        {"principal": "k" * 400},
        {"target": "t" * 400},
        {"start_time": {"seconds": 100}, "end_time": {"seconds": 100}},
        {"start_time": {"seconds": 10**12}},
    ],
)
async def test_a_wrong_argument_is_named(auth: Auth, admin: str, wanted: dict[str, Any]) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await auth.audit(admin, **wanted)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_pages_lead_on_and_only_with_the_same_arguments(auth: Auth, admin: str, operator: str) -> None:
    async with auth.keys(admin) as keys:
        for number in range(5):
            await keys.CreateKey(auth_pb2.CreateKeyRequest(name=f"laptop {number}", scopes=["jobs:read"]))
    everything = await listed(auth, admin, 5)
    assert [entry.time.ToNanoseconds() for entry in everything] == sorted(
        (entry.time.ToNanoseconds() for entry in everything), reverse=True
    )
    found: list[AuditEntry] = []
    async with channel(auth.address, admin) as connection:
        stub = audit_pb2_grpc.AuditServiceStub(connection)
        token = ""
        while True:
            request = audit_pb2.ListAuditEntriesRequest(page_size=2, page_token=token)
            page = await stub.ListAuditEntries(request)
            found += page.entries
            if not page.next_page_token:
                break
            token = page.next_page_token
    assert found == everything
    for other, arguments in ((admin, {"outcome": "OK"}), (operator, {}), (operator, {"tenant": "-"})):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await auth.audit(other, page_token=token, **arguments)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert await auth.audit(operator, page_token=token, tenant="acme") == everything[4:]


async def test_entries_of_all_services_are_kept_and_no_service_can_write_in_anothers_name(
    auth: Auth, bus: Bus, admin: str
) -> None:
    def message(service: str, *, told_as: str | None = None, **fields: Any) -> Outgoing:
        entry = AuditEntry(
            id=ids.new_audit_id(), tenant="acme", action="A.B", service=told_as or service, outcome="OK", **fields
        )
        entry.time.GetCurrentTime()
        return Outgoing(subject=streams.audit_subject(service), payload=entry.SerializeToString(), message_id=entry.id)

    nonsense = Outgoing(subject=streams.audit_subject("intake"), payload=b"\xff\xff", message_id="nonsense")
    hollow = Outgoing(subject=streams.audit_subject("intake"), payload=b"", message_id="hollow")
    good = [message("scheduler"), message("webhooks")]
    await bus.publish([good[0], nonsense, hollow, message("intake", told_as="auth"), good[1]])
    entries = await listed(auth, admin, 2)
    assert {entry.service for entry in entries} == {"scheduler", "webhooks"}

    async def all_handled() -> bool:
        return await bus.acknowledged(streams.AUDIT, "auth") == await bus.newest(streams.AUDIT, "audit.*")

    await eventually(all_handled, what="the end of what cannot be understood")
    assert len(await auth.audit(admin)) == 2
