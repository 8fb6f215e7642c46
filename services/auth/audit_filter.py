"""Which audit entries are asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.auth import networks
from shared import ids
from shared.errors import FieldViolation, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

_ACTION = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_]+")
_OUTCOME = re.compile(r"[A-Z][A-Z_]*")
#: Longer than any id, and than any lane with its upstream.
_MAX_CHARACTERS = 330


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """What an entry must have to be listed; empty for anything."""

    principal: str = ""
    action: str = ""
    target: str = ""
    outcome: str = ""
    refused_only: bool = False
    client_address: str = ""
    request_id: str = ""
    #: At or after it.
    start: datetime | None = None
    #: Before it.
    end: datetime | None = None

    @property
    def address(self) -> str:
        """The client's address in the form that entries have."""
        found = networks.address(self.client_address)
        return str(found) if found is not None else ""

    def violations(self) -> Iterator[FieldViolation]:
        """What is wrong with it."""
        for name, text in (("principal", self.principal), ("target", self.target)):
            if len(text) > _MAX_CHARACTERS:
                yield FieldViolation(name, f"is longer than {_MAX_CHARACTERS} characters")
        if self.action and _ACTION.fullmatch(self.action) is None:
            yield FieldViolation(
                "action", f"is {shown(self.action)}, which is no RPC; write it as KeyService.CreateKey"
            )
        if self.outcome and _OUTCOME.fullmatch(self.outcome) is None:
            yield FieldViolation("outcome", f"is {shown(self.outcome)}; it takes OK or an error's reason")
        if self.client_address and not self.address:
            yield FieldViolation("clientAddress", f"is {shown(self.client_address)}, which is no IP address")
        if self.request_id and not ids.is_request_id(self.request_id):
            yield FieldViolation("requestId", f"is {shown(self.request_id)}, which no request's id can be")
        if self.start is not None and self.end is not None and self.start >= self.end:
            yield FieldViolation("endTime", "is not after startTime")
