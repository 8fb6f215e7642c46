"""History's settings."""

from __future__ import annotations

from dataclasses import dataclass

from shared.config import Secret, ServiceConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(ServiceConfig):
    """What the service is told."""

    #: The replica set that holds the database `history`: `mongodb://[user:password@]host:port/?replicaSet=…`.
    mongo_url: Secret
    #: The NATS that holds the log of jobs: `nats://[user:password@]host:port`.
    nats_url: Secret
