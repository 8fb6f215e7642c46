"""The rows `completed_jobs_per_s` and `batch_…`: jobs submitted, called and seen terminal in history."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.census import Census
from tests.bench.cpu import Usage
from tests.bench.load import Caller

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.bench.load import Outcome
    from tests.bench.mesh import Mesh

_CALLERS = 64
#: Jobs of a batch, and how many batches are on their way at a time.
BATCH_SIZE = 100
_BATCH_CALLERS = 4
_TIMEOUT_S = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """What came of it.

    Args:
        seconds: From the first submit until history shows the last job as ended.
        cpu_s: By program, and `load` for what submitted them.
    """

    jobs: int
    seconds: float
    submits: Outcome
    cpu_s: Mapping[str, float]

    @property
    def per_second(self) -> float:
        """Jobs."""
        return self.jobs / self.seconds

    @property
    def cpu_s_per_1000(self) -> Mapping[str, float]:
        """By program."""
        return {name: seconds * 1000 / self.jobs for name, seconds in self.cpu_s.items()}


def measure(mesh: Mesh, *, jobs: int, tenants: int, lanes: int, prefix: str, batched: bool = False) -> Completed:
    """Runs jobs through all of the mesh.

    Args:
        jobs: How many; where they are batched, a multiple of `BATCH_SIZE`.
        tenants: Whose, in turn.
        lanes: In all.
        prefix: Of the tenants' names: new ones, so that history shows these jobs alone.
        batched: Whether they are submitted in batches.
    """
    names = [f"{prefix}-{number}" for number in range(tenants)]
    each = max(1, lanes // tenants)
    if batched:
        load = mesh.grpc_batches(names, lanes=each, size=BATCH_SIZE, callers=_BATCH_CALLERS, count=jobs // BATCH_SIZE)
    else:
        load = mesh.grpc_submits(names, lanes=each, callers=_CALLERS, count=jobs, seconds=_TIMEOUT_S)
    census = Census(mesh.stack.layout, names)
    with Caller(load) as caller:
        usage = Usage(mesh.stack)
        began = time.perf_counter()
        caller.start()
        submits = caller.outcome()
        if submits.errors:
            raise RuntimeError(f"{submits.errors} of {submits.calls} submits failed: {submits.samples}")
        ended = census.wait_for(jobs, timeout_s=_TIMEOUT_S)
        used = usage.by_program()
    if (succeeded := census.succeeded()) != jobs:
        raise RuntimeError(f"of {jobs} jobs only {succeeded} succeeded")
    return Completed(jobs=jobs, seconds=ended - began, submits=submits, cpu_s={**used, "load": submits.cpu_s})
