"""What was measured, as rows of the report: their names, units and marks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench import lists, peers, queue_growth, rest
from tests.bench.completed import BATCH_SIZE
from tests.bench.report import Mark, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.completed import Completed
    from tests.bench.deliveries import Delivered
    from tests.bench.holds import Held
    from tests.bench.lists import Lists
    from tests.bench.mesh import Mesh
    from tests.bench.sizes import Size
    from tests.bench.submits import Submits

_SUBMIT_P95_MS = Mark(value=100, most=True)
_AT_REST_PERCENT = Mark(value=3, most=True)
_LIST_PAGE_MS = Mark(value=50, most=True)
_STATS_MS = Mark(value=300, most=True)
_RATIOS = {"celery": Mark(value=4), "taskiq": Mark(value=1.3)}


def of_completed(ours: Completed) -> Iterator[Row]:
    """Jobs through all of the mesh, and what of the machine each program used for them."""
    yield Row(
        name="completed_jobs_per_s",
        value=ours.per_second,
        unit="jobs/s",
        details={"jobs": ours.jobs, "seconds": ours.seconds, "submits_per_s": ours.submits.per_second},
    )
    yield Row(
        name="cpu_s_per_1000_jobs",
        value=sum(ours.cpu_s_per_1000.values()),
        unit="s",
        details=dict(ours.cpu_s_per_1000),
    )


def of_batched(ours: Completed) -> Iterator[Row]:
    """The same jobs in batches: how fast they are accepted while the mesh calls them, and how fast all of it goes."""
    yield Row(
        name="batch_accepted_per_s",
        value=ours.submits.per_second * BATCH_SIZE,
        unit="jobs/s",
        details={"p95_ms_of_a_batch": ours.submits.latency_ms(0.95), "jobs_of_a_batch": BATCH_SIZE},
    )
    yield Row(
        name="batch_completed_jobs_per_s",
        value=ours.per_second,
        unit="jobs/s",
        details={"jobs": ours.jobs, "seconds": ours.seconds},
    )
    yield Row(
        name="batch_cpu_s_per_1000_jobs",
        value=sum(ours.cpu_s_per_1000.values()),
        unit="s",
        details=dict(ours.cpu_s_per_1000),
    )


def of_submits(submits: Submits) -> Iterator[Row]:
    """Submits in one way by so many callers."""
    outcome = submits.outcome
    name = submits.name
    yield Row(
        name=f"submit_rps_{name}",
        value=outcome.per_second,
        unit="submits/s",
        details={
            "p50_ms": outcome.latency_ms(0.5),
            "p99_ms": outcome.latency_ms(0.99),
            "errors": outcome.errors,
            "load_cpu_percent": outcome.cpu_s * 100 / outcome.seconds,
            **({"such_errors": " | ".join(outcome.samples)} if outcome.samples else {}),
        },
    )
    yield Row(
        name=f"submit_p95_{name}",
        value=outcome.latency_ms(0.95),
        unit="ms",
        mark=_SUBMIT_P95_MS if submits.is_paced else None,
    )
    if submits.load.protocol == "http":
        yield Row(name=f"ext_authz_cpu_{name}", value=submits.auth_cpu_ms, unit="ms of auth a request")


def of_held(held: Held) -> Row:
    """Clients that wait at the same time: how late they knew, what one of them costs, and that none was left out."""
    return Row(
        name=f"{held.kind}_{held.number}",
        value=held.latency_ms(0.95),
        unit="ms (p95) from the end to its client",
        details={
            "p50_ms": held.latency_ms(0.5),
            "p99_ms": held.latency_ms(0.99),
            "told": len(held.latencies_ms),
            "ends_s": held.ends_s,
            "coming_s": held.coming_s,
            "repeated": held.repeated,
            "refused": held.refused,
            **{f"{program}_kib_each": size / 1024 for program, size in held.bytes_each.items()},
            **{f"{program}_cpu_percent_at_rest": held.rest_percent[program] for program in held.bytes_each},
            "load_cpu_s": held.load_cpu_s,
            **({"such_refusals": " | ".join(held.samples)} if held.samples else {}),
        },
    )


def of_delivered(delivered: Delivered) -> Iterator[Row]:
    """Events to endpoints at a receiver, and the same bodies from a client that does nothing else."""
    yield Row(
        name="deliveries_per_s",
        value=delivered.per_second,
        unit="deliveries/s",
        details={
            "deliveries": delivered.deliveries,
            "endpoints": delivered.endpoints,
            "repeated": delivered.posts - delivered.deliveries,
            "seconds": delivered.seconds,
            "bytes_each": delivered.bytes_each,
        },
    )
    yield Row(
        name="ratio_to_bare_client",
        value=delivered.per_second / delivered.bare_per_second,
        unit="times",
        details={"bare_posts_per_s": delivered.bare_per_second},
    )
    yield Row(
        name="cpu_s_per_1000_deliveries",
        value=sum(delivered.cpu_s_per_1000.values()),
        unit="s",
        details=dict(delivered.cpu_s_per_1000),
    )


def of_rest(mesh: Mesh, size: Size) -> Row:
    """What our processes and Envoy use together while nothing is asked of them; the servers' part stands beside it."""
    percent = rest.measure(mesh, seconds=size.rest_seconds)
    return Row(
        name="at_rest_cpu",
        value=sum(used for program, used in percent.items() if program in rest.OURS),
        unit="% of one core",
        mark=_AT_REST_PERCENT,
        details=dict(percent),
    )


def of_peers(ours: Completed, size: Size) -> Iterator[Row]:
    """Each peer, and how many times as fast the mesh was."""
    for peer in peers.measure(jobs=size.jobs):
        yield Row(
            name=f"{peer.peer}_jobs_per_s",
            value=peer.per_second,
            unit="jobs/s",
            details={
                "jobs": peer.jobs,
                "seconds": peer.seconds,
                "submits_per_s": peer.jobs / peer.submit_s,
                "cpu_s_per_1000": peer.cpu_s * 1000 / peer.jobs,
            },
        )
        yield Row(
            name=f"ratio_to_{peer.peer}",
            value=ours.per_second / peer.per_second,
            unit="times",
            mark=_RATIOS.get(peer.peer),
        )


def of_queue(size: Size) -> Iterator[Row]:
    """The queue at each depth and number of lanes: what Redis spends on a job from its enqueue to its end."""
    for at in queue_growth.measure(queued=size.queued, lanes=size.queue_lanes):
        yield Row(
            name=f"queue_{at.queued}_jobs_{at.lanes}_lanes",
            value=sum(at.script_us.values()),
            unit="us of scripts a job",
            details={
                "enqueue_per_s": at.per_second["enqueue"],
                "lease_per_s": at.per_second["lease"],
                **{f"{step}_us": us for step, us in at.script_us.items()},
                "bytes_per_job": at.bytes_per_job,
            },
        )


def of_history(size: Size) -> Iterator[Row]:
    """Pages of lists at each number of jobs, and how much longer they take at the most than at the fewest."""
    measured: list[Lists] = []
    for at in lists.measure(jobs=size.recorded):
        measured.append(at)
        yield Row(
            name=f"list_pages_{at.jobs}_jobs",
            value=at.quantile_ms(at.worst, 0.99),
            unit="ms (p99) of the slowest kind",
            mark=_LIST_PAGE_MS,
            details={
                "slowest": at.worst,
                **{
                    kind: f"{at.quantile_ms(kind, 0.5):.1f}/{at.quantile_ms(kind, 0.99):.1f} ms" for kind in at.pages_ms
                },
                "total_ms": at.total_ms,
                "filled_per_s": at.filled_per_s,
                "indexed_s": at.indexed_s,
            },
        )
        answers = at.figures.answers_ms
        slowest = max(answers, key=lambda kind: answers[kind][-1])
        yield Row(
            name=f"stats_{at.jobs}_jobs",
            value=answers["all"][-1],
            unit="ms (slowest of 20) for all of 90 days",
            mark=_STATS_MS,
            details={
                "slowest": slowest,
                **{kind: f"{taken[len(taken) // 2]:.1f}/{taken[-1]:.1f} ms" for kind, taken in answers.items()},
                "tallied_per_s": at.figures.tallied_per_s,
            },
        )
    fewest, most = measured[0], measured[-1]
    growth = {kind: most.quantile_ms(kind, 0.5) / fewest.quantile_ms(kind, 0.5) for kind in fewest.pages_ms}
    yield Row(
        name="list_pages_growth",
        value=max(growth.values()),
        unit="times (p50) of the kind that grows most",
        details={"jobs": f"{fewest.jobs} to {most.jobs}", **growth},
    )
