"""Each step of the way down from streams over long polls to looks, and up again; watching over breaks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from penstock_sdk import InvalidUse, NoAnswer, UnexpectedAnswer, WaitTimeout, reasons
from penstock_sdk._async import waiting as async_waiting
from penstock_sdk._sync import waiting as sync_waiting

from sdks.python.tests import faulty_server as faulty
from sdks.python.tests.faulty_server import answer, error, stream
from sdks.python.tests.sides import done

if TYPE_CHECKING:
    import socket

    from sdks.python.tests.faulty_server import FaultyServer, Reply
    from sdks.python.tests.sides import Clock

WATCH, WAIT, LOOK = "/api/v1/jobs/http-1:watch", "/api/v1/jobs/http-1:wait?timeout=", "/api/v1/jobs/http-1"
BEAT = ": heartbeat\n\n"


def job(revision: int, state: str = "RUNNING") -> dict[str, Any]:
    ended = {"finishedAt": "2026-11-27T09:00:00Z"} if state in {"SUCCEEDED", "FAILED"} else {}
    return {"id": "http-1", "state": state, "revision": str(revision), **ended}


def event(revision: int, state: str = "RUNNING") -> str:
    return f"id: {revision}\nevent: {state.lower()}\ndata: {json.dumps(job(revision, state))}\n\n"


def targets(server: FaultyServer) -> list[str]:
    return [each.target for each in server.seen]


END = answer(200, job(9, "SUCCEEDED"))
UNFINISHED = answer(200, job(2))


async def test_a_stream_tells_of_the_end(penstock: Any, server: FaultyServer) -> None:
    server.will(stream("retry: 1000\n\n", event(1), BEAT, event(2, "SUCCEEDED")))
    ended = await done(penstock.jobs.wait("http-1"))
    assert (ended.state, ended.revision) == ("SUCCEEDED", 2)
    assert targets(server) == [WATCH]
    assert server.seen[0].headers["accept"] == "text/event-stream"


async def test_a_stream_that_breaks_is_taken_up_where_it_broke(penstock: Any, server: FaultyServer) -> None:
    server.will(
        stream(event(1), event(3), then=faulty.reset_after),
        stream(event(4), event(5)[:20]),
        stream(event(5, "SUCCEEDED")),
    )
    assert (await done(penstock.jobs.wait("http-1"))).revision == 5
    assert [each.headers.get("last-event-id") for each in server.seen] == [None, "3", "4"]


async def test_after_two_breaks_without_a_word_it_polls(penstock: Any, server: FaultyServer) -> None:
    server.will(faulty.reset_after, stream(BEAT), UNFINISHED, END)
    assert (await done(penstock.jobs.wait("http-1"))).revision == 9
    assert targets(server) == [WATCH, WATCH, WAIT + "30.000s", WAIT + "30.000s"]


@pytest.mark.parametrize(
    "refusal", [faulty.page(200), error(501, "UNIMPLEMENTED"), answer(200, job(1)), faulty.page(404)]
)
async def test_where_no_stream_comes_through_it_polls_at_once_and_remembers(
    penstock: Any, server: FaultyServer, clock: Clock, refusal: Reply
) -> None:
    server.will(refusal, END, END)
    await done(penstock.jobs.wait("http-1"))
    await done(penstock.jobs.wait("http-1"))
    assert targets(server) == [WATCH, WAIT + "30.000s", WAIT + "30.000s"]
    clock.slept.append(301)
    server.will(stream(event(2, "SUCCEEDED")))
    await done(penstock.jobs.wait("http-1"))
    assert targets(server)[-1] == WATCH


async def test_where_a_stream_is_silent_it_polls(
    penstock: Any, server: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (async_waiting, sync_waiting):
        monkeypatch.setattr(module, "SILENCE_S", 0.1)
    server.will(stream(event(1), then=faulty.silent), END)
    assert (await done(penstock.jobs.wait("http-1"))).revision == 9
    assert targets(server) == [WATCH, WAIT + "30.000s"]


async def test_where_polls_break_too_it_looks_and_later_tries_the_better_ways_again(
    penstock: Any, server: FaultyServer, clock: Clock
) -> None:
    server.will(
        *[faulty.reset_after] * 4,  # two streams, two polls
        UNFINISHED,
        faulty.page(503),
        *[UNFINISHED] * 5,
        stream(event(3, "SUCCEEDED")),
    )
    assert (await done(penstock.jobs.wait("http-1"))).revision == 3
    assert targets(server) == [WATCH, WATCH, WAIT + "30.000s", WAIT + "30.000s", *[LOOK] * 7, WATCH]
    assert clock.slept == [0.25, 0.5, 0.25, 0.5, 0.5, 0.25, 1.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize("step", [0, 1, 2])
async def test_a_job_that_is_not_there_ends_every_step_at_once(penstock: Any, server: FaultyServer, step: int) -> None:
    before = [[], [faulty.page(200)], [faulty.page(200), *[faulty.reset_after] * 2]][step]
    server.will(*before, error(404, "JOB_NOT_FOUND"))
    with pytest.raises(reasons.JobNotFound):
        await done(penstock.jobs.wait("http-1"))
    assert len(server.seen) == len(before) + 1


async def test_a_short_wait_is_one_poll_that_ends_in_time(penstock: Any, server: FaultyServer, clock: Clock) -> None:
    def unfinished(connection: socket.socket) -> None:
        clock.slept.append(4.8)
        UNFINISHED(connection)

    server.will(unfinished)
    with pytest.raises(WaitTimeout, match="http-1 has not ended within 5 s; it stood at RUNNING") as raised:
        await done(penstock.jobs.wait("http-1", timeout_s=5))
    assert raised.value.waited_for == "http-1"
    assert targets(server) == [WAIT + "4.750s"]


async def test_no_time_is_enough_for_a_look(penstock: Any, server: FaultyServer) -> None:
    server.will(END, UNFINISHED)
    assert (await done(penstock.jobs.wait("http-1", timeout_s=0))).revision == 9
    with pytest.raises(WaitTimeout, match="within 0 s; it stood at RUNNING"):
        await done(penstock.jobs.wait("http-1", timeout_s=0))
    assert targets(server) == [LOOK, LOOK]


async def test_a_stream_makes_room_for_a_poll_that_ends_in_time(
    penstock: Any, server: FaultyServer, clock: Clock
) -> None:
    def later(connection: socket.socket) -> None:
        clock.slept.append(50)
        connection.sendall(BEAT.encode())
        faulty.silent(connection)

    server.will(stream(event(1), then=later), END)
    assert (await done(penstock.jobs.wait("http-1", timeout_s=60))).revision == 9
    assert targets(server) == [WATCH, WAIT + "9.750s"]


async def test_nobody_there_is_a_timeout_where_time_is_over_and_else_no_answer(
    penstock: Any, server: FaultyServer, clock: Clock
) -> None:
    server.will(*[faulty.reset_after] * 40)
    with pytest.raises(WaitTimeout, match="within 10 s") as raised:
        await done(penstock.jobs.wait("http-1", timeout_s=10))
    assert isinstance(raised.value.__cause__, NoAnswer)
    assert sum(clock.slept) < 10
    with pytest.raises(NoAnswer, match="given up after"):
        await done(penstock.jobs.wait("http-1"))


async def test_a_full_house_is_waited_out(penstock: Any, server: FaultyServer, clock: Clock) -> None:
    limited = error(429, "RATE_LIMITED", {"Retry-After": "7"})
    server.will(limited, stream(event(1)), limited, stream(event(2, "SUCCEEDED")))
    assert (await done(penstock.jobs.wait("http-1"))).revision == 2
    assert clock.slept == [7.0, 0.0, 7.0]


async def test_a_time_that_is_none_is_refused(penstock: Any) -> None:
    with pytest.raises(InvalidUse, match="timeout_s is -1"):
        await done(penstock.jobs.wait("http-1", timeout_s=-1))


async def test_watching_gives_every_event_once_over_breaks(penstock: Any, server: FaultyServer) -> None:
    server.will(
        stream(event(1), event(2), then=faulty.reset_after),
        faulty.page(503),
        stream(event(3)[:30]),
        UNFINISHED,
        stream(event(3), event(4, "FAILED")),
    )
    assert [each.revision for each in await done(penstock.jobs.watch("http-1"))] == [1, 2, 3, 4]
    assert targets(server) == [WATCH, WATCH, WATCH, LOOK, WATCH]


async def test_watching_what_has_ended_ends(penstock: Any, server: FaultyServer) -> None:
    over = faulty.raw(204, b"", {})
    server.will(over, END, over, END)
    assert [each.revision for each in await done(penstock.jobs.watch("http-1", after_revision=8))] == [9]
    assert await done(penstock.jobs.watch("http-1", after_revision=9)) == []
    assert server.seen[0].headers["last-event-id"] == "8"


async def test_watching_gives_up_where_no_stream_comes_through(penstock: Any, server: FaultyServer) -> None:
    server.will(stream("id: 1\ndata: {no json\n\n"), faulty.page(200))
    with pytest.raises(UnexpectedAnswer, match="not text/event-stream"):
        await done(penstock.jobs.watch("http-1"))
