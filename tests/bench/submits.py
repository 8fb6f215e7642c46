"""The rows `submit_rps` and `ext_authz_cpu`: how fast jobs are accepted, and what asking auth costs a request.

The mesh calls the jobs meanwhile: this is the rate at which it takes jobs in while it works, not while it only queues.

Callers that call again as soon as they are answered tell how many submits there can be in a second, and nothing of how
long one takes: a thousand of them wait a thousand submits' time each, however fast those are. So the latency that has a
mark is measured with a thousand callers at a pace: together they ask for half of what 32 hasty ones got.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.bench.census import Census
from tests.bench.cpu import Usage
from tests.bench.load import Caller

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.bench.load import Load, Outcome
    from tests.bench.mesh import Mesh

_DRAIN_TIMEOUT_S = 900.0
_LANES = 5
#: Of the rate of the fewest callers by HTTP.
_PACED_PART = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Submits:
    """One such row.

    Args:
        load: `grpc`, straight to intake, or `http`, through Envoy and with its question to auth.
        cpu_s: By program, while submits went out.
    """

    load: Load
    outcome: Outcome
    cpu_s: Mapping[str, float]

    @property
    def is_paced(self) -> bool:
        """Whether the callers took their time."""
        return self.load.pause_s > 0

    @property
    def name(self) -> str:
        """As rows name it."""
        return f"{self.load.protocol}_{self.load.callers}{'_paced' if self.is_paced else ''}"

    @property
    def auth_cpu_ms(self) -> float:
        """What auth's process used for each request."""
        return self.cpu_s["auth"] * 1000 / self.outcome.calls


def measure(mesh: Mesh, *, callers: Sequence[int], seconds: float, tenants: int) -> Iterator[Submits]:
    """Submits in each way and by each number of callers, and at a pace by the most of them.

    Args:
        callers: In ascending order.
        seconds: For how long each time.
        tenants: Whose jobs, in turn.
    """
    names = [f"submits-{number}" for number in range(tenants)]
    keys = [mesh.key(name) for name in names]
    run = _Run(mesh, names)
    http: list[Submits] = []
    for number in callers:
        yield run.submit(mesh.grpc_submits(names, lanes=_LANES, callers=number, seconds=seconds))
        http.append(run.submit(mesh.http_submits(keys, lanes=_LANES, callers=number, seconds=seconds)))
        yield http[-1]
    pause_s = callers[-1] / (http[0].outcome.per_second * _PACED_PART)
    yield run.submit(
        mesh.http_submits(keys, lanes=_LANES, callers=callers[-1], seconds=max(seconds, pause_s), pause_s=pause_s)
    )


class _Run:
    """Loads one after the other: each finds a mesh that has nothing left to do."""

    def __init__(self, mesh: Mesh, tenants: Sequence[str]) -> None:
        self._mesh = mesh
        self._census = Census(mesh.stack.layout, tenants)
        self._accepted = 0

    def submit(self, load: Load) -> Submits:
        with Caller(load) as caller:
            usage = Usage(self._mesh.stack)
            caller.start()
            outcome = caller.outcome()
            used = usage.by_program()
        self._accepted += outcome.calls - outcome.errors
        self._census.wait_for(self._accepted, timeout_s=_DRAIN_TIMEOUT_S)
        return Submits(load=load, outcome=outcome, cpu_s=used)
