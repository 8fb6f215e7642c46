"""Notices of connections, as auth publishes them and as they come in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.events.v1 import notices_pb2

from shared import streams
from shared.bus import Outgoing
from tests.fakes.tenant_notices import incoming

if TYPE_CHECKING:
    from shared.bus import Incoming

CONNECTION = "con_0198c6f2-0000-7000-8000-000000000001"
OTHER = "con_0198c6f2-0000-7000-8000-000000000002"
NEEDED_SINCE_MS = 1_800_000_000_000


def needs_reauth(
    revision: int,
    connection: str = CONNECTION,
    *,
    tenant: str = "acme",
    upstream: str = "http",
    reason: str = "revoked",
    jobs_wait: bool = True,
) -> Outgoing:
    """That a connection needs to be authorized anew."""
    fact = notices_pb2.ConnectionNeedsReauth(
        connection_id=connection, upstream=upstream, revision=revision, reason=reason, jobs_wait=jobs_wait
    )
    fact.needed_since.FromMilliseconds(NEEDED_SINCE_MS)
    return _published(notices_pb2.Notice(tenant=tenant, connection_needs_reauth=fact), connection, revision)


def restored(revision: int, connection: str = CONNECTION, *, tenant: str = "acme", upstream: str = "http") -> Outgoing:
    """That it works again."""
    fact = notices_pb2.ConnectionRestored(connection_id=connection, upstream=upstream, revision=revision)
    return _published(notices_pb2.Notice(tenant=tenant, connection_restored=fact), connection, revision)


def deleted(revision: int, connection: str = CONNECTION, *, tenant: str = "acme", upstream: str = "http") -> Outgoing:
    """That it is gone."""
    fact = notices_pb2.ConnectionDeleted(connection_id=connection, upstream=upstream, revision=revision)
    return _published(notices_pb2.Notice(tenant=tenant, connection_deleted=fact), connection, revision)


def heard(outgoing: Outgoing) -> Incoming:
    """A notice as a consumer is given it."""
    return incoming(outgoing.subject, outgoing.payload)


def _published(notice: notices_pb2.Notice, connection: str, revision: int) -> Outgoing:
    notice.id = f"{connection}:{revision}"
    return Outgoing(
        subject=streams.notice_subject(notice.WhichOneof("fact") or ""),
        payload=notice.SerializeToString(),
        message_id=notice.id,
    )
