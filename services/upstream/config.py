"""The upstream service's settings."""

from __future__ import annotations

from dataclasses import dataclass

from shared.config import ConfigError, Secret
from shared.objects import ObjectsConfig

_MAX_CONCURRENCY = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(ObjectsConfig):
    """What the service is told."""

    #: The NATS that takes the outcomes of attempts.
    nats_url: Secret
    #: Where the scheduler answers, `host:port`: it gives the leases.
    scheduler_address: str
    #: Calls that this process makes at a time, for each upstream.
    concurrency: int = 64
    #: Lets calls lead to this machine: for a laptop, never for production.
    allow_loopback: bool = False

    def __post_init__(self) -> None:
        mistakes = self.mistakes_of_objects()
        if not 1 <= self.concurrency <= _MAX_CONCURRENCY:
            mistakes.append(f"PENSTOCK_CONCURRENCY is {self.concurrency}; it takes 1 to {_MAX_CONCURRENCY}")
        if mistakes:
            raise ConfigError(mistakes)
