"""How the cache is wired."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.upstream.cache.bodies import Bodies
from services.upstream.cache.bound import Bound
from services.upstream.cache.cache import Cache
from services.upstream.cache.calls import Calls
from services.upstream.cache.flights import Flights
from services.upstream.cache.metrics import Labels
from services.upstream.cache.reach import Reach
from services.upstream.cache.redis_store import RedisAnswers
from services.upstream.cache.servicer import CacheServicer
from services.upstream.cache.ttls import Ttls, read_ttls
from shared import kv
from shared.streams import CACHE_ANSWERED_SIGNAL

if TYPE_CHECKING:
    from services.upstream.catalogue import Catalogue
    from services.upstream.config import Config
    from shared.bus import Bus
    from shared.lifecycle import Process
    from shared.objects import Objects


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    """What the rest of the service has of it."""

    #: Stands between a call and the connector.
    cache: Cache
    #: Know for how long answers serve.
    ttls: Ttls
    #: Forgets them.
    servicer: CacheServicer
    #: Where they are.
    redis: kv.Client


async def wire(config: Config, process: Process, *, bus: Bus, objects: Objects, catalogue: Catalogue) -> Cached:
    """Wires it into the process.

    Raises:
        TtlError: A setting of how long answers serve names no method that reads.
    """
    upstreams = catalogue.upstreams()
    ttls, labels = Ttls(upstreams, read_ttls(config.cache_ttls)), Labels(upstreams)
    redis = process.lean_on("redis", kv.client(config.redis_url), check=kv.ping, close=kv.close)
    store = RedisAnswers(redis)
    reach, bodies, flights = Reach(), Bodies(objects), Flights(bus)
    await bus.on_signal(CACHE_ANSWERED_SIGNAL, flights.receive)
    bus.on_reconnect(flights.reconnected)
    bound = Bound(store, bodies=bodies, bounds=config.cache_bounds, labels=labels)
    process.loop("cache", bound.run)
    calls = Calls(store, reach=reach, bodies=bodies, flights=flights, bound=bound)
    process.on_close(calls.close)
    return Cached(
        cache=Cache(store, reach=reach, bodies=bodies, flights=flights, calls=calls, ttls=ttls, labels=labels),
        ttls=ttls,
        servicer=CacheServicer(catalogue, store=store, bodies=bodies, flights=flights, bound=bound),
        redis=redis,
    )
