"""The row `at_rest_cpu_percent`: what the mesh uses while nothing is asked of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from deploy.local import programs
from deploy.local.programs import Tier
from tests.bench.cpu import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.bench.mesh import Mesh

#: What was begun under load has ended by then: acknowledgements, journals, collections of garbage.
_CALM_S = 5.0
#: Our own processes and Envoy; the other servers are not ours to make quiet.
OURS = frozenset(program.name for program in programs.of_tiers(Tier.SERVICES, Tier.GATEWAY))


def measure(mesh: Mesh, *, seconds: float) -> Mapping[str, float]:
    """Percent of one core by program, over so many seconds."""
    time.sleep(_CALM_S)
    usage = Usage(mesh.stack)
    began = time.perf_counter()
    time.sleep(seconds)
    used = usage.by_program()
    lasted = time.perf_counter() - began
    return {name: used_s * 100 / lasted for name, used_s in used.items()}
