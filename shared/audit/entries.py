"""Entries, made from calls. What goes into one is listed here; nothing else of a request or an answer does.

What a caller wrote itself goes in only where it has the form of what it should be: an id, a slug, a lane. A text in
which an API key stands keeps no more of it than the public prefix.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penstock.events.v1.audit_pb2 import AuditEntry

from shared import ids, observability
from shared.identity import CLIENT_ADDRESS_HEADER, PrincipalKind
from shared.permissions import Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from google.protobuf.message import Message

    from shared.audit.decisions import Audited
    from shared.errors import PenstockError
    from shared.identity import Principal
    from shared.rpc.call import Call

OK = "OK"
CANCELED = "CANCELED"
#: The gRPC codes of errors that refuse a caller because of who it is, or is not.
REFUSING = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED"})
ACTORS = {PrincipalKind.KEY: AuditEntry.Actor.KEY, PrincipalKind.SERVICE: AuditEntry.Actor.SERVICE}
#: A key's secret, of which the first seven characters behind the mark are public.
_KEY_SECRET = re.compile(r"(psk_live_[0-9A-Za-z]{7})[0-9A-Za-z]+")
_LANE = re.compile(r"[A-Za-z0-9_.:\[\]-]{1,280}")
#: What each part of a target's id must look like, by the name of its field.
FORMS: Mapping[str, Callable[[str], bool]] = {
    "connection_id": ids.is_connection_id,
    "delivery_id": ids.is_delivery_id,
    "endpoint_id": ids.is_endpoint_id,
    "key_id": ids.is_key_id,
    # a tenant's that is made, or an operation's
    "name": lambda text: ids.is_slug(text) or ids.is_operation_id(text.removeprefix("operations/")),
    "provider": ids.is_slug,
    "replay_id": ids.is_replay_id,
    "tenant": ids.is_slug,
    "upstream": ids.is_slug,
    "lane": lambda text: _LANE.fullmatch(text) is not None,
}
_ACTION_PARTS = re.compile(r"[./]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom the gateway has refused, as far as that is known.

    Args:
        tenant: Whose key it is; empty unless its secret was right.
        key_id: The key's id, likewise.
        key_prefix: The public start of the secret.
    """

    tenant: str = ""
    key_id: str = ""
    key_prefix: str = ""


def entry_of(
    call: Call, audited: Audited | None, *, outcome: str, now: datetime, answer: Message | None = None
) -> AuditEntry:
    """What is told of a call that is over.

    Args:
        call: With its request, as far as it was read.
        audited: The decision about its RPC; None for a refusal of one that is not audited.
        outcome: `OK`, `CANCELED`, or the reason of its error.
        now: When it was over.
        answer: What it was answered with.
    """
    principal = call.principal
    entry = AuditEntry(
        id=ids.new_audit_id(),
        tenant=_tenant(principal, call.request, "tenant" if audited is None else audited.tenant),
        actor=_actor(principal),
        action=action_of(call.method),
        target=_target(audited, call.request, answer),
        service=call.service,
        outcome=outcome,
        client_address=_address(call),
        request_id=_without_secrets(call.request_id),
        trace_id=observability.current_trace_id(),
        count=1,
    )
    if call.error is not None:
        entry.refused = call.error.code in REFUSING
        entry.detail = call.error.metadata.get("scope", "") if entry.refused else ""
    entry.time.FromDatetime(now)
    return entry


def entry_on_behalf(
    call: Call, principal: Principal, *, kind: str, id_: str, outcome: str, detail: str = ""
) -> AuditEntry:
    """What is told of a call that shows no key, but goes on with what a principal has begun, but for its time.

    Args:
        call: From the gateway.
        principal: Who has begun it.
        kind: What it was about.
        id_: Which one; empty where there is none.
        outcome: `OK`, or the reason of its error.
        detail: Why more closely, in one word.
    """
    return AuditEntry(
        id=ids.new_audit_id(),
        tenant=principal.tenant,
        actor=_actor(principal),
        action=action_of(call.method),
        target=AuditEntry.Target(kind=kind, id=id_),
        service=call.service,
        outcome=outcome,
        detail=detail,
        client_address=_canonical(call.metadata.get(CLIENT_ADDRESS_HEADER, "")),
        request_id=_without_secrets(call.request_id),
        trace_id=observability.current_trace_id(),
        count=1,
    )


def refusal_of(
    headers: Mapping[str, str], rpc: str, *, error: PenstockError, detail: str, subject: Subject, address: str
) -> AuditEntry:
    """What is told of a request that the gateway refuses, but for its time.

    Args:
        headers: The request's.
        rpc: The full name of the RPC that its path leads to.
        error: What its caller is told.
        detail: Why, in one word.
        subject: Whom.
        address: From where.
    """
    request_id = headers.get("x-request-id", "")
    return AuditEntry(
        id=ids.new_audit_id(),
        tenant=subject.tenant,
        actor=AuditEntry.Actor(
            kind=AuditEntry.Actor.KEY if subject.key_id else AuditEntry.Actor.KIND_UNSPECIFIED,
            id=subject.key_id,
            key_prefix=subject.key_prefix,
            tenant=subject.tenant,
        ),
        action=action_of(rpc),
        outcome=error.reason,
        detail=detail,
        refused=True,
        client_address=address,
        request_id=_without_secrets(request_id) if ids.is_request_id(request_id) else "",
        trace_id=observability.trace_id_of(headers.get(observability.TRACEPARENT, "")),
        count=1,
    )


def action_of(rpc: str) -> str:
    """An RPC as entries name it, `KeyService.CreateKey`, from its full name in either spelling."""
    return ".".join(_ACTION_PARTS.split(rpc)[-2:])


def _tenant(principal: Principal | None, request: Message | None, field: str) -> str:
    """Whose things the call was about: the caller's own, unless an operator named another tenant."""
    if principal is None:
        return ""
    asked: object = getattr(request, field, "")
    if Scope.OPERATOR in principal.scopes and isinstance(asked, str) and ids.is_slug(asked):
        return asked
    return principal.tenant


def _actor(principal: Principal | None) -> AuditEntry.Actor:
    if principal is None:
        return AuditEntry.Actor()
    return AuditEntry.Actor(kind=ACTORS[principal.kind], id=principal.id, tenant=principal.tenant)


def _target(audited: Audited | None, request: Message | None, answer: Message | None) -> AuditEntry.Target | None:
    if audited is None:
        return None
    if audited.made:
        return AuditEntry.Target(kind=audited.kind, id="" if answer is None else _field(answer, audited.made))
    parts: list[str] = []
    for name in audited.id if request is not None else ():
        part = _field(request, name)
        if not part:
            break
        if not FORMS[name](part):
            return AuditEntry.Target(kind=audited.kind)
        parts.append(part)
    return AuditEntry.Target(kind=audited.kind, id=_without_secrets("/".join(parts)))


def _field(message: Any, path: str) -> str:  # a message of any type
    for name in path.split("."):
        message = getattr(message, name)
    return message


def _address(call: Call) -> str:
    """Where the call comes from.

    The gateway says so of those whom it has let in. Of others it is the connection's other end: nothing that a caller
    says is worth anything who is known to nobody.
    """
    told = call.metadata.get(CLIENT_ADDRESS_HEADER, "") if call.principal is not None else ""
    return _canonical(told or call.context.peer().partition(":")[2].rpartition(":")[0])


def _canonical(text: str) -> str:
    """The address in its one form, an IPv4 address inside an IPv6 one as itself; empty where it is none."""
    try:
        found = ipaddress.ip_address(text.replace("%5B", "").replace("%5D", "").strip("[]").partition("%")[0])
    except ValueError:
        return ""
    return str(getattr(found, "ipv4_mapped", None) or found)


def _without_secrets(text: str) -> str:
    return _KEY_SECRET.sub(r"\1…", text)
