"""History's settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from shared.config import Secret, ServiceConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(ServiceConfig):
    """What the service is told."""

    #: The replica set that holds the database `history`: `mongodb://[user:password@]host:port/?replicaSet=…`.
    mongo_url: Secret
    #: The NATS that holds the log of jobs: `nats://[user:password@]host:port`.
    nats_url: Secret
    #: How long events are gathered before they are written: fewer and larger writes, and a list so much later.
    gather: timedelta = timedelta(milliseconds=200)
