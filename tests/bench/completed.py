"""The row `completed_jobs_per_s`: jobs submitted, called and seen terminal in history."""

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


def measure(mesh: Mesh, *, jobs: int, tenants: int, lanes: int, prefix: str = "run") -> Completed:
    """Runs jobs through all of the mesh.

    Args:
        jobs: How many.
        tenants: Whose, in turn.
        lanes: In all.
        prefix: Of the tenants' names: new ones, so that history shows these jobs alone.
    """
    names = [f"{prefix}-{number}" for number in range(tenants)]
    load = mesh.grpc_submits(names, lanes=max(1, lanes // tenants), callers=_CALLERS, count=jobs, seconds=_TIMEOUT_S)
    census = Census(mesh.stack.layout, names)
    with Caller(load) as caller:
        usage = Usage(mesh.stack)
        began = time.perf_counter()
        caller.start()
        submits = caller.outcome()
        if submits.errors:
            raise RuntimeError(f"{submits.errors} of {jobs} submits failed: {submits.samples}")
        ended = census.wait_for(jobs, timeout_s=_TIMEOUT_S)
        used = usage.by_program()
    if (succeeded := census.succeeded()) != jobs:
        raise RuntimeError(f"of {jobs} jobs only {succeeded} succeeded")
    return Completed(jobs=jobs, seconds=ended - began, submits=submits, cpu_s={**used, "load": submits.cpu_s})
