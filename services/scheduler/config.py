"""The scheduler's settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from shared.config import Secret, ServiceConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(ServiceConfig):
    """What the scheduler is told."""

    #: The Redis that holds the queues; it must not evict (`maxmemory-policy noeviction`).
    redis_url: Secret
    #: The NATS that holds the log of jobs and the attempts.
    nats_url: Secret
    #: Where the upstream service answers, `host:port`: it knows which upstreams there are.
    upstream_address: str
    #: What a lease lasts beyond its attempt's timeout, for the way there and back; a lost one is noticed as much later.
    lease_margin: timedelta = timedelta(seconds=15)
    #: Having waited longer, a tenant's oldest job has one of eight turns, whatever its priority.
    max_priority_delay: timedelta = timedelta(seconds=60)
    #: Between two looks for lost leases and expired jobs.
    sweep_interval: timedelta = timedelta(seconds=1)
