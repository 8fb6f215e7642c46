"""What an entry tells of a call, and what it never does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
from penstock.auth.v1 import auth_pb2, tenants_pb2
from penstock.events.v1.audit_pb2 import AuditEntry
from penstock.scheduler.v1 import queues_pb2
from penstock.webhooks.v1 import webhooks_pb2

from shared import errors, ids
from shared.audit import AUDITED, Subject, refusal_of
from shared.audit.entries import CANCELED, OK, action_of, entry_of
from shared.identity import CLIENT_ADDRESS_HEADER, Principal, PrincipalKind
from shared.permissions import ADMIN_SCOPES, Scope
from shared.rpc.call import Call

if TYPE_CHECKING:
    from google.protobuf.message import Message

NOW = datetime(2026, 5, 4, 10, 30, 0, 123456, tzinfo=UTC)
KEY_ID = ids.new_key_id()
CANARY = "psk_live_PuBLic7SecretSecretSecretSecret"
KEYS = "/penstock.auth.v1.KeyService"
QUEUES = "/penstock.scheduler.v1.QueueService"
ADMIN = Principal(kind=PrincipalKind.KEY, id=KEY_ID, tenant="acme", scopes=frozenset(map(str, ADMIN_SCOPES)))
OPERATOR = Principal(kind=PrincipalKind.KEY, id=KEY_ID, tenant="ops", scopes=frozenset(map(str, Scope)))


@dataclass
class Connection:
    """What is known of a call's other end."""

    at: str = "ipv4:10.0.0.9:40404"

    def peer(self) -> str:
        return self.at


def call_of(
    method: str,
    request: Message | None = None,
    *,
    principal: Principal | None = ADMIN,
    address: str = "192.0.2.7",
    peer: str = "ipv4:10.0.0.9:40404",
    request_id: str = "order-7",
) -> Call:
    return Call(
        method=method,
        service="auth",
        metadata={CLIENT_ADDRESS_HEADER: address} if address else {},
        context=cast("Any", Connection(peer)),
        request_id=request_id,
        principal=principal,
        request=request,
    )


def told(call: Call, *, outcome: str = OK, answer: Message | None = None) -> AuditEntry:
    return entry_of(call, AUDITED.get(call.method), outcome=outcome, now=NOW, answer=answer)


def test_an_entry_says_who_what_when_from_where_and_what_came_of_it() -> None:
    entry = told(call_of(f"{KEYS}/RevokeKey", auth_pb2.RevokeKeyRequest(key_id=KEY_ID)))
    assert entry.id.startswith("audit_")
    assert entry.time.ToDatetime(tzinfo=UTC) == NOW
    assert entry.actor == AuditEntry.Actor(kind=AuditEntry.Actor.KEY, id=KEY_ID, tenant="acme")
    assert entry.target == AuditEntry.Target(kind="key", id=KEY_ID)
    assert (entry.tenant, entry.action, entry.service, entry.outcome, entry.count) == (
        "acme",
        "KeyService.RevokeKey",
        "auth",
        "OK",
        1,
    )
    assert (entry.client_address, entry.request_id, entry.refused) == ("192.0.2.7", "order-7", False)


def test_what_a_call_makes_is_named_by_its_answer() -> None:
    answer = auth_pb2.CreateKeyResponse(key=auth_pb2.Key(id=KEY_ID), secret=CANARY)
    call = call_of(f"{KEYS}/CreateKey", auth_pb2.CreateKeyRequest(name="laptop"))
    assert told(call, answer=answer).target == AuditEntry.Target(kind="key", id=KEY_ID)
    assert told(call, outcome=CANCELED).target == AuditEntry.Target(kind="key")


@pytest.mark.parametrize(
    ("lane", "target"),
    [
        ("", "flickr"),
        ("con_1", "flickr/con_1"),
        ("api.example.com:8443", "flickr/api.example.com:8443"),
        ("-", "flickr/-"),
    ],
)
def test_a_lane_is_named_with_its_upstream(lane: str, target: str) -> None:
    request = queues_pb2.PauseQueueRequest(upstream="flickr", lane=lane, reason=CANARY)
    assert told(call_of(f"{QUEUES}/PauseQueue", request)).target == AuditEntry.Target(kind="queue", id=target)


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        (f"{KEYS}/RotateKey", auth_pb2.RotateKeyRequest(key_id=CANARY)),
        (f"{KEYS}/RevokeKey", auth_pb2.RevokeKeyRequest(key_id=f"{KEY_ID}{CANARY}")),
        (f"{KEYS}/CreateKey", auth_pb2.CreateKeyRequest(name=CANARY, tenant=CANARY, scopes=[CANARY])),
        (f"{QUEUES}/PauseQueue", queues_pb2.PauseQueueRequest(upstream=CANARY, lane=CANARY, reason=CANARY)),
        (f"{QUEUES}/PauseQueue", queues_pb2.PauseQueueRequest(upstream="flickr", lane=CANARY)),
        (f"{QUEUES}/PauseQueue", queues_pb2.PauseQueueRequest(upstream="flickr", lane="a b\n" + CANARY)),
        (f"{QUEUES}/PauseQueue", queues_pb2.PauseQueueRequest(upstream="flickr", tenant=CANARY)),
        ("/penstock.auth.v1.KeyService/GetKey", auth_pb2.GetKeyRequest(key_id=CANARY)),
    ],
)
@pytest.mark.parametrize("principal", [ADMIN, OPERATOR])
def test_no_entry_has_what_a_caller_wrote_into_the_wrong_place(
    method: str, request_: Message, principal: Principal
) -> None:
    call = call_of(method, request_, principal=principal, request_id=f"try:{CANARY}")
    call.error = errors.InvalidArgument.field("keyId", f"{CANARY} is none")
    answer = auth_pb2.CreateKeyResponse(key=auth_pb2.Key(id=KEY_ID), secret=CANARY)
    for entry in (told(call, outcome="INVALID_ARGUMENT"), told(call, answer=answer)):
        assert b"Secret" not in entry.SerializeToString()
        assert entry.request_id == "try:psk_live_PuBLic7…"


def test_a_secret_that_is_read_is_not_told() -> None:
    call = call_of(
        "/penstock.webhooks.v1.CallbackSecretService/GetCallbackSecret", webhooks_pb2.GetCallbackSecretRequest()
    )
    entry = told(call, answer=webhooks_pb2.CallbackSecret(secret=CANARY))
    assert entry.target == AuditEntry.Target(kind="callback_secret")
    assert b"psk" not in entry.SerializeToString()


@pytest.mark.parametrize(
    ("principal", "asked", "tenant"),
    [
        (ADMIN, "", "acme"),
        (ADMIN, "globex", "acme"),  # refused, and none of globex's business
        (OPERATOR, "", "ops"),
        (OPERATOR, "globex", "globex"),
        (OPERATOR, "-", "ops"),
        (OPERATOR, "No Tenant", "ops"),
        (None, "globex", ""),
    ],
)
def test_an_entry_belongs_to_the_tenant_whose_things_the_call_was_about(
    principal: Principal | None, asked: str, tenant: str
) -> None:
    request = queues_pb2.PauseQueueRequest(upstream="flickr", tenant=asked)
    assert told(call_of(f"{QUEUES}/PauseQueue", request, principal=principal)).tenant == tenant


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("CreateTenant", tenants_pb2.CreateTenantRequest(name="globex", display_name=CANARY)),
        ("SuspendTenant", tenants_pb2.SuspendTenantRequest(tenant="globex", reason=CANARY)),
        ("ResumeTenant", tenants_pb2.ResumeTenantRequest(tenant="globex")),
    ],
)
def test_what_is_done_to_a_tenant_belongs_to_it(method: str, request_: Message) -> None:
    entry = told(call_of(f"/penstock.auth.v1.TenantService/{method}", request_, principal=OPERATOR))
    assert (entry.tenant, entry.actor.tenant) == ("globex", "ops")
    assert entry.target == AuditEntry.Target(kind="tenant", id="globex")
    assert b"Secret" not in entry.SerializeToString()


def test_a_call_that_was_refused_before_it_was_read_has_no_target() -> None:
    call = call_of(f"{KEYS}/RevokeKey", principal=ADMIN)
    call.error = errors.PermissionDenied("no", metadata={"scope": "keys:write"})
    entry = told(call, outcome="PERMISSION_DENIED")
    assert (entry.refused, entry.detail, entry.target.id) == (True, "keys:write", "")


def test_a_service_is_told_as_what_it_is() -> None:
    service = Principal(kind=PrincipalKind.SERVICE, id="upstream", tenant="", scopes=frozenset())
    entry = told(call_of(f"{KEYS}/RevokeKey", principal=service))
    assert (entry.actor.kind, entry.actor.id, entry.tenant) == (AuditEntry.Actor.SERVICE, "upstream", "")


@pytest.mark.parametrize(
    ("principal", "address", "peer", "told_address"),
    [
        (ADMIN, "192.0.2.7", "ipv4:10.0.0.9:1", "192.0.2.7"),
        (ADMIN, "::ffff:192.0.2.7", "ipv4:10.0.0.9:1", "192.0.2.7"),
        (ADMIN, "2001:DB8::0:1", "ipv4:10.0.0.9:1", "2001:db8::1"),
        (ADMIN, "", "ipv4:10.0.0.9:1", "10.0.0.9"),
        (ADMIN, "somewhere", "ipv4:10.0.0.9:1", ""),
        (None, "192.0.2.7", "ipv4:10.0.0.9:1", "10.0.0.9"),  # said by nobody who is known
        (None, "192.0.2.7", "ipv6:%5B2001:db8::9%5D:1", "2001:db8::9"),
        (None, "192.0.2.7", "unix:/tmp/socket", ""),
    ],
)
def test_the_address_is_the_clients_or_the_connections_of_who_is_not_known(
    principal: Principal | None, address: str, peer: str, told_address: str
) -> None:
    call = call_of(f"{KEYS}/RevokeKey", principal=principal, address=address, peer=peer)
    assert told(call).client_address == told_address


def test_a_refusal_of_the_gateways_has_the_prefix_alone_of_a_key_that_is_not_known() -> None:
    headers = {
        "authorization": f"Bearer {CANARY}",
        "x-request-id": "order-7",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
    entry = refusal_of(
        headers,
        "penstock.auth.v1.KeyService.ListKeys",
        error=errors.Unauthenticated(f"the key {CANARY} is not known"),
        detail="unknown",
        subject=Subject(key_prefix=CANARY[:16]),
        address="192.0.2.7",
    )
    assert (entry.action, entry.outcome, entry.detail, entry.refused) == (
        "KeyService.ListKeys",
        "UNAUTHENTICATED",
        "unknown",
        True,
    )
    assert entry.actor == AuditEntry.Actor(key_prefix=CANARY[:16])
    assert (entry.tenant, entry.client_address, entry.request_id) == ("", "192.0.2.7", "order-7")
    assert entry.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert b"Secret" not in entry.SerializeToString()


def test_a_key_whose_secret_was_right_is_told_with_its_tenant() -> None:
    entry = refusal_of(
        {"x-request-id": "two words", "traceparent": "nonsense"},
        "Authorization.Check",
        error=errors.Unauthenticated("revoked"),
        detail="revoked",
        subject=Subject(tenant="acme", key_id=KEY_ID, key_prefix="psk_live_PuBLic7"),
        address="",
    )
    assert entry.actor.kind == AuditEntry.Actor.KEY
    assert (entry.tenant, entry.actor.id, entry.actor.tenant) == ("acme", KEY_ID, "acme")
    assert (entry.request_id, entry.trace_id, entry.client_address) == ("", "", "")


@pytest.mark.parametrize(
    "rpc", ["/penstock.auth.v1.KeyService/CreateKey", "penstock.auth.v1.KeyService.CreateKey", "KeyService.CreateKey"]
)
def test_an_action_is_the_rpc_and_its_service(rpc: str) -> None:
    assert action_of(rpc) == "KeyService.CreateKey"
