"""The rows `waiters_<number>` and `watchers_<number>`: thousands of clients that wait for jobs through Envoy.

The jobs' queue is paused while they come, so that all of them wait at the same time; then it is resumed, and the mesh
calls the jobs and tells each client. Each client waits for a job of its own over a connection of its own, which is the
dearest way there is: nothing of them can be shared.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from prometheus_client.parser import text_string_to_metric_families

from deploy.local.layout import ROOT
from tests.bench.census import Census
from tests.bench.cpu import Usage, resident_bytes
from tests.bench.load import Caller
from tests.bench.noop import UPSTREAM
from tests.bench.tally import percentile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from deploy.local.layout import Layout
    from tests.bench.mesh import Mesh

_LANES = 5
_CALLERS = 64
_TIMEOUT_S = 300.0
_POLL_S = 0.2
#: How each kind of client asks.
_ACTIONS = {"waiters": "wait?timeout=60s", "watchers": "watch"}
#: What the clients' connections and calls are held in.
_HOLDING = ("intake", "gateway")
_WAITERS = "penstock_intake_waiters"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What came of one kind of client.

    Args:
        kind: `waiters` or `watchers`.
        coming_s: Until all of them waited.
        bytes_each: Memory that one takes, by program.
        rest_percent: What each program used of one core while all of them waited and nothing happened.
        latencies_ms: From the end of a job, as it says itself, until its client knew; in ascending order.
        repeated: Waits that ended before the job and were made again.
        refused: Calls that were refused because the mesh was busy, and made again.
        ends_s: From the first end to the last.
        load_cpu_s: What the clients used of the machine.
        samples: What a few of the refusals were.
    """

    kind: str
    number: int
    coming_s: float
    bytes_each: Mapping[str, float]
    rest_percent: Mapping[str, float]
    latencies_ms: Sequence[float]
    repeated: int
    refused: int
    ends_s: float
    load_cpu_s: float
    samples: Sequence[str]

    def latency_ms(self, part: float) -> float:
        """A percentile, by its part of 1."""
        return percentile(self.latencies_ms, part)


def measure(mesh: Mesh, *, number: int, rest_seconds: float) -> Iterator[Held]:
    """Each kind of client, so many of them.

    Raises:
        RuntimeError: One of them was left without its job's end.
    """
    before = _memory(Usage(mesh.stack))  # once: what the first ones leave free is used again by those after them
    for kind in _ACTIONS:
        yield _measure(mesh, kind, number, rest_seconds, before)


def _measure(mesh: Mesh, kind: str, number: int, rest_seconds: float, before: Mapping[str, int]) -> Held:
    layout = mesh.stack.layout
    tenant = f"{kind}-{number}"
    key = mesh.key(tenant)
    _tell_queue(layout, key, "pause")
    paths = [f"/api/v1/jobs/{job_id}:{_ACTIONS[kind]}" for job_id in _submitted(mesh, tenant, number)]
    with _Clients(layout.address("gateway"), key, paths) as clients:
        began = time.perf_counter()
        clients.start()
        _await_waiters(layout, number)
        coming_s = time.perf_counter() - began
        usage, began = Usage(mesh.stack), time.perf_counter()
        taken = {name: size - before[name] for name, size in _memory(usage).items()}
        time.sleep(rest_seconds)
        rest = {name: used * 100 / (time.perf_counter() - began) for name, used in usage.by_program().items()}
        began = time.perf_counter()
        _tell_queue(layout, key, "resume")
        answer = clients.answer()
    if answer["errors"] or answer["ended"] != number:
        raise RuntimeError(f"of {number} {kind} {answer['ended']} were told of the end: {answer['samples']}")
    return Held(
        kind=kind,
        number=number,
        coming_s=coming_s,
        bytes_each={name: size / number for name, size in taken.items()},
        rest_percent=rest,
        latencies_ms=sorted(answer["latencies_ms"]),
        repeated=answer["repeated"],
        refused=answer["refused"],
        ends_s=time.perf_counter() - began,
        load_cpu_s=answer["cpu_s"],
        samples=answer["samples"],
    )


def _memory(usage: Usage) -> dict[str, int]:
    return {name: resident_bytes(usage.pids[name]) for name in _HOLDING}


def _submitted(mesh: Mesh, tenant: str, number: int) -> list[str]:
    """The ids of new jobs, none of which is called yet."""
    load = mesh.grpc_submits([tenant], lanes=_LANES, callers=min(_CALLERS, number), count=number, seconds=_TIMEOUT_S)
    with Caller(load) as caller:
        caller.start()
        submits = caller.outcome()
    if submits.errors:
        raise RuntimeError(f"{submits.errors} of {number} submits failed: {submits.samples}")
    census = Census(mesh.stack.layout, [tenant])
    until = time.perf_counter() + _TIMEOUT_S
    while len(ids := census.ids()) < number:
        if time.perf_counter() > until:
            raise RuntimeError(f"of {number} jobs history has {len(ids)} after {_TIMEOUT_S:.0f} s")
        time.sleep(_POLL_S)
    return ids


def _await_waiters(layout: Layout, number: int) -> None:
    until = time.perf_counter() + _TIMEOUT_S
    while (waiting := _waiting(layout)) < number:
        if time.perf_counter() > until:
            raise RuntimeError(f"of {number} clients {waiting:.0f} wait after {_TIMEOUT_S:.0f} s")
        time.sleep(_POLL_S)


def _waiting(layout: Layout) -> float:
    """How many intake knows of."""
    with urllib.request.urlopen(f"http://{layout.address('intake_metrics')}/metrics") as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return next(family.samples[0].value for family in families if family.name == _WAITERS)


def _tell_queue(layout: Layout, key: str, action: str) -> None:
    request = urllib.request.Request(
        f"{layout.url}/api/v1/queues/{UPSTREAM}:{action}",
        data=b"{}",
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        answer.read()


class _Clients:
    """A process that is ready to make the calls; it ends with the `with` around it."""

    def __init__(self, address: str, key: str, paths: Sequence[str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="penstock-hold-")
        self._answer = Path(self._folder.name) / "answer.json"
        self._process = subprocess.Popen(
            (sys.executable, "-m", "tests.bench.holder"),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        order = {"address": address, "key": key, "paths": paths, "seconds": _TIMEOUT_S, "answer": str(self._answer)}
        self._tell(json.dumps(order))
        self._hear("ready")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # when it has answered, there is nothing left to end
        self._process.communicate()
        self._folder.cleanup()

    def start(self) -> None:
        """The connections are opened."""
        self._tell("go")

    def answer(self) -> dict[str, Any]:
        """How the calls ended, when all of them have."""
        self._hear("done")
        return json.loads(self._answer.read_text(encoding="utf-8"))

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self, word: str) -> None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if line != word:
            raise RuntimeError(f"the clients said {line!r} and not {word!r}: their process has failed")
