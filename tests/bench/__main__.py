"""`make bench`: what the mesh does in a second, what it costs, how cost grows, and how its peers do beside it.

It never fails for a figure: machines differ, and a loaded one has other figures. It fails when something does not work:
a job that is lost, a program that does not start.
"""

from __future__ import annotations

import argparse
import sys
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import completed, deliveries, holds, machine, peers, rows, submits
from tests.bench import mesh as mesh_
from tests.bench.report import Report
from tests.bench.sizes import SIZES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.completed import Completed
    from tests.bench.mesh import Mesh
    from tests.bench.report import Row
    from tests.bench.sizes import Size

#: What is slow once, such as a first connection, is no job's cost.
_WARM_UP_JOBS = 500
_NO_PEERS = "ratio_to_celery, ratio_to_arq, ratio_to_taskiq: the peers did not run; peers=1 has them run"


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--size", choices=SIZES, default="full", help="small is for the exit code alone")
    parser.add_argument("--peers", choices=("0", "1"), help="whether Celery, arq and taskiq run beside it")
    parser.add_argument("--output", type=Path, default=Path("bench.json"), help="where the figures go, as JSON")
    arguments = parser.parse_args()
    size = SIZES[arguments.size]
    with_peers = size.peers if arguments.peers is None else arguments.peers == "1"
    about = machine.machine()
    with mesh_.mesh() as mesh:
        layout = mesh.stack.layout
        report = Report(
            size=arguments.size,
            machine=about,
            versions={**machine.versions(layout), **(peers.versions() if with_peers else {})},
            settings=machine.settings(layout),
            left_out=[] if with_peers else [_NO_PEERS],
        )
        ours = _completed(mesh, size, batched=False)
        for row in chain(
            rows.of_completed(ours), rows.of_batched(_completed(mesh, size, batched=True)), _of_mesh(mesh, size)
        ):
            _add(report, row)
    for row in chain(rows.of_peers(ours, size) if with_peers else (), rows.of_queue(size), rows.of_history(size)):
        _add(report, row)
    report.write(arguments.output)
    _say(f"\n{report.text()}\n\nwritten to {arguments.output}")


def _completed(mesh: Mesh, size: Size, *, batched: bool) -> Completed:
    way = "batched" if batched else "single"
    for jobs, prefix in ((_WARM_UP_JOBS, f"warm-up-{way}"), (size.jobs, way)):
        measured = completed.measure(
            mesh, jobs=jobs, tenants=size.tenants, lanes=size.lanes, prefix=prefix, batched=batched
        )
    return measured


def _of_mesh(mesh: Mesh, size: Size) -> Iterator[Row]:
    for each in submits.measure(mesh, callers=size.callers, seconds=size.submit_seconds, tenants=size.tenants):
        yield from rows.of_submits(each)
    for held in holds.measure(mesh, number=size.held, rest_seconds=size.held_rest_seconds):
        yield rows.of_held(held)
    yield from rows.of_delivered(deliveries.measure(mesh, jobs=size.delivered_jobs, endpoints=size.endpoints))
    yield rows.of_rest(mesh, size)


def _add(report: Report, row: Row) -> None:
    report.rows.append(row)
    _say(row.line())


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
