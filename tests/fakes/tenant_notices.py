"""Notices of tenants, as auth publishes them and as they come in."""

from __future__ import annotations

from penstock.events.v1 import notices_pb2

from shared import streams
from shared.bus import Incoming, Outgoing

SUSPENDED_AT_MS = 1_800_000_000_000


def published(tenant: str, revision: int, reason: str | None = "unpaid") -> Outgoing:
    """That a tenant was suspended; without a reason, that it was resumed."""
    notice = notices_pb2.Notice(id=f"{tenant}:{revision}", tenant=tenant)
    notice.time.FromMilliseconds(SUSPENDED_AT_MS)
    if reason is None:
        notice.tenant_resumed.revision = revision
    else:
        notice.tenant_suspended.revision = revision
        notice.tenant_suspended.reason = reason
        notice.tenant_suspended.suspended_at.FromMilliseconds(SUSPENDED_AT_MS)
    return Outgoing(
        subject=streams.notice_subject(notice.WhichOneof("fact") or ""),
        payload=notice.SerializeToString(),
        message_id=notice.id,
    )


def notice(tenant: str, revision: int, reason: str | None = "unpaid") -> Incoming:
    """The same as a consumer is given it."""
    outgoing = published(tenant, revision, reason)
    return incoming(outgoing.subject, outgoing.payload)


def incoming(subject: str, payload: bytes) -> Incoming:
    """Any message."""
    return Incoming(subject=subject, payload=payload, headers={}, sequence=1, deliveries=1, reply="reply")
