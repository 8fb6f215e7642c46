"""Takes the audit entries of all services from NATS into the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from penstock.events.v1.audit_pb2 import AuditEntry

from shared import observability, streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.auth.audit_store import AuditStore
    from shared.bus import Incoming

log = observability.logger()

#: Shared by every replica.
CONSUMER = streams.consumer_config("auth", streams.audit_subject("*"))


class AuditTrail:
    """Keeps what comes.

    Args:
        store: Where.
    """

    def __init__(self, store: AuditStore) -> None:
        self._store = store

    async def handle(self, batch: Sequence[Incoming]) -> None:
        """Keeps a batch of entries.

        Raises:
            Unavailable: The store is away. Keeping the batch again does no harm.
        """
        entries: list[AuditEntry] = []
        for message in batch:
            try:
                entries.append(_entry_in(message))
            except (DecodeError, ValueError) as error:
                log.error(  # noqa: TRY400  from where it was raised says nothing more
                    "audit_entry_malformed", subject=message.subject, sequence=message.sequence, error=str(error)
                )
                message.term()
        if entries:
            await self._store.add(entries)


def _entry_in(message: Incoming) -> AuditEntry:
    """The entry, which a service can make in its own name alone: who may publish on a subject is NATS' to say.

    Raises:
        ValueError: It lacks what every entry has, or names another service than its subject.
    """
    entry = AuditEntry.FromString(message.payload)
    if not entry.id or not entry.HasField("time") or not entry.outcome:
        raise ValueError("it lacks its id, its time or its outcome")
    if message.subject != streams.audit_subject(entry.service):
        raise ValueError(f"it says that it is of the service {entry.service!r}")
    entry.time.ToDatetime()  # or the whole batch would fail by it
    return entry
