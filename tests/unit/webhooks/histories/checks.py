"""What must hold at every moment of a history, and what must hold at its end."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from services.webhooks.deliveries.domain import Delivery, Reason, State
from services.webhooks.endpoints.domain import Order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from services.webhooks.endpoints.domain import Endpoint
    from tests.unit.webhooks.histories.far_side import Sent

#: Upon which there is no other attempt.
_FINAL = frozenset({Reason.RECEIVER_GONE, Reason.ENDPOINT_DELETED})


@dataclass
class Witness:
    """Sees every change of a delivery, as it is made.

    Args:
        most_attempts: Of a delivery.
    """

    most_attempts: int
    seen: dict[str, Delivery] = field(default_factory=dict)
    #: By batch, who went in it.
    batches: dict[str, frozenset[str]] = field(default_factory=dict)

    def look(self, deliveries: Mapping[str, Delivery], now: datetime) -> None:
        """Compares what there is with what there was."""
        changed = [each for each in deliveries.values() if self.seen.get(each.id) is not each]
        for each in changed:
            self._check(self.seen.get(each.id), each, now)
        self.seen = dict(deliveries)
        if any(each.batch_id for each in changed):
            self._check_batches()

    def _check(self, before: Delivery | None, after: Delivery, now: datetime) -> None:
        assert 0 <= after.attempts <= self.most_attempts, after
        assert len(after.log) <= self.most_attempts * (after.replays + 1), after
        assert (after.finished_at is None) == (after.state is State.PENDING), after
        if before is None:
            assert after.attempts == 0, after
            return
        assert before.payload == after.payload
        assert (before.place, before.line) == (after.place, after.line)
        replayed = after.replays > before.replays
        if not replayed and before.state is not State.PENDING:
            # what an attempt has come to whose claim had run out is noted in its row, and changes nothing
            assert replace(after, log=before.log) == before, f"{before.state} became {after.state}: {after}"
            assert len(after.log) == len(before.log), after
        elif not replayed:
            assert before.attempts <= after.attempts <= before.attempts + 1
            assert before.batch_id in {"", after.batch_id}, after
            if after.state is State.PENDING:
                # an outcome that the store could not take at once is kept later, with the time that it had then
                since = now if after.claim else after.log[-1].started_at
                assert after.next_attempt_at > since, f"the next attempt lies in the past: {after}"

    def _check_batches(self) -> None:
        """No batch gets another member, or loses one to anything but a replay."""
        members: dict[str, set[str]] = defaultdict(set)
        for each in self.seen.values():
            if each.batch_id:
                members[each.batch_id].add(each.id)
        for batch_id, ids in members.items():
            known = self.batches.setdefault(batch_id, frozenset(ids))
            assert ids <= known, f"{batch_id} got {ids - known}"
            assert all(self.seen[each].replays for each in known - ids), f"{batch_id} lost {known - ids}"


@dataclass(kw_only=True)
class Published:
    """An event, as far as it matters whom it reaches."""

    job_id: str
    connection_id: str
    #: The endpoints that it must reach: those that were there, and whose filters it passes.
    endpoints: Sequence[str]
    at: datetime


@dataclass(kw_only=True)
class Ended:
    """A history that has come to rest."""

    published: Sequence[Published]
    deliveries: Sequence[Delivery]
    sent: Sequence[Sent]
    endpoints: Mapping[str, Endpoint]
    #: By endpoint that is disabled, from when on every replica knew it.
    disabled: Mapping[str, datetime]
    #: The endpoints that were disabled at some time.
    once_disabled: frozenset[str]
    #: The endpoints whose deliveries were replayed, in whichever order.
    replayed: frozenset[str]
    most_attempts: int

    def check(self) -> None:
        """Sees that nothing is missing, too much, or in the wrong order."""
        by_event = {(each.about, each.endpoint_id): each for each in self.deliveries}
        assert len(by_event) == len(self.deliveries), "an event has two deliveries to one endpoint"
        for event in self.published:
            for endpoint_id in event.endpoints:
                delivery = by_event.get((event.job_id, endpoint_id))
                assert delivery is not None, f"{event} has no delivery to {endpoint_id}"
                self._check_end(event, delivery)
        self._check_posts()
        for endpoint_id, endpoint in self.endpoints.items():
            if endpoint.order is Order.BY_CONNECTION and endpoint_id not in self.replayed:
                self._check_order(endpoint_id)

    def _check_end(self, event: Published, delivery: Delivery) -> None:
        to_it = (each for each in self.sent if each.taken and each.endpoint_id == delivery.endpoint_id)
        taken = any(delivery.about in each.about for each in to_it)
        assert delivery.state is not State.PENDING, f"it never ended: {delivery}"
        if delivery.state is State.DELIVERED:
            assert taken, f"nobody took {delivery}"
        elif delivery.state is State.SKIPPED:
            assert delivery.endpoint_id in self.once_disabled, f"its endpoint was never disabled: {delivery}"
        elif delivery.last_reason not in _FINAL:
            assert delivery.attempts == self.most_attempts, f"it was given up too early: {delivery}"
        was_disabled = self.disabled.get(delivery.endpoint_id, event.at) < event.at
        if was_disabled and delivery.endpoint_id not in self.replayed:
            assert delivery.state is State.SKIPPED, f"its endpoint was disabled: {delivery}"
            assert delivery.attempts == 0, delivery

    def _check_posts(self) -> None:
        bodies: dict[tuple[str, str], set[bytes]] = defaultdict(set)
        counts: dict[tuple[str, str], int] = defaultdict(int)
        for each in self.sent:
            bodies[each.endpoint_id, each.webhook_id].add(each.body)
            counts[each.endpoint_id, each.webhook_id] += 1
        for (endpoint_id, webhook_id), different in bodies.items():
            assert len(different) == 1, f"{webhook_id} went with {len(different)} bodies"
            if endpoint_id not in self.replayed:
                assert counts[endpoint_id, webhook_id] <= self.most_attempts, f"{webhook_id} went too often"

    def _check_order(self, endpoint_id: str) -> None:
        """Of each connection, events were first taken in the order in which they were published."""
        taken = [about for each in self.sent if each.taken and each.endpoint_id == endpoint_id for about in each.about]
        first = {job_id: index for index, job_id in reversed(list(enumerate(taken)))}
        lines: dict[str, list[str]] = defaultdict(list)
        for event in self.published:
            if event.connection_id and event.job_id in first:
                lines[event.connection_id].append(event.job_id)
        for connection_id, line in lines.items():
            assert sorted(line, key=first.__getitem__) == line, self._story(endpoint_id, connection_id)

    def _story(self, endpoint_id: str, connection_id: str) -> str:
        """What went to an endpoint of a line, by the number of its events, and what has become of them."""
        line = [event.job_id for event in self.published if event.connection_id == connection_id]
        told = ["another order than that of the events:"]
        for each in self.sent:
            numbers = [line.index(about) for about in each.about if about in line]
            if each.endpoint_id == endpoint_id and numbers:
                told.append(f"{each.at_s:.3f} s: {numbers}{'' if each.taken else ' refused'}")
        ends = (each for each in self.deliveries if each.endpoint_id == endpoint_id and each.about in line)
        return "\n".join([*told, *(f"{line.index(each.about)}: {each}" for each in ends)])
