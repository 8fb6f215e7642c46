"""What notices say of tenants and of connections, and its form on disk: whether their jobs are held back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penstock.events.v1 import notices_pb2

from services.scheduler.limits import Suspension
from shared import ids, streams

if TYPE_CHECKING:
    from shared.bus import Entry

    Ended = notices_pb2.ConnectionRestored | notices_pb2.ConnectionDeleted

#: Shared by every replica.
CONSUMER = streams.consumer_config(
    "scheduler-notices",
    streams.notice_subject("tenant_suspended"),
    streams.notice_subject("tenant_resumed"),
    streams.notice_subject("connection_needs_reauth"),
    streams.notice_subject("connection_restored"),
    streams.notice_subject("connection_deleted"),
)
_TENANTS, _LANES = "suspended", "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whom a notice is about: a tenant, or a connection of it, which is a lane.

    Args:
        lane: Empty for a tenant.
        upstream: In whose queue; empty for a tenant, which is in all of them.
    """

    tenant: str
    lane: str = ""
    upstream: str = ""

    @classmethod
    def of(cls, suspension: Suspension, upstream: str) -> Subject:
        """Whom a suspension that is in force in a queue is about."""
        return cls(tenant=suspension.tenant, lane=suspension.lane, upstream=upstream if suspension.lane else "")

    @classmethod
    def read(cls, key: str) -> Subject | None:
        """The one that a key of the bucket names; None where it names something else."""
        match key.split("."):
            case [kind, tenant] if kind == _TENANTS:
                return cls(tenant=tenant)
            case [kind, upstream, tenant, lane] if kind == _LANES:
                return cls(tenant=tenant, lane=lane, upstream=upstream)
            case _:
                return None

    @property
    def key(self) -> str:
        """In the bucket: `suspended.<tenant>`, or `held.<upstream>.<tenant>.<lane>`."""
        parts = (_LANES, self.upstream, self.tenant, self.lane) if self.lane else (_TENANTS, self.tenant)
        return ".".join(parts)

    def is_in(self, upstream: str) -> bool:
        """Whether it has jobs in that queue, or may have."""
        return self.upstream in {"", upstream}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the newest notice has said of its subject.

    Args:
        suspension: None where nothing is held back, or not any more.
    """

    subject: Subject
    revision: int
    suspension: Suspension | None


def read_notice(payload: bytes) -> Standing:
    """What a notice says.

    Raises:
        DecodeError: It is none.
        ValueError: It is of another kind, or lacks what every such notice has.
    """
    notice = notices_pb2.Notice.FromString(payload)
    match notice.WhichOneof("fact"):
        case "tenant_suspended":
            standing = _suspended(notice.tenant, notice.tenant_suspended)
        case "tenant_resumed":
            standing = _lifted(Subject(tenant=notice.tenant), notice.tenant_resumed.revision)
        case "connection_needs_reauth":
            standing = _needs_reauth(notice.tenant, notice.connection_needs_reauth)
        case "connection_restored":
            standing = _ended(notice.tenant, notice.connection_restored)
        case "connection_deleted":
            standing = _ended(notice.tenant, notice.connection_deleted)
        case other:
            raise ValueError(f"it says {other}, which holds back no jobs and lets none go")
    _check(standing)
    return standing


def load(subject: Subject, entry: Entry) -> Standing:
    """A standing that is on disk."""
    values = json.loads(entry.value)
    revision, suspended = values["revision"], values.get("suspended")
    if suspended is None:
        return Standing(subject=subject, revision=revision, suspension=None)
    return _held(subject, revision, reason=suspended["reason"], since_ms=suspended["at_ms"])


def dump(standing: Standing) -> bytes:
    """A standing as it is put on disk."""
    suspension = standing.suspension
    suspended = None if suspension is None else {"reason": suspension.reason, "at_ms": suspension.suspended_at_ms}
    return json.dumps({"revision": standing.revision, "suspended": suspended}).encode()


def _suspended(tenant: str, fact: notices_pb2.TenantSuspended) -> Standing:
    since_ms = fact.suspended_at.ToMilliseconds()
    return _held(Subject(tenant=tenant), fact.revision, reason=fact.reason, since_ms=since_ms)


def _needs_reauth(tenant: str, fact: notices_pb2.ConnectionNeedsReauth) -> Standing:
    subject = Subject(tenant=tenant, lane=fact.connection_id, upstream=fact.upstream)
    if not fact.jobs_wait:  # they are called, and fail
        return _lifted(subject, fact.revision)
    return _held(subject, fact.revision, reason=fact.reason, since_ms=fact.needed_since.ToMilliseconds())


def _ended(tenant: str, fact: Ended) -> Standing:
    return _lifted(Subject(tenant=tenant, lane=fact.connection_id, upstream=fact.upstream), fact.revision)


def _held(subject: Subject, revision: int, *, reason: str, since_ms: int) -> Standing:
    suspension = Suspension(
        tenant=subject.tenant, lane=subject.lane, reason=reason, suspended_at_ms=since_ms, revision=revision
    )
    return Standing(subject=subject, revision=revision, suspension=suspension)


def _lifted(subject: Subject, revision: int) -> Standing:
    return Standing(subject=subject, revision=revision, suspension=None)


def _check(standing: Standing) -> None:
    subject = standing.subject
    if not ids.is_slug(subject.tenant) or standing.revision <= 0:
        raise ValueError("it lacks a tenant's name, or a revision")
    of_tenant = not subject.lane and not subject.upstream
    if not of_tenant and not (ids.is_connection_id(subject.lane) and ids.is_slug(subject.upstream)):
        raise ValueError("it lacks a connection's id, or the name of its upstream")
