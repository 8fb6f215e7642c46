"""A stack of the local servers: it keeps running, and nothing stays behind when it is stopped."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from deploy.local import layout, processes, programs
from deploy.local.errors import StackError
from deploy.local.layout import ROOT
from deploy.local.programs import Tier
from deploy.local.stack import Stack
from shared import kv, mongo
from shared.config import Secret
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVERS = programs.of_tiers(Tier.SERVERS)
NATS = next(program for program in SERVERS if program.name == "nats")
REDIS = next(program for program in SERVERS if program.name == "redis")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack that is not started; stopped at the end of the test."""
    new = Stack(layout.on_free_ports(tmp_path, programs.PORTS))
    yield new
    new.stop()


def pid_of(stack: Stack, program: str) -> int:
    return next(status.pid for status in stack.supervisor.statuses() if status.name == program)


async def test_a_program_that_is_killed_again_and_again_comes_back(stack: Stack) -> None:
    stack.start([NATS], tied=True)
    stack.wait_until_ready([NATS], timeout_s=30)
    for _ in range(3):
        killed = await eventually(lambda: pid_of(stack, "nats"))
        os.kill(killed, signal.SIGKILL)
        await eventually(lambda killed=killed: pid_of(stack, "nats") not in {0, killed}, within=150)
    stack.wait_until_ready([NATS], timeout_s=30)


def test_programs_may_open_as_many_files_as_clients_wait(stack: Stack) -> None:
    """Also where the shell that starts them is allowed few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        stack.start([NATS], tied=True)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    stack.wait_until_ready([NATS], timeout_s=30)
    allowed, _ = resource.prlimit(pid_of(stack, "nats"), resource.RLIMIT_NOFILE)
    assert allowed == min(65_536, hard if hard != resource.RLIM_INFINITY else 65_536)


def test_stopping_leaves_no_process_and_no_port(stack: Stack) -> None:
    stack.start(SERVERS, tied=True)
    stack.wait_until_ready(SERVERS, timeout_s=60)
    assert len(processes.of_stack(stack.layout)) == 1 + len(SERVERS)
    stack.stop()
    assert processes.of_stack(stack.layout) == []
    assert all(layout.is_free(port) for port in stack.layout.ports.values())


def test_stopping_finds_what_a_killed_supervisor_left(stack: Stack) -> None:
    stack.start([NATS, REDIS], tied=True)
    stack.wait_until_ready([NATS, REDIS], timeout_s=30)
    supervisor = int((stack.layout.state / "supervisord.pid").read_text())
    os.kill(supervisor, signal.SIGKILL)
    stack.stop()
    assert processes.of_stack(stack.layout) == []


def test_starting_clears_away_what_a_killed_supervisor_left(stack: Stack) -> None:
    stack.start([REDIS], tied=True)
    stack.wait_until_ready([REDIS], timeout_s=30)
    left = pid_of(stack, "redis")
    os.kill(int((stack.layout.state / "supervisord.pid").read_text()), signal.SIGKILL)
    stack.start([REDIS], tied=True)
    stack.wait_until_ready([REDIS], timeout_s=30)
    assert pid_of(stack, "redis") != left


async def test_what_was_stored_is_there_after_a_restart_on_other_ports(stack: Stack) -> None:
    stack.start(SERVERS, tied=True)
    stack.wait_until_ready(SERVERS, timeout_s=60)
    redis = await kv.connect(Secret(stack.layout.redis_url))
    await redis.set("kept", "1")
    await kv.close(redis)
    client = await mongo.connect(Secret(stack.layout.mongo_url))
    await client.kept.things.insert_one({"_id": 1})
    await mongo.close(client)
    stack.stop()

    moved = Stack(layout.on_free_ports(stack.layout.state, programs.PORTS))
    try:
        moved.start(SERVERS, tied=True)
        moved.wait_until_ready(SERVERS, timeout_s=60)
        redis = await kv.connect(Secret(moved.layout.redis_url))
        assert await redis.get("kept") == b"1"
        await kv.close(redis)
        client = await mongo.connect(Secret(moved.layout.mongo_url))
        assert await client.kept.things.find_one() == {"_id": 1}
        await mongo.close(client)
    finally:
        moved.stop()


def test_a_taken_port_is_named_with_its_holder_and_the_setting_that_moves_it(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", stack.layout.ports["redis"])), pytest.raises(StackError) as refused:
        stack.start([NATS, REDIS], tied=True)
    port = stack.layout.ports["redis"]
    assert f"port {port} (redis) is taken by" in str(refused.value)
    assert f"(pid {os.getpid()})" in str(refused.value)
    assert "PENSTOCK_LOCAL_REDIS_PORT=<port> moves it" in str(refused.value)
    assert "nats" not in str(refused.value)
    assert processes.of_stack(stack.layout) == []


def test_a_program_that_cannot_start_is_named_with_its_logs_end(stack: Stack) -> None:
    stack.layout.make_folders()
    data = stack.layout.data / "redis"
    data.mkdir()
    (data / "appendonly.aof").write_text("no such thing\n")
    stack.start([REDIS], tied=True)
    with pytest.raises(StackError, match=r"(?s)redis dies again and again\. The end of .*Bad file format"):
        stack.wait_until_ready([REDIS], timeout_s=60)


def test_two_stacks_run_side_by_side(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = Stack(layout.on_free_ports(tmp_path_factory.mktemp("other"), programs.PORTS))
    try:
        for each in (stack, other):
            each.start([NATS], tied=True)
            each.wait_until_ready([NATS], timeout_s=30)
        other.stop()
        NATS.check(stack.layout) if NATS.check else pytest.fail("nats has no check")
    finally:
        other.stop()


def test_a_folder_with_a_path_too_long_for_a_socket_serves_too(tmp_path: Path) -> None:
    folder = tmp_path / ("deep" * 20) / ("deeper" * 20)
    deep = Stack(layout.on_free_ports(folder, programs.PORTS))
    try:
        deep.start([REDIS], tied=True)
        deep.wait_until_ready([REDIS], timeout_s=30)
    finally:
        deep.stop()
    assert processes.of_stack(deep.layout) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_nothing_is_left_when_up_is_interrupted(stack: Stack, number: signal.Signals) -> None:
    ports = {layout.setting_of(name): str(port) for name, port in stack.layout.ports.items()}
    command = subprocess.Popen(  # noqa: ASYNC220  it returns at once
        (sys.executable, "-m", "deploy.local", "--state", str(stack.layout.state), "up"),
        cwd=ROOT,
        env=os.environ | ports,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        await eventually(lambda: len(processes.of_stack(stack.layout)) >= 4, within=150)
        command.send_signal(number)
        assert command.wait(timeout=90) != 0
    finally:
        command.kill()
        command.communicate()
    assert processes.of_stack(stack.layout) == []


async def test_a_stack_that_is_tied_ends_with_its_starter_however_that_ends(stack: Stack) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from deploy.local import layout, programs;"
        "from deploy.local.stack import Stack;"
        f"stack = Stack(layout.on_free_ports(Path({str(stack.layout.state)!r}), programs.PORTS));"
        "stack.start([p for p in programs.PROGRAMS if p.name == 'redis'], tied=True);"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run((sys.executable, "-c", script), cwd=ROOT, check=False)  # noqa: ASYNC221  the test has nothing else to do
    assert ended.returncode == -signal.SIGKILL
    await eventually(lambda: not processes.of_stack(stack.layout), within=150)
