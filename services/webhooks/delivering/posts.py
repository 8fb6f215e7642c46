"""What goes out in one POST."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from services.webhooks.deliveries.domain import Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A delivery, or those of a batch, which share their attempts: what one of them has been through all have.

    Args:
        members: In the order in which they go.
        webhook_id: By which the receiver knows it: the same in every attempt.
        body: JSON: the same bytes in every attempt.
    """

    members: tuple[Delivery, ...]
    webhook_id: str
    body: bytes = field(repr=False)

    @classmethod
    def of(cls, delivery: Delivery) -> Post:
        """A delivery that goes by itself."""
        return cls(members=(delivery,), webhook_id=delivery.webhook_id, body=delivery.payload)

    @property
    def first(self) -> Delivery:
        """Its first member, whose state is that of all."""
        return self.members[0]

    @property
    def is_batch(self) -> bool:
        """Whether it is a batch, be it one that was never sent yet."""
        return len(self.members) > 1 or bool(self.first.batch_id)

    @property
    def ids(self) -> Sequence[str]:
        """Its members' ids."""
        return [each.id for each in self.members]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """By what an attempt that is being made is told from any other.

    Args:
        id: Random.
        at: When it began.
        until: When what was claimed is due again, should its outcome never be heard of.
    """

    id: str
    at: datetime
    until: datetime
