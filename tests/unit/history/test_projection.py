"""The projection: whatever order events come in, and however often, history is the same."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.history.jobs.projection import Projection
from services.history.jobs.reading import Reading
from shared import ids
from shared.bus import Incoming
from tests.fakes.history_events import Event, life, now
from tests.fakes.history_reading import NothingErased, NothingIndexed
from tests.fakes.history_store import FakeHistory

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from services.history.jobs.reading import Erasures, IndexedMetadata

#: How jobs fare: the events after their submission.
LIVES = (
    (),
    (Event.STARTED,),
    (Event.CANCELED,),
    (Event.STARTED, Event.SUCCEEDED),
    (Event.STARTED, Event.RETRYING, Event.STARTED, Event.FAILED),
    (Event.STARTED, Event.RETRYING, Event.EXPIRED),
)


class Indexed:
    """Two tenants' keys."""

    async def indexed_keys(self, tenant: str) -> Sequence[str]:
        return {"acme": ("order", "customer")}.get(tenant, ())


class Erased:
    """One connection, and one tenant."""

    def covers(self, tenant: str, connection_id: str, created_at: datetime) -> bool:
        del created_at
        return connection_id == "con_erased" or tenant == "erased"


def messages(events: Iterable[Event]) -> list[Incoming]:
    """As the log has them."""
    return [
        Incoming(
            subject="jobs.any.http",
            payload=event.SerializeToString(),
            headers={},
            sequence=7 if event.HasField("submission") else 8,
            deliveries=1,
            reply="",
        )
        for event in events
    ]


def projection_into(
    store: FakeHistory, *, indexed: IndexedMetadata | None = None, erasures: Erasures | None = None
) -> Projection:
    reading = Reading(indexed=indexed or NothingIndexed(), erasures=erasures or NothingErased())
    return Projection(store, reading=reading, applied=lambda: None)


async def project(store: FakeHistory, batches: Iterable[Sequence[Event]]) -> None:
    projection = projection_into(store)
    for batch in batches:
        await projection.handle(messages(batch))


@st.composite
def told(draw: st.DrawFn) -> tuple[list[str], list[Event], list[list[Event]]]:
    """Jobs, their events in order, and the same shuffled, some of them twice, in batches of any size."""
    jobs = [ids.new_job_id("http") for _ in range(draw(st.integers(1, 4)))]
    began = now()
    in_order = [event for job in jobs for event in life(job, *draw(st.sampled_from(LIVES)), at=began)]
    again = draw(st.lists(st.sampled_from(in_order), max_size=8))
    shuffled = draw(st.permutations([*in_order, *again]))
    cuts = sorted(draw(st.sets(st.integers(1, len(shuffled)), max_size=6)))
    bounds = [0, *cuts, len(shuffled)]
    return jobs, in_order, [shuffled[start:end] for start, end in pairwise(bounds)]


@given(told())
def test_in_any_order_and_however_often_history_is_the_same(
    case: tuple[list[str], list[Event], list[list[Event]]],
) -> None:
    jobs, in_order, batches = case
    straight, crooked = FakeHistory(), FakeHistory()
    asyncio.run(project(straight, [[event] for event in in_order]))
    asyncio.run(project(crooked, batches))
    assert [straight.document(job) for job in jobs] == [crooked.document(job) for job in jobs]


async def test_a_job_is_labelled_by_the_keys_that_its_tenant_lists_by() -> None:
    job, theirs = ids.new_job_id("http"), ids.new_job_id("http")
    store = FakeHistory()
    metadata = {"order": "1=2", "customer": "", "other": "3"}
    events = [*life(job, metadata=metadata), *life(theirs, tenant="globex", metadata=metadata)]
    await projection_into(store, indexed=Indexed()).handle(messages(events))
    for each, labels in ((job, ["customer=", "order=1=2"]), (theirs, [])):
        document = store.document(each)
        assert document is not None
        assert document["labels"] == labels


async def test_nothing_is_kept_of_what_was_erased() -> None:
    gone, with_it, kept = (ids.new_job_id("http") for _ in range(3))
    store = FakeHistory()
    events = [
        *life(gone, connection_id="con_erased"),
        *life(with_it, Event.STARTED, Event.SUCCEEDED, tenant="erased"),
        *life(kept, connection_id="con_other"),
    ]
    await projection_into(store, erasures=Erased()).handle(messages(events))
    assert store.document(gone) is None
    assert store.document(with_it) is None
    assert store.document(kept) is not None


@pytest.mark.parametrize(
    "payload", [b"\xff\xff", b"", Event(job_id="no id", tenant="acme", revision=1).SerializeToString()]
)
async def test_what_cannot_be_understood_is_given_up_and_holds_nothing_up(payload: bytes) -> None:
    job, store = ids.new_job_id("http"), FakeHistory()
    good = messages(life(job))[0]
    bad = messages(life(job))[0]
    bad.payload = payload
    await projection_into(store).handle([bad, good])
    assert (bad.verdict, good.verdict) == (b"+TERM", b"+ACK")
    assert store.document(job) is not None
