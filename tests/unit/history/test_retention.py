"""What may be said of how long things are kept, and what a replica knows of it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from penstock.history.v1 import retention_pb2

from services.history.retention.domain import BOUNDS, DAY, FIELDS, Change, OwnRetention, Retention
from services.history.retention.messages import change, retention_message
from services.history.retention.retentions import Retentions
from shared.errors import InvalidArgument, Unavailable
from tests.fakes.retention_store import FakeRetentionStore

DEFAULT = Retention(succeeded_jobs=10 * DAY)


def asked(**fields: Any) -> Change:
    """The change that JSON of a request asks for."""
    return change(json_format.ParseDict(fields, retention_pb2.UpdateRetentionRequest()))


def faults(**fields: Any) -> dict[str, str]:
    with pytest.raises(InvalidArgument) as caught:
        asked(**fields)
    return {violation.field: violation.description for violation in caught.value.violations}


def test_without_a_mask_what_is_given_is_changed_and_nothing_else() -> None:
    found = asked(retention={"succeededJobs": "604800s", "archive": False})
    assert found == Change(
        fields=frozenset({"succeeded_jobs", "archive"}), to=OwnRetention(succeeded_jobs=7 * DAY, archive=False)
    )


def test_what_a_mask_names_and_nobody_gives_is_given_back() -> None:
    found = asked(retention={"audit": "31536000s"}, updateMask="failedJobs,indexedMetadata")
    assert found == Change(fields=frozenset({"failed_jobs", "indexed_metadata"}), to=OwnRetention())
    assert asked(retention={}, updateMask="*").fields == frozenset(FIELDS)


def test_every_fault_is_named_at_once_by_its_path() -> None:
    found = faults(
        retention={
            "succeededJobs": "86399s",
            "failedJobs": "0s",
            "audit": "2505600s",
            "deliveries": "691200.000000001s",
            "archives": "315705600s",
            "indexedMetadata": ["", "a=b", "k" * 65, "fine"],
        }
    )
    assert found.keys() == {
        "retention.succeededJobs",
        "retention.failedJobs",
        "retention.audit",
        "retention.deliveries",
        "retention.archives",
        "retention.indexedMetadata[0]",
        "retention.indexedMetadata[1]",
        "retention.indexedMetadata[2]",
    }
    assert found["retention.audit"] == (
        "is 2505600s; it takes whole days of 86400s, 2592000s to 220924800s (30 to 2,557 days)"
    )


def test_a_mask_that_names_what_is_not_there_is_refused_beside_other_faults() -> None:
    message = retention_pb2.UpdateRetentionRequest(
        retention=retention_pb2.Retention(indexed_metadata=map(str, range(11)))
    )
    message.update_mask.paths.extend(["tenant", "succeeded_jobs.seconds", "indexed_metadata"])
    with pytest.raises(InvalidArgument) as caught:
        change(message)
    assert [violation.field for violation in caught.value.violations] == [
        "updateMask",
        "updateMask",
        "retention.indexedMetadata",
    ]
    assert "'tenant'" in caught.value.message


def test_a_request_that_changes_nothing_is_refused() -> None:
    assert "retention" in faults(retention={})
    assert "retention" in faults(updateMask="audit")


@given(name=st.sampled_from(sorted(BOUNDS)), seconds=st.integers(-(2**40), 2**40))
def test_a_span_is_taken_where_it_is_whole_days_within_its_bounds(name: str, seconds: int) -> None:
    request = retention_pb2.UpdateRetentionRequest()
    getattr(request.retention, name).seconds = seconds
    least, most = BOUNDS[name]
    if seconds % 86400 == 0 and least <= seconds // 86400 <= most:
        assert getattr(change(request).to, name) == timedelta(seconds=seconds)
    else:
        with pytest.raises(InvalidArgument):
            change(request)


def test_a_message_says_what_holds() -> None:
    message = retention_message(OwnRetention(audit=30 * DAY, indexed_metadata=("order",)).over(DEFAULT))
    assert json_format.MessageToDict(message) == {
        "succeededJobs": "864000s",
        "failedJobs": "2592000s",
        "audit": "2592000s",
        "deliveries": "2592000s",
        "archive": True,
        "archives": "31536000s",
        "indexedMetadata": ["order"],
    }


async def test_what_is_changed_here_holds_at_once_and_what_is_changed_elsewhere_with_the_next_look() -> None:
    store = FakeRetentionStore()
    here, elsewhere = (Retentions(store, default=DEFAULT) for _ in range(2))
    assert await elsewhere.indexed_keys("acme") == ()
    order = Change(fields=frozenset({"indexed_metadata"}), to=OwnRetention(indexed_metadata=("order",)))
    await here.look()
    await here.change("acme", order)
    assert await here.indexed_keys("acme") == ("order",)
    assert await elsewhere.indexed_keys("acme") == ()
    await elsewhere.look()
    assert await elsewhere.indexed_keys("acme") == ("order",)
    assert elsewhere.known("other") == DEFAULT


async def test_what_was_known_serves_while_the_store_is_away() -> None:
    store = FakeRetentionStore()
    retentions = Retentions(store, default=DEFAULT)
    store.away = True
    with pytest.raises(Unavailable):
        await retentions.indexed_keys("acme")
    store.away = False
    await retentions.change("acme", Change(fields=frozenset({"archive"}), to=OwnRetention(archive=False)))
    await retentions.look()
    store.away = True
    assert not retentions.known("acme").archive
    assert await retentions.indexed_keys("acme") == ()


async def test_a_look_that_is_overtaken_by_a_change_is_looked_again() -> None:
    class Slow(FakeRetentionStore):
        """Answers with all of them as they were when it was asked, when it is told to."""

        answer = asyncio.Event()

        async def all(self) -> Any:
            found = await super().all()
            await self.answer.wait()
            return found

    retentions = Retentions(store := Slow(), default=DEFAULT)
    looking = asyncio.create_task(retentions.look())
    await asyncio.sleep(0)
    await retentions.change("acme", Change(fields=frozenset({"archive"}), to=OwnRetention(archive=False)))
    store.answer.set()
    await looking
    assert not retentions.known("acme").archive
