"""What attempts change, in memory; `tests/contract/work_store` holds it to what the real store does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from services.webhooks.deliveries.documents import ATTEMPTS_KEPT
from services.webhooks.deliveries.domain import AttemptRecord, Reason, State
from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from services.webhooks.deliveries.domain import Delivery
    from services.webhooks.delivering.posts import Claim, Post


class FakeWorkStore:
    """Keeps deliveries in memory; can be away.

    Args:
        by_id: The deliveries, which another fake may hold too.
    """

    def __init__(self, by_id: dict[str, Delivery] | None = None) -> None:
        self.by_id = by_id if by_id is not None else {}
        #: Every call raises `Unavailable` while it is.
        self.away = False
        #: Looks for what is due so far.
        self.looks = 0

    async def prepare(self) -> None:
        self._check()

    async def due(self, receiver: str, *, now: datetime, limit: int) -> Sequence[Delivery]:
        self.looks += 1
        self._check()
        return _due([each for each in self._pending(receiver) if not each.line], now)[:limit]

    async def heads(self, receiver: str, *, now: datetime, limit: int) -> Sequence[Delivery]:
        self._check()
        return _due(self._heads(receiver), now)[:limit]

    async def line(self, receiver: str, line: str, *, limit: int) -> Sequence[Delivery]:
        self._check()
        found = [each for each in self._pending(receiver) if each.line == line]
        return [_without_log(each) for each in sorted(found, key=lambda each: (each.place, each.id))][:limit]

    async def batches(self, batch_ids: Sequence[str]) -> Sequence[Delivery]:
        self._check()
        return [
            _without_log(each)
            for each in self.by_id.values()
            if each.state is State.PENDING and each.batch_id in batch_ids
        ]

    async def next_due(self, receiver: str, *, lines: bool, after: datetime | None = None) -> datetime | None:
        self._check()
        found = [each for each in self._pending(receiver) if not each.line]
        if lines:
            found += self._heads(receiver)
        return min(
            (each.next_attempt_at for each in found if after is None or each.next_attempt_at > after), default=None
        )

    async def begin(self, posts: Sequence[Post], claim: Claim) -> Sequence[Post]:
        self._check()
        return [begun for each in posts if (begun := self._begun(each, claim)) is not None]

    def _begun(self, post: Post, claim: Claim) -> Post | None:
        kept = [self.by_id.get(each.id) for each in post.members]
        same = all(
            now is not None and _standing(now) == _standing(read) for now, read in zip(kept, post.members, strict=True)
        )
        if not same:
            return None
        row = AttemptRecord(number=post.first.attempts + 1, started_at=claim.at)
        changes: dict[str, Any] = {
            "attempts": row.number,
            "claim": claim.id,
            "next_attempt_at": claim.until,
            "batch_id": post.webhook_id if post.is_batch else "",
        }
        for each in post.members:
            before = self.by_id[each.id]
            self.by_id[each.id] = replace(before, log=(*before.log, row)[-ATTEMPTS_KEPT:], **changes)
        return replace(post, members=tuple(replace(each, **changes) for each in post.members))

    async def record(self, post: Post, claim: Claim, attempt: AttemptRecord) -> bool:
        self._check()
        counted = False
        for after in post.members:
            kept = self.by_id.get(after.id)
            if kept is None:
                continue
            log = tuple(
                attempt if (each.number, each.started_at) == (attempt.number, attempt.started_at) else each
                for each in kept.log
            )
            own = (kept.attempts, kept.claim) == (after.attempts, claim.id)
            counts = kept.state is State.PENDING and (kept.replays, kept.batch_id) == (after.replays, after.batch_id)
            if counts and (own or after.state is State.DELIVERED):
                counted = True
                self.by_id[after.id] = replace(after, attempts=kept.attempts, claim="", log=log)
            else:
                self.by_id[after.id] = replace(kept, log=log)
        return counted

    async def give_up(self, deliveries: Sequence[Delivery], *, now: datetime) -> int:
        self._check()
        same = [each for each in deliveries if each.id in self.by_id]
        same = [each for each in same if _standing(self.by_id[each.id]) == _standing(each)]
        for each in same:
            lost: dict[str, Any] = {"last_reason": Reason.ATTEMPT_LOST, "last_status": 0} if each.claim else {}
            self.by_id[each.id] = replace(self.by_id[each.id], state=State.FAILED, claim="", finished_at=now, **lost)
        return len(same)

    async def skip(self, receiver: str, *, now: datetime) -> int:
        return self._end_all(receiver, now, State.SKIPPED, Reason.ENDPOINT_DISABLED)

    async def end(self, receiver: str, *, now: datetime) -> int:
        return self._end_all(receiver, now, State.FAILED, Reason.ENDPOINT_DELETED)

    def _end_all(self, receiver: str, now: datetime, state: State, reason: Reason) -> int:
        self._check()
        ended = [
            each
            for each in self._pending(receiver)
            if each.created_at <= now and (not each.claim or each.next_attempt_at <= now)
        ]
        for each in ended:
            self.by_id[each.id] = replace(
                each, state=state, claim="", last_reason=reason, last_status=0, finished_at=now
            )
        return len(ended)

    def _pending(self, receiver: str) -> list[Delivery]:
        return [each for each in self.by_id.values() if each.receiver == receiver and each.state is State.PENDING]

    def _heads(self, receiver: str) -> list[Delivery]:
        heads: dict[str, Delivery] = {}
        for each in sorted(self._pending(receiver), key=lambda each: (each.place, each.id)):
            if each.line:
                heads.setdefault(each.line, each)
        return list(heads.values())

    def _check(self) -> None:
        if self.away:
            raise Unavailable("MongoDB does not answer", metadata={"dependency": "mongodb"})


def _due(deliveries: Sequence[Delivery], now: datetime) -> list[Delivery]:
    due: Callable[[Delivery], datetime] = lambda each: each.next_attempt_at  # noqa: E731  a key, named
    return [_without_log(each) for each in sorted(deliveries, key=due) if each.next_attempt_at <= now]


def _without_log(delivery: Delivery) -> Delivery:
    return replace(delivery, log=())


def _standing(delivery: Delivery) -> tuple[object, ...]:
    return (delivery.state, delivery.attempts, delivery.replays, delivery.next_attempt_at, delivery.batch_id)
