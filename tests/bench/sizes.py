"""How much is measured: `full` for figures, `small` to see that all of it still runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """The numbers of one run."""

    #: Of `completed_jobs_per_s`, and of each peer.
    jobs: int
    tenants: int
    #: Of all tenants together.
    lanes: int
    #: Of each row of `submit_rps`.
    callers: tuple[int, ...]
    submit_seconds: float
    rest_seconds: float
    #: Waiters, and watchers.
    held: int
    held_rest_seconds: float
    #: Jobs whose ends are delivered, and to how many endpoints each.
    delivered_jobs: int
    endpoints: int
    #: Depths and lanes of the queue's growth.
    queued: tuple[int, ...]
    queue_lanes: tuple[int, ...]
    #: Jobs in history, of whose lists pages are timed.
    recorded: tuple[int, ...]
    #: Whether the peers run where nothing else was said.
    peers: bool


SIZES = {
    "full": Size(
        jobs=20_000,
        tenants=10,
        lanes=50,
        callers=(32, 1000),
        submit_seconds=10.0,
        rest_seconds=20.0,
        held=10_000,
        held_rest_seconds=10.0,
        delivered_jobs=2_000,
        endpoints=10,
        queued=(1_000, 10_000, 100_000, 1_000_000),
        queue_lanes=(1, 100, 10_000),
        recorded=(10_000, 100_000, 1_000_000),
        peers=True,
    ),
    "small": Size(
        jobs=1_000,
        tenants=2,
        lanes=10,
        callers=(32, 1000),
        submit_seconds=2.0,
        rest_seconds=3.0,
        held=300,
        held_rest_seconds=1.0,
        delivered_jobs=100,
        endpoints=5,
        queued=(1_000, 10_000),
        queue_lanes=(1, 100),
        recorded=(10_000, 50_000),
        peers=False,
    ),
}
