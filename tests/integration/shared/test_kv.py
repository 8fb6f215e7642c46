"""Redis as the services use it: scripts by their hash, and losses as errors of ours."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from redis.exceptions import ResponseError

from deploy.local.programs import PROGRAMS
from shared import kv
from shared.config import Secret
from shared.errors import Unavailable
from tests.servers import servers
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

REDIS = next(program for program in PROGRAMS if program.name == "redis")


@pytest.fixture
def add(tmp_path: Path) -> kv.Script:
    prelude, body = tmp_path / "prelude.lua", tmp_path / "add.lua"
    prelude.write_text("local function add(key, by) return redis.call('INCRBY', key, by) end")
    body.write_text("return {add(KEYS[1], ARGV[1]), ARGV[2]}")
    return kv.Script(prelude, body)


async def test_a_script_runs_on_a_server_that_does_not_know_it(redis: kv.Client, add: kv.Script) -> None:
    await redis.script_flush()
    assert await add.run(redis, ["sum"], [2, b"\xff"]) == [2, b"\xff"]
    assert await add.run(redis, ["sum"], [3, "text"]) == [5, b"text"]


async def test_many_runs_are_one_round_trip_and_stand_alone(redis: kv.Client, add: kv.Script) -> None:
    await redis.script_flush()
    answers = await add.run_many(redis, [([f"sum:{number % 2}"], [number, ""]) for number in range(6)])
    assert [answer[0] for answer in answers] == [0, 1, 2, 4, 6, 9]


async def test_a_fault_in_a_script_is_not_taken_for_an_absence(redis: kv.Client, add: kv.Script) -> None:
    await redis.set("sum", "no number")
    with pytest.raises(ResponseError, match="not an integer"):
        await add.run(redis, ["sum"], [1, ""])


async def test_a_server_killed_is_unavailable_and_usable_once_it_is_back(add: kv.Script) -> None:
    with servers() as own:
        client = await kv.connect(Secret(own.layout.redis_url))
        await add.run(client, ["sum"], [1, ""])
        own.supervisor.stop_program(REDIS)
        with pytest.raises(Unavailable) as refused:
            await add.run(client, ["sum"], [1, ""])
        assert refused.value.metadata == {"dependency": "redis"}
        assert refused.value.retry_after is not None
        with pytest.raises(Unavailable):
            await kv.ping(client)
        own.supervisor.start_program(REDIS)

        async def back() -> bool:
            try:
                await kv.ping(client)
            except Unavailable:
                return False
            return True

        await eventually(back, within=150)
        assert (await add.run(client, ["sum"], [1, ""]))[0] == 2  # the first was on disk
        await kv.close(client)


async def test_a_fault_of_one_run_leaves_the_next_ones_their_own_answers(redis: kv.Client, add: kv.Script) -> None:
    await redis.set("text", "no number")
    with pytest.raises(ResponseError, match="not an integer"):
        await add.run_many(redis, [(["text"], [1, ""]), (["sum"], [2, ""]), (["sum"], [3, ""])])
    assert await add.run(redis, ["sum"], [4, "last"]) == [9, b"last"]  # those beside the fault ran


async def test_a_run_that_is_canceled_leaves_its_answer_to_nobody(redis: kv.Client, add: kv.Script) -> None:
    await add.run(redis, ["sum"], [1, ""])
    for steps in range(30):  # somewhere between its start and its answer
        canceled = asyncio.create_task(add.run(redis, ["sum"], [0, "canceled"]))
        for _ in range(steps):
            await asyncio.sleep(0)
        canceled.cancel()
        await asyncio.wait([canceled])
        assert await add.run(redis, ["sum"], [0, "own"]) == [1, b"own"]


async def test_a_server_that_is_silent_is_unavailable(add: kv.Script, monkeypatch: pytest.MonkeyPatch) -> None:
    async def say_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    monkeypatch.setattr(kv, "TIMEOUT", timedelta(milliseconds=200))
    silent = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    try:
        with pytest.raises(Unavailable, match="does not answer"):
            await kv.connect(Secret(f"redis://127.0.0.1:{port}"))
    finally:
        silent.close()
