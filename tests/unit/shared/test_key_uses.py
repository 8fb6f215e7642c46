"""What a service counts of the use of keys, and tells auth."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from penstock.events.v1 import usage_pb2

from shared import errors
from shared.identity import Principal, PrincipalKind
from shared.rpc import key_uses
from shared.rpc.call import Call
from shared.rpc.key_uses import KeyUses
from shared.streams import KEY_USES_SIGNAL

KEY = Principal(kind=PrincipalKind.KEY, id="key_1", tenant="acme", scopes=frozenset())
OTHER = Principal(kind=PrincipalKind.KEY, id="key_2", tenant="globex", scopes=frozenset())
SERVICE = Principal(kind=PrincipalKind.SERVICE, id="intake", tenant="", scopes=frozenset())


class Time:
    def __init__(self) -> None:
        self.time = datetime(2026, 5, 4, 23, 59, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


class Heard:
    """Hears reports; can be away."""

    def __init__(self) -> None:
        self.reports: list[list[tuple[str, str, str, int, int]]] = []
        self.away = False

    async def signal(self, subject: str, payload: bytes = b"") -> None:
        if self.away:
            raise errors.Unavailable("NATS does not answer")
        assert subject == KEY_USES_SIGNAL
        uses = usage_pb2.UsageReport.FromString(payload).uses
        self.reports.append([(use.tenant, use.key_id, use.date, use.jobs, use.errors) for use in uses])


def call(
    principal: Principal | None, *, failed: bool = False, jobs: int = 0, rpc: str = "jobs.v1.JobService/SubmitJob"
) -> Call:
    error = errors.JobNotFound("there is none") if failed else None
    return Call(
        method=f"/penstock.{rpc}",
        service="intake",
        metadata={},
        context=cast("Any", None),
        principal=principal,
        error=error,
        jobs=jobs,
    )


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def uses(time: Time) -> KeyUses:
    return KeyUses(time)


@pytest.fixture
def heard() -> Heard:
    return Heard()


async def test_jobs_and_errors_are_told_by_key_and_day(uses: KeyUses, time: Time, heard: Heard) -> None:
    for each in (call(KEY, jobs=1), call(KEY, jobs=100), call(KEY, failed=True), call(OTHER, failed=True)):
        uses.note(each)
    time.time += timedelta(minutes=2)
    uses.note(call(KEY, jobs=2))
    await uses.report(heard)
    assert heard.reports == [
        [
            ("acme", "key_1", "2026-05-04", 101, 1),
            ("globex", "key_2", "2026-05-04", 0, 1),
            ("acme", "key_1", "2026-05-05", 2, 0),
        ]
    ]
    await uses.report(heard)
    assert len(heard.reports) == 1


async def test_what_went_well_who_is_no_key_and_who_is_nobody_are_no_news(uses: KeyUses, heard: Heard) -> None:
    inward = call(KEY, failed=True, rpc="history.v1.HistoryService/GetRecordedJob")  # intake asks in the key's name
    for each in (call(KEY), call(SERVICE, failed=True), call(None, failed=True), inward):
        uses.note(each)
    await uses.report(heard)
    assert heard.reports == []


async def test_what_cannot_be_told_is_told_later(uses: KeyUses, heard: Heard) -> None:
    uses.note(call(KEY, jobs=1))
    heard.away = True
    await uses.report(heard)
    uses.note(call(KEY, jobs=1, failed=True))
    heard.away = False
    await uses.report(heard)
    assert heard.reports == [[("acme", "key_1", "2026-05-04", 2, 1)]]


async def test_reports_and_what_waits_for_them_are_bounded(
    uses: KeyUses, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_uses, "MAX_PENDING", 5)
    monkeypatch.setattr(key_uses, "MAX_REPORTED", 2)
    for number in range(7):
        key = Principal(kind=PrincipalKind.KEY, id=f"key_{number}", tenant="acme", scopes=frozenset())
        uses.note(call(key, failed=True))
    await uses.report(heard)
    assert [len(report) for report in heard.reports] == [2, 2, 1]
