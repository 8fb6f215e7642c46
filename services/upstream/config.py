"""The upstream service's settings."""

from __future__ import annotations

from dataclasses import dataclass

from services.upstream import urls
from services.upstream.cache.store import Bounds
from services.upstream.cache.ttls import read_ttls
from services.upstream.domain import MAX_INLINE_BYTES
from shared.config import ConfigError, Secret
from shared.objects import ObjectsConfig

_MAX_CONCURRENCY = 1000
#: S3 takes no more in one request.
_MAX_OBJECT_BYTES = 5 * 1024**3
#: An answer that may be kept is an eighth of it at most; and beyond this Redis' numbers are no longer exact.
_MIN_CACHE_BYTES = 1024**2
_MAX_CACHE_BYTES = 1024**5


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(ObjectsConfig):
    """What the service is told."""

    #: The NATS that takes the outcomes of attempts.
    nats_url: Secret
    #: The Redis in which answers are kept that may serve again; while it is away, calls go on without.
    redis_url: Secret
    #: Where the scheduler answers, `host:port`: it gives the leases.
    scheduler_address: str
    #: Where auth answers, `host:port`: it gives the credentials of connections.
    auth_address: str
    #: Calls that this process makes at a time, for each upstream.
    concurrency: int = 64
    #: Bytes of a result at most; a larger answer fails its call.
    max_result_bytes: int = 100 * 1024 * 1024
    #: Bytes that the cached answers of all tenants may take, in Redis and in the object store together.
    cache_max_bytes: int = 10 * 1024**3
    #: Bytes of them that may be in Redis, where all but bodies over 64 KiB is.
    cache_max_redis_bytes: int = 1024**3
    #: How long answers of single methods serve again, in place of the catalogue's: `flickr.photos.search=30s`, 0s for
    #: not at all.
    cache_ttls: tuple[str, ...] = ()
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
                ("PENSTOCK_CACHE_MAX_BYTES", self.cache_max_bytes, _MIN_CACHE_BYTES, _MAX_CACHE_BYTES),
                ("PENSTOCK_CACHE_MAX_REDIS_BYTES", self.cache_max_redis_bytes, _MIN_CACHE_BYTES, self.cache_max_bytes),
            )
            if not least <= number <= most
        ]
        try:
            read_ttls(self.cache_ttls)
        except ValueError as error:
            mistakes.append(f"PENSTOCK_CACHE_TTLS {error}")
        mistakes += urls.mistakes_of(self.upstream_urls, allow_loopback=self.allow_loopback)
        if mistakes:
            raise ConfigError(mistakes)

    @property
    def cache_bounds(self) -> Bounds:
        """What cached answers may take."""
        return Bounds(in_redis=self.cache_max_redis_bytes, in_all=self.cache_max_bytes)
