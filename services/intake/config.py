"""Intake's settings."""

from __future__ import annotations

from dataclasses import dataclass

from shared.config import Secret, ServiceConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(ServiceConfig):
    """What intake is told."""

    #: The Redis that holds the idempotency keys, the pending sets and the hot view.
    redis_url: Secret
    #: The NATS that holds the log of jobs.
    nats_url: Secret
    #: Where the scheduler answers, `host:port`: it decides on cancels.
    scheduler_address: str
    #: Where the upstream service answers, `host:port`: it knows the catalogue.
    upstream_address: str
    #: Where history answers, `host:port`: it knows the jobs that have left the hot view.
    history_address: str
    #: 32 bytes in base64; callback secrets are sealed under a key made from it. The same for all replicas.
    sealing_key: Secret
    #: Lets callbacks lead to this machine: for a laptop, never for production.
    allow_loopback: bool = False
    #: Unfinished jobs that one tenant may have.
    max_pending_jobs: int = 1000
