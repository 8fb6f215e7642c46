"""The way of entries to NATS, and what becomes of them while it is away."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import structlog
from google.protobuf.json_format import ParseDict
from penstock.events.v1.audit_pb2 import AuditEntry

from shared import ids
from shared.audit import outbox as outbox_
from shared.audit.outbox import Outbox
from tests.fakes.audit_publisher import FakePublisher
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def entry(action: str = "KeyService.CreateKey") -> AuditEntry:
    return AuditEntry(id=ids.new_audit_id(), action=action, service="auth", outcome="OK", tenant="acme")


@asynccontextmanager
async def running(outbox: Outbox, publisher: FakePublisher) -> AsyncIterator[None]:
    task = asyncio.create_task(outbox.run(publisher))
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def in_log(lines: list[structlog.typing.EventDict]) -> list[AuditEntry]:
    """The entries that the log has in full."""
    return [ParseDict(line["entry"], AuditEntry()) for line in lines if line["event"] == "audit"]


async def test_a_change_is_on_disk_when_it_is_settled_and_the_log_has_no_copy() -> None:
    outbox, publisher, change = Outbox(), FakePublisher(), entry()
    with structlog.testing.capture_logs() as lines:
        async with running(outbox, publisher):
            await outbox.settled(outbox.add_change(change), within_s=None)
            assert publisher.entries == [change]
    assert in_log(lines) == []
    (message,) = publisher.messages.values()
    assert (message.subject, message.message_id) == ("audit.auth", change.id)


async def test_what_comes_while_one_batch_is_under_way_goes_together_and_changes_first() -> None:
    outbox, publisher = Outbox(), FakePublisher()
    for _ in range(300):
        outbox.add_refusal(entry("KeyService.ListKeys"))
    change = entry()
    held = outbox.add_change(change)
    async with running(outbox, publisher):
        await outbox.settled(held, within_s=None)
        assert publisher.entries[0] == change
        await outbox.drain()
    assert publisher.batches == [256, 45]


async def test_while_nats_is_away_nobody_waits_and_the_log_has_every_entry_in_full() -> None:
    outbox, publisher = Outbox(), FakePublisher()
    publisher.away = True
    first, second, refusal = entry(), entry(), entry("KeyService.ListKeys")
    with structlog.testing.capture_logs() as lines:
        async with running(outbox, publisher):
            await outbox.settled(outbox.add_change(first), within_s=None)
            await outbox.settled(outbox.add_change(second), within_s=None)
            outbox.add_refusal(refusal)
            assert in_log(lines) == [first, second, refusal]
            publisher.away = False
            await eventually(lambda: len(publisher.entries) == 3, what="the entries, published later")
    assert {each.id for each in publisher.entries} == {first.id, second.id, refusal.id}
    assert len(in_log(lines)) == 3  # each once, however often it was tried


async def test_an_entry_whose_acknowledgement_was_lost_is_there_once() -> None:
    outbox, publisher, change = Outbox(), FakePublisher(), entry()
    publisher.deaf = True
    async with running(outbox, publisher):
        held = outbox.add_change(change)
        await outbox.settled(held, within_s=None)
        publisher.deaf = False
        await outbox.drain()
    assert len(publisher.batches) >= 2
    assert publisher.entries == [change]


class StuckPublisher(FakePublisher):
    """Takes what it is given, and does not come back."""

    async def publish(self, messages: object) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize("within_s", [None, 0.01, -1.0])
async def test_an_answer_waits_for_its_entry_no_longer_than_it_may(
    monkeypatch: pytest.MonkeyPatch, within_s: float | None
) -> None:
    monkeypatch.setattr(outbox_, "PATIENCE", timedelta(milliseconds=20))
    outbox, change = Outbox(), entry()
    with structlog.testing.capture_logs() as lines:
        async with running(outbox, StuckPublisher()), asyncio.timeout(30):
            await outbox.settled(outbox.add_change(change), within_s=within_s)
    assert in_log(lines) == [change]


async def test_what_has_no_room_stands_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_, "MAX_HELD", 2)
    outbox, publisher = Outbox(), FakePublisher()
    entries = [entry(str(number)) for number in range(5)]
    with structlog.testing.capture_logs() as lines:
        for each in entries:
            outbox.add_refusal(each)
        change = entry()
        held = outbox.add_change(change)  # refusals take no room of changes
    assert in_log(lines) == entries[2:]
    async with running(outbox, publisher):
        await outbox.settled(held, within_s=None)
        await outbox.drain()
    assert publisher.entries == [change, *entries[:2]]


async def test_a_process_that_ends_without_nats_leaves_every_entry_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_, "DRAIN_PATIENCE", timedelta(milliseconds=20))
    outbox = Outbox()
    entries = [entry(), entry("KeyService.ListKeys")]
    with structlog.testing.capture_logs() as lines:
        async with running(outbox, StuckPublisher()):
            outbox.add_change(entries[0])
            outbox.add_refusal(entries[1])
            await outbox.drain()
    assert in_log(lines) == entries
    assert [line["entries"] for line in lines if line["event"] == "audit_left_in_log"] == [2]


async def test_before_anything_is_published_nobody_waits() -> None:
    outbox = Outbox()
    async with asyncio.timeout(30):
        await outbox.settled(outbox.add_change(entry()), within_s=None)
