"""Batches: several events in one POST, which stay together however often it is repeated."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.webhooks.delivering.posts import Post
from shared import ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from services.webhooks.deliveries.domain import Delivery
    from services.webhooks.endpoints.domain import Batching

EVENT_TYPE = "events.batch"
#: Of the bodies of a batch together; one alone may be larger.
MAX_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What goes now, and when what waits for others goes at the latest.

    Args:
        posts: Those that are full, or whose first has waited for long enough.
        again_at: None where nothing waits.
    """

    posts: Sequence[Post] = ()
    again_at: datetime | None = None


def goes_with_others(delivery: Delivery) -> bool:
    """Whether it may be put into a batch: what was sent before stays as it was, and what is replayed goes by itself."""
    return not delivery.batch_id and not delivery.attempts and not delivery.replays


def gathered(deliveries: Sequence[Delivery], batching: Batching, *, now: datetime) -> Gathered:
    """Puts deliveries that go with others into batches.

    Args:
        deliveries: In the order in which they go.
        batching: How many go together, and how long the first waits for that.
        now: The time.
    """
    posts: list[Post] = []
    some: list[Delivery] = []
    size = 0
    for delivery in deliveries:
        if some and (len(some) == batching.max_events or size + len(delivery.payload) > MAX_BYTES):
            posts.append(_post(some))
            some, size = [], 0
        some.append(delivery)
        size += len(delivery.payload)
    if not some:
        return Gathered()
    until = min(each.next_attempt_at for each in some) + batching.max_wait
    if len(some) < batching.max_events and now < until:
        return Gathered(posts=posts, again_at=until)
    return Gathered(posts=[*posts, _post(some)])


def marked(members: Iterable[Delivery]) -> Sequence[Post]:
    """The batches that were sent before, of all their members."""
    by_id: dict[str, list[Delivery]] = {}
    for each in members:
        by_id.setdefault(each.batch_id, []).append(each)
    return [_batch(batch_id, in_order(those)) for batch_id, those in by_id.items()]


def in_order(deliveries: Iterable[Delivery]) -> list[Delivery]:
    """The order within a batch: that of the log of jobs in a line, else that in which they were stored."""
    return sorted(
        deliveries,
        key=lambda each: (each.place if each.line else 0, each.created_at, each.place, each.id),
    )


def _post(members: Sequence[Delivery]) -> Post:
    """One that was never sent; a single delivery goes as it would by itself."""
    return Post.of(members[0]) if len(members) == 1 else _batch(f"msg_{ids.uuid7()}", members)


def _batch(batch_id: str, members: Sequence[Delivery]) -> Post:
    return Post(members=tuple(members), webhook_id=batch_id, body=_body(members))


def _body(members: Sequence[Delivery]) -> bytes:
    """The same bytes whenever it is made of the same members."""
    stored_at = max(each.created_at for each in members).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    head = f'{{"type":"{EVENT_TYPE}","timestamp":"{stored_at}","data":{{"events":['
    events = b",".join(_event(each) for each in members)
    return head.encode() + events + b"]}}"


def _event(delivery: Delivery) -> bytes:
    """The body that it would have by itself, its id put before the rest."""
    return b'{"id":' + json.dumps(delivery.webhook_id).encode() + b"," + delivery.payload.removeprefix(b"{")
