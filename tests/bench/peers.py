"""The peers: the same number of jobs that do nothing, through Celery, arq and taskiq, in an environment of their own.

Each is set up as its own guide says, with two workers for two cores, on servers of its own with the servers' own
defaults, which put nothing on disk before it is acknowledged; taskiq once more on a NATS that does, as Penstock's does.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.local import layout
from deploy.local.layout import BIN, HOST, ROOT
from tests.bench.cpu import used_by_sessions_s

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence

FOLDER = Path(__file__).parent / "peers"
LOCK = FOLDER / "requirements.lock"
_ENVIRONMENT = ROOT / ".penstock" / "bench-peers"
_BIN = _ENVIRONMENT / "bin"
_START_TIMEOUT_S = 30.0
_END_TIMEOUT_S = 15.0
_RUN_TIMEOUT_S = 900.0
#: The first jobs find workers that still start.
_WARM_UP_JOBS = 100
_WORKERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One peer.

    Args:
        name: In `ratio_to_<name>`.
        script: In `peers/`.
        workers: The commands that start its workers.
        nats_sync: NATS' `sync_interval`; empty for its default.
    """

    name: str
    script: str
    workers: Sequence[Sequence[str]]
    nats_sync: str = ""


_TASKIQ = ("taskiq", "worker", "taskiq_peer:broker", "--workers", str(_WORKERS), "--log-level", "WARNING")
PEERS = (
    Peer(
        name="celery",
        script="celery_peer.py",
        workers=[("celery", "--app", "celery_peer", "worker", "--concurrency", str(_WORKERS), "--loglevel", "WARNING")],
    ),
    Peer(name="arq", script="arq_peer.py", workers=[("arq", "arq_peer.WorkerSettings")] * _WORKERS),
    Peer(name="taskiq", script="taskiq_peer.py", workers=[_TASKIQ]),
    Peer(name="taskiq_durable", script="taskiq_peer.py", workers=[_TASKIQ], nats_sync="always"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """What came of one peer's run."""

    peer: str
    jobs: int
    #: Until the last job was handed over.
    submit_s: float
    #: Until the last job was done.
    seconds: float
    #: Processor time of servers, workers, and what handed the jobs over.
    cpu_s: float

    @property
    def per_second(self) -> float:
        """Jobs."""
        return self.jobs / self.seconds


def measure(*, jobs: int) -> Iterator[Completed]:
    """Runs so many jobs through each peer, one peer after the other."""
    _make_environment()
    for peer in PEERS:
        with _running(peer) as (environment, sessions):
            _run(peer, _WARM_UP_JOBS, environment)
            before = used_by_sessions_s(sessions)
            answer = _run(peer, jobs, environment)
            used_s = used_by_sessions_s(sessions) - before + answer["cpu_s"]
        yield Completed(peer=peer.name, jobs=jobs, submit_s=answer["submit_s"], seconds=answer["seconds"], cpu_s=used_s)


def versions() -> Mapping[str, str]:
    """The peers' versions, as locked."""
    locked = dict(line.split()[0].split("==") for line in LOCK.read_text(encoding="utf-8").splitlines() if "==" in line)
    return {name: locked[name] for name in ("celery", "arq", "taskiq", "taskiq-nats")}


def _make_environment() -> None:
    made_from = _ENVIRONMENT / "made-from.lock"
    if made_from.exists() and made_from.read_bytes() == LOCK.read_bytes():
        return
    uv = shutil.which("uv") or str(ROOT / ".uv" / "bin" / "uv")  # where the project's own environment has it from
    settings = os.environ | {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_CONFIG": "1"}
    for command in (
        ("venv", "--quiet", "--clear", "--python", sys.executable, str(_ENVIRONMENT)),
        (
            "pip",
            "sync",
            "--quiet",
            "--compile-bytecode",
            "--require-hashes",
            "--python",
            str(_BIN / "python"),
            str(LOCK),
        ),
    ):
        subprocess.run((uv, *command), env=settings, check=True)
    shutil.copy(LOCK, made_from)


def _run(peer: Peer, jobs: int, environment: Mapping[str, str]) -> dict[str, float]:
    done = subprocess.run(
        (str(_BIN / "python"), peer.script, str(jobs)),
        cwd=FOLDER,
        env=environment,
        stdout=subprocess.PIPE,
        timeout=_RUN_TIMEOUT_S,
        check=True,
    )
    return json.loads(done.stdout)


@contextmanager
def _running(peer: Peer) -> Generator[tuple[Mapping[str, str], Sequence[int]]]:
    """The peer's servers and workers: the environment in which its script finds them, and their sessions."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-bench-peer-"))
    ports = layout.on_free_ports(folder, {"redis": 0, "nats": 0}).ports
    environment = {
        "PATH": f"{_BIN}:/usr/bin:/bin",
        "HOME": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "BENCH_REDIS_URL": f"redis://{HOST}:{ports['redis']}/0",
        "BENCH_NATS_URL": f"nats://{HOST}:{ports['nats']}",
    }
    nats = folder / "nats.conf"
    sync = f"sync_interval: {peer.nats_sync}" if peer.nats_sync else ""
    nats.write_text(f"host: {HOST}\nport: {ports['nats']}\njetstream {{\n store_dir: {folder}/nats\n {sync}\n}}\n")
    servers = (
        (str(BIN / "redis-server"), "--bind", HOST, "--port", str(ports["redis"]), "--dir", str(folder)),
        (str(BIN / "nats-server"), "--config", str(nats)),
    )
    try:
        with ExitStack() as stack, (folder / "log").open("wb") as log:
            pids = [stack.enter_context(_process(command, folder, environment, log.fileno())) for command in servers]
            for port in ports.values():
                _wait_for(port)
            for name, *arguments in peer.workers:
                command = (str(_BIN / name), *arguments)
                pids.append(stack.enter_context(_process(command, FOLDER, environment, log.fileno())))
            yield environment, pids
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _process(command: Sequence[str], folder: Path, environment: Mapping[str, str], log: int) -> Generator[int]:
    """A process, and what it starts, for as long as the `with`; its pid, which is its session's."""
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # a group of its own: what it has started goes with it
            process.wait()


def _wait_for(port: int) -> None:
    until = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return
