"""The `penstock` command as a shell runs it, with everything going wrong in between that may."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from deploy.local import client_settings
from deploy.local.layout import BIN
from tests.sdks.faults import calm
from tests.sdks.runs import job
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sdks.faulty_gateway import FaultyGateway
    from tests.sdks.runs import Tenant

_TIMEOUT_S = 120
LINES = 120
#: What stands in the file at this line is no job.
FAULTY = 30
#: So many lines are written before the program is killed, so it is in the midst of it.
BEFORE = 20


class Shell:
    """Where the command is run: a machine that knows nothing but the gateway and a key."""

    def __init__(self, folder: Path, tenant: Tenant, gateway: FaultyGateway) -> None:
        self.folder = folder
        self.environment = {
            **tenant.settings,
            client_settings.URL: gateway.url,
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
        }

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            (str(BIN / "penstock"), *arguments),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    async def run(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        process = self.begin(*arguments)
        printed, told = await asyncio.to_thread(process.communicate, timeout=_TIMEOUT_S)
        assert process.returncode == code, f"{arguments}: {process.returncode}: {printed}{told}"
        return printed, told

    async def json(self, *arguments: str) -> Any:
        return json.loads((await self.run("--json", *arguments))[0])


@pytest.fixture
def shell(tmp_path: Path, tenant: Tenant, gateway: FaultyGateway) -> Shell:
    return Shell(tmp_path, tenant, gateway)


async def test_a_run_that_is_killed_goes_on_and_makes_no_job_twice(shell: Shell, tenant: Tenant) -> None:
    run = "command-run"
    lines = [json.dumps(job(run, number)) for number in range(LINES)]
    lines[FAULTY] = '{"upstream": "http", "method": "http.get", "params": {"url": "nowhere"}}'
    (shell.folder / "jobs.ndjson").write_text("\n".join(lines))
    results = shell.folder / "results.ndjson"
    command = ("batches", "run", "jobs.ndjson", "--output", results.name, "--concurrency", "100")

    first = shell.begin(*command)
    try:
        await eventually(
            lambda: results.exists() and results.read_bytes().count(b"\n") >= BEFORE, what="the first results"
        )
    finally:
        first.kill()
        printed, told = await asyncio.to_thread(first.communicate, timeout=_TIMEOUT_S)
    assert first.returncode == -signal.SIGKILL, printed + told

    _, told = await shell.run(*command, code=1)
    assert f"line {FAULTY + 1}: params.url: must be an absolute" in told
    written = [json.loads(line) for line in results.read_text().splitlines()]
    assert sorted(each["line"] for each in written) == [*range(1, LINES + 1)]
    assert [each["line"] for each in written if "error" in each] == [FAULTY + 1]
    assert {each["job"]["state"] for each in written if "job" in each} == {"SUCCEEDED"}
    await tenant.check(run, [number for number in range(LINES) if number != FAULTY])


async def test_a_job_is_submitted_waited_for_explained_and_found(shell: Shell, tenant: Tenant) -> None:
    run = "command-job"
    wanted = job(run, 0)
    labels = [text for name, value in wanted["metadata"].items() for text in ("-m", f"{name}={value}")]
    made = await shell.json("jobs", "submit", "http", "http.get", "-p", f"url={wanted['params']['url']}", *labels)
    ended = await shell.json("jobs", "wait", made["id"])
    assert (ended["id"], ended["state"]) == (made["id"], "SUCCEEDED")
    assert (await shell.json("jobs", "get", made["id"]))["state"] == "SUCCEEDED"
    await tenant.check(run, [0])


async def test_the_exit_code_says_what_went_wrong(shell: Shell, gateway: FaultyGateway) -> None:
    gateway.plan = calm()
    _, told = await shell.run("jobs", "get", "http-00000000-0000-7000-8000-000000000000", code=4)
    assert "JOB_NOT_FOUND" in told
    _, told = await shell.run("jobs", "submit", "http", "http.get", "-p", "url=nowhere", code=2)
    assert "params.url" in told
    shell.environment[client_settings.API_KEY] += "0"
    await shell.run("queues", "list", code=3)
