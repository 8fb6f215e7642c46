"""History's settings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from services.history.retention.settings import RetentionConfig
from shared import mongo
from shared.config import ConfigError, Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(RetentionConfig):
    """What the service is told."""

    #: The replica set that holds the database `history`: `mongodb://[user:password@]host:port/?replicaSet=…`.
    mongo_url: Secret
    #: The NATS that holds the log of jobs: `nats://[user:password@]host:port`.
    nats_url: Secret
    #: Where the other services answer, `host:port`: intake, which cancels and retries jobs, and all of them, which
    #: export and erase what they hold.
    auth_address: str
    intake_address: str
    scheduler_address: str
    upstream_address: str
    webhooks_address: str
    #: How long events are gathered before they are written: fewer and larger writes, and a list so much later.
    gather: timedelta = timedelta(milliseconds=200)
    #: Which members of the replica set lists are read from: primary, primaryPreferred, secondary, secondaryPreferred or
    #: nearest. Of a secondary they may be up to 90 s old.
    read_preference: str = "primary"
    #: Between two rounds in which all are asked to erase, until one finds nothing: longer than it takes until what keys
    #: have done is written down.
    erase_interval: timedelta = timedelta(seconds=15)
    #: For how long the oldest backup is kept, which the report of an erasure tells; zero where none are made.
    backups_kept: timedelta = timedelta(days=366)

    def __post_init__(self) -> None:
        mistakes = self.mistakes_of_retention()
        try:
            mongo.read_mode(self.read_preference)
        except ValueError as error:
            mistakes.append(f"PENSTOCK_READ_PREFERENCE {error}")
        if mistakes:
            raise ConfigError(mistakes)
