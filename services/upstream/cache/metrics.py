"""What the cache tells of itself: by method, never by tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

if TYPE_CHECKING:
    from collections.abc import Iterable

    from services.upstream.cache.entries import Scope
    from services.upstream.domain import Upstream

_LABELS = ("upstream", "method")
HITS = Counter("penstock_upstream_cache_hits", "Jobs that an answer served which was there.", _LABELS)
MISSES = Counter(
    "penstock_upstream_cache_misses", "Jobs whose call was made though it could have been served.", _LABELS
)
COALESCED = Counter("penstock_upstream_cache_coalesced", "Jobs served by a call that another one made.", _LABELS)
EVICTIONS = Counter("penstock_upstream_cache_evictions", "Answers that went before their time, for room.", _LABELS)
BYTES = Gauge("penstock_upstream_cache_bytes", "What the answers of all tenants take, as last noted.", ("place",))
AWAY = Gauge("penstock_upstream_cache_away", "1 while calls go on without the cache.")


class Labels:
    """Names methods in metrics: those that are listed; the others, which callers name as they like, all alike.

    Args:
        upstreams: Whose methods they are.
    """

    def __init__(self, upstreams: Iterable[Upstream]) -> None:
        self._upstreams = {each.name: each for each in upstreams}

    def of(self, scope: Scope) -> tuple[str, str]:
        """Upstream and method."""
        upstream = self._upstreams.get(scope.upstream)
        return scope.upstream, "unknown" if upstream is None else upstream.label(scope.method)
