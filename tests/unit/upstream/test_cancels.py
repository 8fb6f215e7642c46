"""Breaking off what is at work for a job."""

from __future__ import annotations

import asyncio

import pytest

from services.upstream.cancels import Cancels, JobCanceledError


class Work:
    """Something at work for a job, until it is let go."""

    def __init__(self, cancels: Cancels, job_id: str) -> None:
        self.release = asyncio.Event()
        self.task = asyncio.create_task(self._run(cancels, job_id))

    async def _run(self, cancels: Cancels, job_id: str) -> str:
        async with cancels.obeyed(job_id):
            await self.release.wait()
            return "done"

    async def begun(self) -> Work:
        await asyncio.sleep(0)
        return self


async def test_only_what_is_at_work_for_the_job_is_broken_off() -> None:
    cancels = Cancels()
    canceled, other = await Work(cancels, "a").begun(), await Work(cancels, "b").begun()
    await cancels.receive(b"a")
    with pytest.raises(JobCanceledError):
        await canceled.task
    other.release.set()
    assert await other.task == "done"


async def test_everything_that_is_at_work_for_the_job_is_broken_off() -> None:
    cancels = Cancels()
    works = [await Work(cancels, "a").begun() for _ in range(2)]
    cancels.break_off("a")
    assert [type(error) for error in await asyncio.gather(*(w.task for w in works), return_exceptions=True)] == [
        JobCanceledError
    ] * 2


@pytest.mark.parametrize("payload", [b"", b"b", b"\xff", b"a\n"])
async def test_a_signal_about_another_job_does_nothing(payload: bytes) -> None:
    cancels = Cancels()
    work = await Work(cancels, "a").begun()
    await cancels.receive(payload)
    work.release.set()
    assert await work.task == "done"


async def test_a_repeated_signal_does_nothing_more() -> None:
    cancels = Cancels()
    steps: list[str] = []

    async def slow_to_let_go() -> None:
        async with cancels.obeyed("a"):
            try:
                await asyncio.Event().wait()
            finally:
                for _ in range(3):
                    cancels.break_off("a")
                    await asyncio.sleep(0)
                    steps.append("let go")

    task = asyncio.create_task(slow_to_let_go())
    await asyncio.sleep(0)
    for _ in range(3):
        cancels.break_off("a")
    with pytest.raises(JobCanceledError):
        await task
    assert steps == ["let go"] * 3
    cancels.break_off("a")


async def test_what_has_ended_by_the_time_of_the_signal_stays_as_it_came_out() -> None:
    cancels = Cancels()

    async def ends_as_the_signal_comes() -> str:
        async with cancels.obeyed("a"):
            cancels.break_off("a")
            outcome = "done"
        await asyncio.sleep(0)
        cancels.break_off("a")
        await asyncio.sleep(0)
        return outcome

    assert await asyncio.create_task(ends_as_the_signal_comes()) == "done"


async def test_a_cancel_of_the_task_is_passed_on_also_when_the_signal_comes_with_it() -> None:
    cancels = Cancels()
    for with_signal in (False, True):
        work = await Work(cancels, "a").begun()
        if with_signal:
            cancels.break_off("a")
        work.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work.task


async def test_a_timeout_of_the_bodys_own_is_no_cancel() -> None:
    cancels = Cancels()
    with pytest.raises(TimeoutError):
        async with cancels.obeyed("a"):
            raise TimeoutError


async def test_nothing_is_kept_of_what_has_ended() -> None:
    cancels = Cancels()
    work = await Work(cancels, "a").begun()
    work.release.set()
    await work.task
    assert not cancels._at_work
