"""What a developer types: `python -m deploy.local …` on a whole mesh of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from deploy.local import layout, processes, programs
from deploy.local.layout import ROOT, Layout
from shared.config import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 150


@dataclass(frozen=True)
class CommandLine:
    """The commands, on one folder and ports of its own."""

    layout: Layout

    def start(self, *arguments: str, module: str = "deploy.local") -> subprocess.Popen[str]:
        settings = {layout.setting_of(name): str(port) for name, port in self.layout.ports.items()}
        return subprocess.Popen(
            (sys.executable, "-m", module, *arguments),
            cwd=ROOT,
            env=os.environ | settings | {layout.STATE_SETTING: str(self.layout.state)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, module: str = "deploy.local", status: int = 0) -> str:
        with self.start(*arguments, module=module) as process:
            output, _ = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == status, output
        return output

    def settings(self) -> dict[str, str]:
        """What a program finds in its environment that is started by a shell which has read the file."""
        shown = subprocess.run(
            ("bash", "-c", '. "$0" && env', str(self.layout.client_settings)),
            capture_output=True,
            check=True,
            env={"PATH": os.environ["PATH"]},
        )
        lines = shown.stdout.decode().splitlines()
        return dict(line.split("=", 1) for line in lines if line.startswith(PREFIX))


@pytest.fixture(scope="module")
def command_line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """Not up yet; the tests of this module use it in their order, and it is down afterwards."""
    commands = CommandLine(layout.on_free_ports(tmp_path_factory.mktemp("stack"), programs.PORTS))
    yield commands
    commands.run("down")
    assert processes.of_stack(commands.layout) == []


@pytest.fixture(scope="module")
def up(command_line: CommandLine) -> str:
    """The answers of two `up` at the same time."""
    first, second = command_line.start("up"), command_line.start("up")
    with first, second:
        answers = [process.communicate(timeout=TIMEOUT_S)[0] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), answers
    return "".join(answers)


def test_down_and_status_say_so_where_nothing_is_up(tmp_path_factory: pytest.TempPathFactory) -> None:
    nothing = CommandLine(layout.on_free_ports(tmp_path_factory.mktemp("nothing"), programs.PORTS))
    assert "not up" in nothing.run("down")
    assert "not up" in nothing.run("status", status=1)
    assert "not up" in nothing.run("restart", "intake", status=1)


def test_two_ups_at_once_make_one_stack_with_one_key(command_line: CommandLine, up: str) -> None:
    assert "Penstock is up after" in up
    assert up.count(command_line.settings()["PENSTOCK_API_KEY"]) == 2
    assert len(processes.of_stack(command_line.layout)) >= len(programs.PROGRAMS)


def test_up_writes_what_a_client_needs_for_its_owner_alone(command_line: CommandLine, up: str) -> None:
    settings = command_line.settings()
    assert settings["PENSTOCK_URL"] == command_line.layout.url
    assert settings["PENSTOCK_API_KEY"].startswith("psk_live_")
    assert settings["PENSTOCK_WEBHOOK_SECRET"].startswith("whsec_")
    assert command_line.layout.client_settings.stat().st_mode & 0o777 == 0o600


def test_a_second_up_says_that_it_is_up_and_keeps_the_key(command_line: CommandLine, up: str) -> None:
    before = command_line.settings()
    answer = command_line.run("up")
    assert "Penstock is up.\n" in answer
    assert before["PENSTOCK_URL"] in answer
    assert command_line.settings() == before


def test_up_makes_a_new_key_where_the_old_one_is_refused(command_line: CommandLine, up: str) -> None:
    path = command_line.layout.client_settings
    good = command_line.settings()
    path.write_text(path.read_text().replace(good["PENSTOCK_API_KEY"], "psk_live_gone"))
    command_line.run("up")
    assert command_line.settings()["PENSTOCK_API_KEY"].startswith("psk_live_")
    assert command_line.settings()["PENSTOCK_API_KEY"] not in {"psk_live_gone", good["PENSTOCK_API_KEY"]}
    assert command_line.settings()["PENSTOCK_WEBHOOK_SECRET"] == good["PENSTOCK_WEBHOOK_SECRET"]


def test_status_tells_every_program_and_what_readiness_hangs_on(command_line: CommandLine, up: str) -> None:
    answer = command_line.run("status")
    for program in programs.PROGRAMS:
        assert program.name in answer
    assert f"gateway={command_line.layout.ports['gateway']}" in answer
    assert "ready: yes" in answer
    queues = [line.split() for line in answer.splitlines() if line.startswith("http ")]
    assert queues == [["http", "0", "0", "0", "0", "-"]]


def test_status_tells_what_holds_a_queue_back(command_line: CommandLine, up: str) -> None:
    def act(action: str, **fields: str) -> None:
        request = urllib.request.Request(
            f"{command_line.settings()['PENSTOCK_URL']}/api/v1/queues/http:{action}",
            json.dumps(fields).encode(),
            {
                "Authorization": f"Bearer {command_line.settings()['PENSTOCK_API_KEY']}",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_S):
            pass

    act("pause", reason="maintenance")
    try:
        (queue,) = [line for line in command_line.run("status").splitlines() if line.startswith("http ")]
    finally:
        act("resume")
    assert queue.rstrip().endswith("paused: dev (maintenance)")


def test_a_restarted_program_is_another_process_and_the_mesh_is_ready_again(command_line: CommandLine, up: str) -> None:
    def pid() -> str:
        rows = (line.split() for line in command_line.run("status").splitlines())
        return next(row[2] for row in rows if row and row[0] == "intake")

    before = pid()
    assert "intake runs again" in command_line.run("restart", "intake")
    assert pid() != before
    assert "there is no program 'intke'" in command_line.run("restart", "intke", status=1)


def test_the_demo_ends_as_it_must_and_leaves_its_far_end_as_it_was(command_line: CommandLine, up: str) -> None:
    answer = command_line.run(module="deploy.local.demo")
    assert "All of it is exactly as it must be." in answer
    assert "100 jobs" in answer
    rows = (line.split() for line in command_line.run("status").splitlines())
    assert next(row[1] for row in rows if row and row[0] == "httpbin") == "stopped"


def test_logs_names_all_there_are(command_line: CommandLine, up: str) -> None:
    answer = command_line.run("logs")
    assert str(command_line.layout.log("scheduler")) in answer


def test_reset_asks_and_keeps_everything_without_a_yes(command_line: CommandLine, up: str) -> None:
    assert "nothing was deleted" in command_line.run("reset", status=1)
    assert command_line.layout.client_settings.exists()


def test_reset_leaves_nothing_running_and_no_state(tmp_path_factory: pytest.TempPathFactory) -> None:
    commands = CommandLine(layout.on_free_ports(tmp_path_factory.mktemp("stack"), programs.PORTS))
    commands.layout.make_folders()
    commands.run("reset", "--yes")
    assert not commands.layout.state.exists()
