"""Audit: who did or tried what, when, from where, and what came of it.

`decisions` says which RPCs are audited, `entries` makes the entries, `refusals` counts equal ones together, `outbox`
brings them to NATS, and `recorder` is what everyone else calls.
"""

from shared.audit.decisions import AUDITED, UNAUDITED, Audited
from shared.audit.entries import OK, REFUSING, AuditEntry, Subject, entry_on_behalf, refusal_of
from shared.audit.recorder import Audit

__all__ = [
    "AUDITED",
    "OK",
    "REFUSING",
    "UNAUDITED",
    "Audit",
    "AuditEntry",
    "Audited",
    "Subject",
    "entry_on_behalf",
    "refusal_of",
]
