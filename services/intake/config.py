"""Intake's settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from services.intake.limits import PendingLimits, read_tenant_limits
from shared.addresses import WEBHOOK_PORTS
from shared.config import ConfigError, Secret
from shared.objects import ObjectsConfig

#: Of any signed link, by the rules of its signature (AWS Signature Version 4).
_MAX_LINK_LIFETIME = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(ObjectsConfig):
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
    #: Where auth answers, `host:port`: it knows what connections are for.
    auth_address: str
    #: 32 bytes in base64; callback secrets are sealed under a key made from it. The same for all replicas.
    sealing_key: Secret
    #: Lets callbacks lead to this machine: for a laptop, never for production.
    allow_loopback: bool = False
    #: The ports that callbacks may go to, the same as of webhooks.
    webhook_ports: tuple[int, ...] = WEBHOOK_PORTS
    #: Unfinished jobs that one tenant may have.
    max_pending_jobs: int = 1000
    #: The same for tenants that may have more or fewer: `tenant=number`, several parted by commas.
    tenant_max_pending: tuple[str, ...] = ()
    #: Unfinished jobs that all tenants together may have; `docs/operations.md` says what memory they take.
    max_pending_jobs_of_all: int = 1_000_000
    #: Bytes that the records of all ended jobs may take of Redis; `docs/operations.md` says how many jobs that holds.
    hot_view_max_bytes: int = 1024**3

    #: For how long a signed link to a result leads there; at most 7 days.
    result_link_lifetime: timedelta = timedelta(minutes=15)

    def __post_init__(self) -> None:
        mistakes = self.mistakes_of_objects() + self.mistakes_of_loopback(allowed=self.allow_loopback)
        mistakes += self.mistakes_of_webhook_ports(self.webhook_ports)
        mistakes += [
            f"{name} is {number}; it takes a number from 1"
            for name, number in (
                ("PENSTOCK_MAX_PENDING_JOBS", self.max_pending_jobs),
                ("PENSTOCK_MAX_PENDING_JOBS_OF_ALL", self.max_pending_jobs_of_all),
                ("PENSTOCK_HOT_VIEW_MAX_BYTES", self.hot_view_max_bytes),
            )
            if number < 1
        ]
        if not timedelta(seconds=1) <= self.result_link_lifetime <= _MAX_LINK_LIFETIME:
            shown = self.result_link_lifetime.total_seconds()
            mistakes.append(f"PENSTOCK_RESULT_LINK_LIFETIME is {shown:g} s; it takes 1s to 7d")
        try:
            read_tenant_limits(self.tenant_max_pending)
        except ValueError as error:
            mistakes.append(f"PENSTOCK_TENANT_MAX_PENDING {error}")
        if mistakes:
            raise ConfigError(mistakes)

    @property
    def pending_limits(self) -> PendingLimits:
        """Of each tenant."""
        return PendingLimits(default=self.max_pending_jobs, by_tenant=read_tenant_limits(self.tenant_max_pending))
