"""The webhooks service's settings."""

from __future__ import annotations

import base64
import binascii
import ssl
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path  # noqa: TC003  settings are read by their annotations

from services.webhooks.deliveries.domain import STANDARD_PAUSES
from services.webhooks.endpoints.rules import MAX_GRACE
from services.webhooks.endpoints.store import MOST_ENDPOINTS
from shared.addresses import WEBHOOK_PORTS
from shared.config import ConfigError, Secret, ServiceConfig

_MAX_CONCURRENCY = 1000
_KEY_BYTES = 32
_MAX_PAUSES = 50
_MAX_PAUSE = timedelta(days=7)
_MAX_TIMEOUT = timedelta(minutes=1)
_HOLDS = (timedelta(seconds=1), timedelta(minutes=5))
_MOST_INTERVAL = timedelta(days=1)


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
    #: Endpoints that a tenant may have; 1 to 10,000.
    max_endpoints: int = 100
    #: How long an endpoint's old secret signs beside the new one, unless that is asked for otherwise; at most 7 days.
    secret_grace: timedelta = timedelta(hours=24)
    #: The ports that webhooks may go to, at hosts that are not this machine.
    webhook_ports: tuple[int, ...] = WEBHOOK_PORTS
    #: The pauses between a delivery's attempts, such as `5s,5m,30m`; there is one attempt more than pauses.
    retry_schedule: tuple[timedelta, ...] = STANDARD_PAUSES
    #: How long a receiver may take to answer; Standard Webhooks advises 15 s to 30 s.
    attempt_timeout: timedelta = timedelta(seconds=15)
    #: Attempts that this process makes at a time; a quarter of them at most goes to receivers that do not answer.
    concurrency: int = 256
    #: How long a replica holds a receiver unless it keeps it; so long the receivers wait of one that has died.
    receiver_hold: timedelta = timedelta(seconds=10)
    #: How long an endpoint may fail without one success; then it is disabled.
    disable_after: timedelta = timedelta(days=5)
    #: Files of certificates, in PEM, of authorities that vouch for receivers beside those that the machine trusts.
    ca_files: tuple[Path, ...] = ()
    #: Where history answers gRPC, `host:port`, which tells for how long deliveries are kept; empty where nobody is
    #: asked, and none are deleted before 366 days.
    history_address: str = ""
    #: How often to look for deliveries that have had their time.
    retention_interval: timedelta = timedelta(minutes=5)
    #: Lets callbacks and endpoints lead to this machine: for a laptop, never for production.
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
                ("PENSTOCK_RECEIVER_HOLD", _hold_problem(self.receiver_hold)),
                ("PENSTOCK_DISABLE_AFTER", _failing_problem(self.disable_after)),
                ("PENSTOCK_CA_FILES", _ca_problem(self.ca_files)),
                ("PENSTOCK_MAX_ENDPOINTS", _max_endpoints_problem(self.max_endpoints)),
                ("PENSTOCK_SECRET_GRACE", _grace_problem(self.secret_grace)),
                ("PENSTOCK_RETENTION_INTERVAL", _interval_problem(self.retention_interval)),
            )
            if problem
        ]
        mistakes += self.mistakes_of_loopback(allowed=self.allow_loopback)
        mistakes += self.mistakes_of_webhook_ports(self.webhook_ports)
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


def _hold_problem(hold: timedelta) -> str:
    least, most = _HOLDS
    if least <= hold <= most:
        return ""
    return f"is {hold.total_seconds():g}s; it takes {least.total_seconds():g}s to {most.total_seconds():g}s"


def _failing_problem(failing: timedelta) -> str:
    return "" if failing > timedelta() else f"is {failing.total_seconds():g}s; it takes more than 0 s"


def _ca_problem(ca_files: tuple[Path, ...]) -> str:
    for each in ca_files:
        try:
            ssl.create_default_context(cafile=each)
        except OSError as error:  # an `SSLError` is one
            return f"names {each}, which cannot be read as certificates: {error.strerror or error}"
    return ""


def _max_endpoints_problem(number: int) -> str:
    return "" if 1 <= number <= MOST_ENDPOINTS else f"is {number}; it takes 1 to {MOST_ENDPOINTS}"


def _grace_problem(grace: timedelta) -> str:
    if timedelta() <= grace <= MAX_GRACE:
        return ""
    return f"is {grace.total_seconds():g}s; it takes 0s to {MAX_GRACE.days} days"


def _interval_problem(interval: timedelta) -> str:
    if timedelta() < interval <= _MOST_INTERVAL:
        return ""
    return f"is {interval.total_seconds():g}s; it takes more than 0 s and at most {_MOST_INTERVAL.days} day"
