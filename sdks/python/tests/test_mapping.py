"""`map` loses no job and makes none twice, whatever is refused, full, or begun again; both halves do the same."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from penstock_sdk._async.calls import AsyncCalls
from penstock_sdk._async.mapping import map_jobs as map_jobs_async
from penstock_sdk._sync.calls import Calls
from penstock_sdk._sync.mapping import map_jobs
from penstock_sdk.errors import InvalidUse
from penstock_sdk.mapping import MAX_BYTES
from penstock_sdk.reasons import (
    BatchNotFound,
    IdempotencyKeyReused,
    InvalidArgument,
    PermissionDenied,
    RateLimited,
    UpstreamStatus,
)

from sdks.python.tests.fake_mesh import AsyncFakeTransport, FakeMesh, FakeTransport
from sdks.python.tests.sides import Clock, QuickAsyncPacing, QuickPacing, done

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from penstock_sdk.mapping import Outcome

    Mapped = Callable[..., Any]


@pytest.fixture
def mesh(clock: Clock) -> FakeMesh:
    return FakeMesh(clock=clock)


@pytest.fixture(params=["async", "sync"])
def mapped(request: pytest.FixtureRequest, mesh: FakeMesh, clock: Clock) -> Mapped:
    """`map` of either half, before the mesh."""
    if request.param == "async":
        calls: Any = AsyncCalls(AsyncFakeTransport(mesh), pacing=QuickAsyncPacing(clock))  # type: ignore[arg-type]  a stand-in, of what is called alone
        return lambda jobs, **more: map_jobs_async(calls, jobs, **more)
    calls = Calls(FakeTransport(mesh), pacing=QuickPacing(clock))  # type: ignore[arg-type]  a stand-in, of what is called alone
    return lambda jobs, **more: map_jobs(calls, jobs, **more)


def jobs(count: int) -> list[dict[str, Any]]:
    return [{"upstream": "http", "method": "http.get", "params": {"n": n}} for n in range(count)]


def numbers(outcomes: list[Outcome]) -> list[int]:
    return sorted(outcome.index for outcome in outcomes)


async def first(outcomes: Any, count: int) -> list[Outcome]:
    """So many outcomes; then whoever reads them goes away."""
    taken: list[Outcome] = []
    if hasattr(outcomes, "__aiter__"):
        async for outcome in outcomes:
            taken.append(outcome)
            if len(taken) == count:
                break
        await outcomes.aclose()
    else:
        for outcome in outcomes:
            taken.append(outcome)
            if len(taken) == count:
                break
        outcomes.close()
    return taken


async def test_every_job_comes_out_once_with_its_result_and_the_window_holds(mesh: FakeMesh, mapped: Mapped) -> None:
    mesh.failing = {5, 120}
    asked = jobs(450)
    outcomes = await done(mapped(iter(asked), concurrency=200))
    assert numbers(outcomes) == list(range(450)) == sorted(mesh.made)
    assert mesh.most == 200
    by_index = {outcome.index: outcome for outcome in outcomes}
    assert by_index[7].job.result.inline.text == "7"
    assert by_index[7].error is None
    assert by_index[7].request is asked[7]
    assert isinstance(by_index[120].error, UpstreamStatus)
    assert by_index[120].job.state == "FAILED"


async def test_without_results_no_job_is_asked_for_by_itself(mesh: FakeMesh, mapped: Mapped) -> None:
    assert len(await done(mapped(jobs(100), results=False))) == 100
    assert "GetJob" not in mesh.calls


async def test_faulty_jobs_come_out_each_with_its_fault_and_the_rest_is_made(mesh: FakeMesh, mapped: Mapped) -> None:
    mesh.faulty = {*range(3, 80, 2), 105}  # more than one answer tells
    outcomes = await done(mapped(jobs(150), name="import-7"))
    refused = [outcome for outcome in outcomes if outcome.error]
    assert numbers(refused) == sorted(mesh.faulty)
    assert all(
        isinstance(each.error, InvalidArgument)
        and each.job is None
        and [violation.field for violation in each.error.violations] == ["params.n"]
        for each in refused
    )
    assert sorted(mesh.made) == [n for n in range(150) if n not in mesh.faulty]
    assert set(mesh.keys) == {"import-7-000000", "import-7-000100"}


async def test_a_batch_of_faulty_jobs_alone_ends(mesh: FakeMesh, mapped: Mapped) -> None:
    mesh.faulty = set(range(3))
    assert numbers(await done(mapped(jobs(3)))) == [0, 1, 2]
    assert not mesh.made


async def test_mapped_again_under_its_name_nothing_is_made_twice(mesh: FakeMesh, mapped: Mapped) -> None:
    mesh.faulty = {2}
    assert len(await first(mapped(iter(jobs(250)), name="import-7", concurrency=200), 20)) == 20
    again = await done(mapped(iter(jobs(250)), name="import-7", concurrency=200))
    assert numbers(again) == list(range(250))
    assert sorted(mesh.made) == [n for n in range(250) if n != 2]


async def test_a_job_that_was_faulty_and_is_not_any_more_makes_no_other_twice(mesh: FakeMesh, mapped: Mapped) -> None:
    mesh.faulty = {2}
    await done(mapped(jobs(120), name="import-7"))
    mesh.faulty = set()
    outcomes = await done(mapped(jobs(120), name="import-7"))
    assert numbers(outcomes) == list(range(120))
    assert {type(outcome.error) for outcome in outcomes if outcome.index < 100} == {IdempotencyKeyReused}
    assert len(mesh.made) == len(set(mesh.made)) == 119


async def test_a_full_queue_is_the_pace(mesh: FakeMesh, mapped: Mapped, clock: Clock) -> None:
    mesh.limit = 120
    outcomes = await done(mapped(jobs(330), concurrency=500))
    assert numbers(outcomes) == list(range(330)) == sorted(mesh.made)
    assert mesh.most <= 120


async def test_a_queue_that_others_fill_is_waited_for_as_long_as_it_takes(
    mesh: FakeMesh, mapped: Mapped, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh.batches["others"] = [{"id": f"http-{n}", "state": "QUEUED"} for n in range(950, 1850)]
    send = FakeMesh.send

    def until_much_later(self: FakeMesh, *args: Any, **named: Any) -> Any:
        if sum(clock.slept) > 600:
            self.batches.pop("others", None)
        return send(self, *args, **named)

    monkeypatch.setattr(FakeMesh, "send", until_much_later)
    mesh.limit, mesh.retry_after_s = 950, 60
    assert len(await done(mapped(jobs(100)))) == 100
    assert all(slept == pytest.approx(60, abs=0.5) for slept in clock.slept[:10])


async def test_the_rate_limit_of_the_key_is_the_pace_too(
    mesh: FakeMesh, mapped: Mapped, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, sent = FakeMesh.send, 0

    def limited(self: FakeMesh, *args: Any, **named: Any) -> Any:
        nonlocal sent
        sent += 1
        if sent % 5 == 0:  # for longer than calls are tried again
            raise RateLimited("…", reason="RATE_LIMITED", status=429, retry_after_s=70)
        return send(self, *args, **named)

    monkeypatch.setattr(FakeMesh, "send", limited)
    assert len(await done(mapped(jobs(120)))) == 120
    assert sorted(mesh.made) == list(range(120))


async def test_a_batch_that_never_fits_is_told(mesh: FakeMesh, mapped: Mapped) -> None:
    mesh.limit = 50
    with pytest.raises(InvalidUse, match="concurrency=50"):
        await done(mapped(jobs(100)))
    assert len(await done(mapped(jobs(100), concurrency=50))) == 100


async def test_one_job_that_hangs_holds_up_no_other(mesh: FakeMesh, mapped: Mapped) -> None:
    mesh.stuck = {0}
    outcomes = mapped(jobs(400), concurrency=200)
    assert numbers(await first(outcomes, 399)) == list(range(1, 400))


async def test_requests_are_read_as_there_is_room_for_them(mesh: FakeMesh, mapped: Mapped) -> None:
    read = 0

    def source() -> Iterator[Any]:
        nonlocal read
        for read, job in enumerate(jobs(1000), 1):  # noqa: B007  how far it was read
            yield job

    await first(mapped(source(), concurrency=200), 1)
    assert read == 200


async def test_an_async_source_is_read_too(mesh: FakeMesh, clock: Clock) -> None:
    async def source() -> AsyncIterator[Any]:
        for job in jobs(130):
            yield job

    calls = AsyncCalls(AsyncFakeTransport(mesh), pacing=QuickAsyncPacing(clock))  # type: ignore[arg-type]  a stand-in, of what is called alone
    assert len(await done(map_jobs_async(calls, source()))) == 130


async def test_batches_are_cut_by_the_size_of_the_jobs_too(mesh: FakeMesh, mapped: Mapped) -> None:
    large = [{**job, "params": {**job["params"], "text": "x" * (MAX_BYTES // 3)}} for job in jobs(5)]
    assert len(await done(mapped(large, name="large"))) == 5
    assert list(mesh.keys) == ["large-000000", "large-000002", "large-000004"]


class Kept(dict[str, str]):
    """A journal in memory."""

    def batch_of(self, key: str, /) -> str | None:
        return self.get(key)

    def accepted(self, key: str, batch: str, /) -> None:
        self[key] = batch


async def test_a_journal_remembers_for_longer_than_keys_hold(mesh: FakeMesh, mapped: Mapped) -> None:
    mesh.faulty, journal = {2, 5}, Kept()
    await first(mapped(jobs(150), name="n", journal=journal), 10)
    assert journal["n-000000"] == "batch_0 2 5"
    mesh.keys.clear()  # a day later
    mesh.faulty = {5}
    again = await done(mapped(jobs(150), name="n", journal=journal, done={0, 1, *range(100, 150)}))
    assert numbers(again) == list(range(2, 100))
    assert sorted(mesh.made) == [n for n in range(150) if n != 5]
    assert [outcome.index for outcome in again if outcome.error] == [5]


async def test_a_journal_of_other_jobs_is_refused(mapped: Mapped) -> None:
    journal = Kept()
    await done(mapped(jobs(10), name="n", journal=journal))
    with pytest.raises(InvalidUse, match="other jobs"):
        await done(mapped(jobs(11), name="n", journal=journal))


async def test_what_is_kept_no_more_comes_out_as_such(mesh: FakeMesh, mapped: Mapped) -> None:
    outcomes = await done(mapped(jobs(2), name="n", journal=Kept({"n-000000": "batch_gone"})))
    assert [type(outcome.error) for outcome in outcomes] == [BatchNotFound, BatchNotFound]
    mesh.ends = 0
    send, mesh_batches = FakeMesh.send, mesh.batches

    def erasing(self: FakeMesh, operation: Any, *args: Any, **named: Any) -> Any:
        if operation.name.endswith("WaitJob"):
            mesh_batches.clear()
        return send(self, operation, *args, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeMesh, "send", erasing)
        erased = await done(mapped(jobs(3)))
    assert numbers(erased) == [0, 1, 2]
    assert all(outcome.error and outcome.job.id == f"http-{outcome.index}" for outcome in erased)


async def test_what_would_refuse_any_job_ends_the_map(mapped: Mapped, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionDenied("…", reason="PERMISSION_DENIED", status=403)

    monkeypatch.setattr(FakeMesh, "send", refuse)
    with pytest.raises(PermissionDenied):
        await done(mapped(jobs(1)))


@pytest.mark.parametrize(
    ("given", "more", "told"),
    [
        (jobs(1), {"concurrency": 0}, "concurrency is 0"),
        (jobs(1), {"name": "with a blank"}, "'with a blank'"),
        (jobs(1), {"name": "x" * 201}, "200 visible"),
        (["https://example.com"], {}, "job 0 is a str"),
    ],
)
async def test_what_no_call_can_be_made_of_is_told(mapped: Mapped, given: Any, more: Any, told: str) -> None:
    with pytest.raises(InvalidUse, match=told):
        await done(mapped(given, **more))


async def test_progress_is_drawn_where_it_is_asked_for_and_else_on_terminals_alone(
    mesh: FakeMesh, mapped: Mapped, capfd: pytest.CaptureFixture[str]
) -> None:
    mesh.failing, drawn = {3}, io.StringIO()
    await done(mapped(jobs(20), progress=drawn))
    assert "20/20" in drawn.getvalue()
    assert "failed=1" in drawn.getvalue()
    await done(mapped(jobs(20), progress=True))
    assert capfd.readouterr().err == ""
