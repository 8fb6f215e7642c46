"""The webhooks service's settings."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import timedelta

from services.webhooks.domain import STANDARD_PAUSES
from shared.config import ConfigError, Secret, ServiceConfig

_MAX_CONCURRENCY = 1000
_KEY_BYTES = 32
_MAX_PAUSES = 50
_MAX_PAUSE = timedelta(days=7)
_MAX_TIMEOUT = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(ServiceConfig):
    """What the service is told."""

    #: The replica set that holds the database `webhooks`: `mongodb://[user:password@]host:port/?replicaSet=…`.
    mongo_url: Secret
    #: The NATS that holds the log of jobs: `nats://[user:password@]host:port`.
    nats_url: Secret
    #: 32 bytes in base64, the same as intake's: the callback secrets of jobs are sealed under a key made from it.
    sealing_key: Secret
    #: 32 bytes in base64, the same in every replica: tenants' own secrets are made from it. With another one, every
    #: tenant has another secret.
    callback_key: Secret
    #: The pauses between a delivery's attempts, such as `5s,5m,30m`; there is one attempt more than pauses.
    retry_schedule: tuple[timedelta, ...] = STANDARD_PAUSES
    #: How long a receiver may take to answer; Standard Webhooks advises 15 s to 30 s.
    attempt_timeout: timedelta = timedelta(seconds=20)
    #: Attempts that this process makes at a time; a quarter of them at most goes to one host.
    concurrency: int = 64
    #: Lets callbacks lead to this machine: for a laptop, never for production.
    allow_loopback: bool = False

    def __post_init__(self) -> None:
        mistakes = [
            f"{name} {problem}"
            for name, problem in (
                ("PENSTOCK_SEALING_KEY", _key_problem(self.sealing_key)),
                ("PENSTOCK_CALLBACK_KEY", _key_problem(self.callback_key)),
                ("PENSTOCK_RETRY_SCHEDULE", _schedule_problem(self.retry_schedule)),
                ("PENSTOCK_ATTEMPT_TIMEOUT", _timeout_problem(self.attempt_timeout)),
                ("PENSTOCK_CONCURRENCY", _concurrency_problem(self.concurrency)),
            )
            if problem
        ]
        mistakes += self.mistakes_of_loopback(allowed=self.allow_loopback)
        if mistakes:
            raise ConfigError(mistakes)


def _key_problem(key: Secret) -> str:
    try:
        length = len(base64.b64decode(key.reveal(), validate=True))
    except (binascii.Error, ValueError):
        return f"is not base64; it takes {_KEY_BYTES} random bytes in base64"
    return "" if length == _KEY_BYTES else f"has {length} bytes; it takes {_KEY_BYTES}, in base64"


def _schedule_problem(pauses: tuple[timedelta, ...]) -> str:
    if len(pauses) > _MAX_PAUSES:
        return f"has {len(pauses)} pauses; it takes at most {_MAX_PAUSES}"
    for pause in pauses:
        if not timedelta() < pause <= _MAX_PAUSE:
            return (
                f"has a pause of {pause.total_seconds():g}s; each is more than 0 s and at most {_MAX_PAUSE.days} days"
            )
    return ""


def _timeout_problem(timeout: timedelta) -> str:
    if timedelta() < timeout <= _MAX_TIMEOUT:
        return ""
    return f"is {timeout.total_seconds():g}s; it takes more than 0 s and at most {_MAX_TIMEOUT.total_seconds():g}s"


def _concurrency_problem(concurrency: int) -> str:
    return "" if 1 <= concurrency <= _MAX_CONCURRENCY else f"is {concurrency}; it takes 1 to {_MAX_CONCURRENCY}"
