"""The upstream service's settings."""

from __future__ import annotations

from dataclasses import dataclass

from services.upstream import urls
from services.upstream.domain import MAX_INLINE_BYTES
from shared.config import ConfigError, Secret
from shared.objects import ObjectsConfig

_MAX_CONCURRENCY = 1000
#: S3 takes no more in one request.
_MAX_OBJECT_BYTES = 5 * 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(ObjectsConfig):
    """What the service is told."""

    #: The NATS that takes the outcomes of attempts.
    nats_url: Secret
    #: Where the scheduler answers, `host:port`: it gives the leases.
    scheduler_address: str
    #: Where auth answers, `host:port`: it gives the credentials of connections.
    auth_address: str
    #: Calls that this process makes at a time, for each upstream.
    concurrency: int = 64
    #: Bytes of a result at most; a larger answer fails its call.
    max_result_bytes: int = 100 * 1024 * 1024
    #: Lets calls lead to this machine: for a laptop, never for production.
    allow_loopback: bool = False
    #: Where targets of upstreams are called instead of at their own URLs, each `upstream.target=url`.
    upstream_urls: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        mistakes = self.mistakes_of_objects() + self.mistakes_of_loopback(allowed=self.allow_loopback)
        mistakes += [
            f"{name} is {number}; it takes {least} to {most}"
            for name, number, least, most in (
                ("PENSTOCK_CONCURRENCY", self.concurrency, 1, _MAX_CONCURRENCY),
                ("PENSTOCK_MAX_RESULT_BYTES", self.max_result_bytes, MAX_INLINE_BYTES, _MAX_OBJECT_BYTES),
            )
            if not least <= number <= most
        ]
        mistakes += urls.mistakes_of(self.upstream_urls, allow_loopback=self.allow_loopback)
        if mistakes:
            raise ConfigError(mistakes)
