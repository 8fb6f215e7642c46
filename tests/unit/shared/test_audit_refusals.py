"""Equal refusals are counted together, and nothing of them is lost or told twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from penstock.events.v1.audit_pb2 import AuditEntry

from shared import ids
from shared.audit import refusals as refusals_
from shared.audit.refusals import WINDOW, Refusals

START = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)


class Log:
    """Refusals, and what was told of them."""

    def __init__(self) -> None:
        self.elapsed = timedelta()
        self.told: list[AuditEntry] = []
        self.refusals = Refusals(self.told.append, monotonic=lambda: 1000.0 + self.elapsed.total_seconds())

    def refuse(self, **fields: object) -> AuditEntry:
        entry = AuditEntry(
            **{
                "id": ids.new_audit_id(),
                "tenant": "acme",
                "actor": AuditEntry.Actor(kind=AuditEntry.Actor.KEY, id="key_1", tenant="acme"),
                "action": "KeyService.CreateKey",
                "target": AuditEntry.Target(kind="key", id="key_9"),
                "service": "auth",
                "outcome": "PERMISSION_DENIED",
                "refused": True,
                "client_address": "192.0.2.7",
                "request_id": "order-7",
                "trace_id": "0af7651916cd43dd8448eb211c80319c",
                "count": 1,
                **fields,
            }  # type: ignore[arg-type]  the fields' types are the proto's to check
        )
        entry.time.FromDatetime(START + self.elapsed)
        self.refusals.note(entry)
        return entry

    def pass_time(self, by: timedelta) -> None:
        self.elapsed += by
        self.refusals.end_over()


def at(time: timedelta) -> datetime:
    return START + time


def test_the_first_refusal_is_told_at_once() -> None:
    log = Log()
    entry = log.refuse()
    assert log.told == [entry]
    assert entry.time.ToDatetime(tzinfo=UTC) == START
    log.pass_time(WINDOW)
    assert len(log.told) == 1


def test_what_follows_within_a_minute_is_one_entry_with_its_count() -> None:
    log = Log()
    log.refuse(request_id="first")
    for second in range(1, 30):
        log.elapsed = timedelta(seconds=second)
        log.refuse(request_id=f"later-{second}")
    assert len(log.told) == 1
    log.pass_time(WINDOW)
    _, summary = log.told
    assert summary.count == 29
    assert summary.since.ToDatetime(tzinfo=UTC) == at(timedelta(seconds=1))
    assert summary.time.ToDatetime(tzinfo=UTC) == at(timedelta(seconds=29))
    assert (summary.action, summary.actor.id, summary.client_address) == ("KeyService.CreateKey", "key_1", "192.0.2.7")
    assert (summary.request_id, summary.trace_id, summary.HasField("target")) == ("", "", False)


def test_a_second_one_alone_keeps_what_is_known_of_it() -> None:
    log = Log()
    log.refuse()
    second = log.refuse(request_id="second")
    log.pass_time(WINDOW)
    assert log.told[1] == second
    assert (log.told[1].request_id, log.told[1].count, log.told[1].HasField("since")) == ("second", 1, False)


def test_after_a_minute_the_next_one_is_told_at_once_again() -> None:
    log = Log()
    log.refuse()
    log.elapsed = WINDOW
    log.refuse(request_id="next")
    assert [entry.request_id for entry in log.told] == ["order-7", "next"]


@pytest.mark.parametrize(
    "differs",
    [
        {"tenant": "globex"},
        {"actor": AuditEntry.Actor(kind=AuditEntry.Actor.KEY, id="key_2", tenant="acme")},
        {"action": "KeyService.RevokeKey"},
        {"outcome": "UNAUTHENTICATED"},
        {"detail": "revoked"},
        {"client_address": "192.0.2.8"},
    ],
)
def test_refusals_that_differ_are_told_apart(differs: dict[str, object]) -> None:
    log = Log()
    log.refuse()
    log.refuse(**differs)
    assert len(log.told) == 2


def test_trying_out_ids_makes_no_entry_for_each() -> None:
    log = Log()
    for number in range(100):
        log.refuse(target=AuditEntry.Target(kind="key", id=f"key_{number}"))
    log.refusals.end_all()
    assert [entry.count for entry in log.told] == [1, 99]


NOBODY = {"tenant": "", "outcome": "UNAUTHENTICATED", "detail": "unknown"}


def test_where_nobody_is_known_an_address_that_guesses_makes_two_entries_whatever_it_tries() -> None:
    log = Log()
    for number in range(100):
        actor = AuditEntry.Actor(key_prefix=f"psk_live_{number:07}")
        log.refuse(**NOBODY, actor=actor, action=f"JobService.Do{number % 7}")
    log.refusals.end_all()
    first, others = log.told
    assert (first.actor.key_prefix, first.action, first.count) == ("psk_live_0000000", "JobService.Do0", 1)
    assert (others.actor.key_prefix, others.action, others.count) == ("", "", 99)
    assert others.client_address == "192.0.2.7"


def test_what_all_of_them_have_in_common_is_told() -> None:
    log = Log()
    for _ in range(4):
        log.refuse(**NOBODY, actor=AuditEntry.Actor(key_prefix="psk_live_1234567"), action="JobService.GetJob")
    log.refusals.end_all()
    assert (log.told[1].actor.key_prefix, log.told[1].action) == ("psk_live_1234567", "JobService.GetJob")


def test_an_ipv6_client_counts_as_its_network() -> None:
    log = Log()
    for number in range(1, 50):
        log.refuse(**NOBODY, client_address=f"2001:db8:1:2::{number:x}")
    log.refuse(**NOBODY, client_address="2001:db8:1:3::1")
    log.refusals.end_all()
    assert [(entry.client_address, entry.count) for entry in log.told] == [
        ("2001:db8:1:2::1", 1),
        ("2001:db8:1:3::1", 1),
        ("2001:db8:1:2::31", 48),
    ]


def test_beyond_so_many_different_ones_of_a_tenant_they_are_counted_by_outcome(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refusals_, "MAX_OPEN_OF_TENANT", 10)
    log = Log()
    for number in range(50):
        log.refuse(client_address=f"192.0.2.{number}")
    assert len(log.told) == 11
    stripped = log.told[-1]
    assert (stripped.tenant, stripped.outcome, stripped.refused) == ("acme", "PERMISSION_DENIED", True)
    assert (stripped.client_address, stripped.action, stripped.actor.id) == ("", "", "")
    others = log.refuse(tenant="globex")
    assert log.told[-1] == others  # whose own are told as ever
    log.refusals.end_all()
    assert sum(entry.count for entry in log.told) == 51
    log.refuse()
    assert log.told[-1].client_address == "192.0.2.7"  # and a minute later there is room again


def test_beyond_so_many_of_all_tenants_they_are_counted_by_tenant_and_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals_, "MAX_OPEN", 5)
    log = Log()
    for number in range(20):
        log.refuse(tenant=f"tenant-{number % 8}", client_address=f"192.0.2.{number}")
    assert [bool(entry.client_address) for entry in log.told] == [True] * 5 + [False] * 8
    log.refusals.end_all()
    assert sum(entry.count for entry in log.told) == 20


@given(
    st.lists(
        st.tuples(st.integers(min_value=0, max_value=90), st.sampled_from(["192.0.2.1", "192.0.2.2", "192.0.2.3"])),
        max_size=60,
    )
)
def test_every_refusal_is_counted_once_and_no_subject_makes_more_than_two_entries_a_minute(
    steps: list[tuple[int, str]],
) -> None:
    log = Log()
    for seconds, address in steps:
        log.pass_time(timedelta(seconds=seconds))
        log.refuse(client_address=address)
    log.refusals.end_all()
    assert sum(entry.count for entry in log.told) == len(steps)
    assert len({entry.id for entry in log.told}) == len(log.told)
    total = log.elapsed + WINDOW
    for address in {address for _, address in steps}:
        mine = [entry for entry in log.told if entry.client_address == address]
        assert len(mine) <= 2 * (total // WINDOW + 1)
