"""What is to be attempted, and what attempts change: the deliveries of a receiver at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from services.webhooks.deliveries.domain import AttemptRecord, Delivery
    from services.webhooks.delivering.posts import Claim, Post


class WorkStore(Protocol):
    """Keeps what attempts change. All raise `Unavailable` when they cannot answer; what they were to do may be done."""

    async def prepare(self) -> None:
        """Makes what the store needs, where it is not there yet."""
        ...

    async def due(self, receiver: str, *, now: datetime, limit: int) -> Sequence[Delivery]:
        """A receiver's deliveries that are due and stand in no line, the longest first."""
        ...

    async def heads(self, receiver: str, *, now: datetime, limit: int) -> Sequence[Delivery]:
        """The heads of a receiver's lines that are due, the longest first."""
        ...

    async def line(self, receiver: str, line: str, *, limit: int) -> Sequence[Delivery]:
        """What is pending in a line, due or not, from its head on."""
        ...

    async def batches(self, batch_ids: Sequence[str]) -> Sequence[Delivery]:
        """What is pending of batches, in no order."""
        ...

    async def next_due(self, receiver: str, *, lines: bool, after: datetime | None = None) -> datetime | None:
        """When the next of a receiver's deliveries is due, or None where none is pending.

        Args:
            receiver: Whose.
            lines: Whether some may stand in lines, of which the heads count.
            after: Where those that are due by then do not count.
        """
        ...

    async def begin(self, posts: Sequence[Post], claim: Claim) -> Sequence[Post]:
        """Begins attempts of what has not changed since it was read: counts them, and notes them in the logs.

        Answers with those that were begun, as they are then. A claim is nobody else's until its time is over; then what
        was claimed is due again. The members of a batch are begun all or none; before the first time they are marked
        with its `batch_id`.
        """
        ...

    async def record(self, post: Post, claim: Claim, attempt: AttemptRecord) -> bool:
        """Keeps how a claimed attempt came out; answers whether that still counted.

        It does not where the delivery has ended or was replayed, or where a newer attempt was claimed; only that it was
        DELIVERED counts after a newer claim too.

        Args:
            post: As the outcome leaves it.
            claim: With which it was begun.
            attempt: How it came out; kept in the log even where it does not count.
        """
        ...

    async def give_up(self, deliveries: Sequence[Delivery], *, now: datetime) -> int:
        """Ends those that have not changed since they were read as FAILED, and answers how many.

        One whose attempt was begun and never heard of has lost its last one; of the others the newest outcome stays.
        """
        ...

    async def skip(self, receiver: str, *, now: datetime) -> int:
        """Makes SKIPPED what was made by then, is pending, and is not being attempted; answers how many."""
        ...

    async def end(self, receiver: str, *, now: datetime) -> int:
        """Ends the same as FAILED, its endpoint deleted; answers how many."""
        ...
