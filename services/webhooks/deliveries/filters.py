"""Which deliveries are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from services.webhooks.deliveries.domain import State


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """What a delivery must be to be meant; each part lets all pass where it is empty."""

    endpoint_id: str = ""
    #: Any of them.
    states: tuple[State, ...] = ()
    event_type: str = ""
    #: The id of the job, batch, connection, endpoint or tenant that it tells of.
    about: str = ""
    #: At or after it.
    created_after: datetime | None = None
    #: Before it.
    created_before: datetime | None = None
