"""How long answers serve again: as the catalogue has it, unless a setting or the call's own params say otherwise."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from services.upstream.domain import Kind
from shared.config import duration
from shared.errors import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.upstream.domain import Method, Upstream

#: Longer than the longest, the object store has removed the body.
MAX_TTL = timedelta(days=1)


class TtlError(ValueError):
    """A setting of how long answers serve is wrong; the message names it."""


def read_ttls(texts: Sequence[str]) -> dict[str, timedelta]:
    """How long by method, as the setting has it.

    Args:
        texts: Each `method=duration`; 0s for a method that is not cached.

    Raises:
        ValueError: One is malformed, too long, or names a method that another one names too.
    """
    ttls: dict[str, timedelta] = {}
    for text in texts:
        method, _, span = (part.strip() for part in text.partition("="))
        try:
            ttl = duration(span)
        except ValueError:
            ttl = None
        if not method or ttl is None or ttl > MAX_TTL:
            raise ValueError(
                f"holds {text!r}; it takes method=duration, such as flickr.photos.search=30s, 24h at most, several "
                "parted by commas"
            )
        if method in ttls:
            raise ValueError(f"names {method!r} twice; keep one")
        ttls[method] = ttl
    return ttls


class Ttls:
    """Knows how long answers serve.

    Args:
        upstreams: With their methods, as the connectors have them.
        settings: By method, in place of the catalogue's.

    Raises:
        TtlError: A setting names no method, or one that does not read.
    """

    def __init__(self, upstreams: Sequence[Upstream], settings: Mapping[str, timedelta]) -> None:
        for name in settings:
            _check(name, upstreams)
        self._settings = settings
        self._upstreams = {each.name: self._set(each) for each in upstreams}

    def upstream(self, upstream: Upstream) -> Upstream:
        """The upstream as the settings have it."""
        return self._upstreams.get(upstream.name, upstream)

    def of(self, method: Method, params: Mapping[str, Any]) -> timedelta | None:
        """How long an answer to this call serves; None where it does not.

        Args:
            method: As the connector has it.
            params: With which it is called; they keep to its schema.
        """
        if method.kind is not Kind.READ or not method.idempotent:
            return None
        if method.cache_ttl_param and method.cache_ttl_param in params:
            return min(timedelta(seconds=float(params[method.cache_ttl_param])), MAX_TTL)
        ttl = self._settings.get(method.name, method.cache_ttl)
        return min(ttl, MAX_TTL) if ttl else None

    def _set(self, upstream: Upstream) -> Upstream:
        if not any(method.name in self._settings for method in upstream.methods):
            return upstream
        methods = (replace(method, cache_ttl=self.of(method, {})) for method in upstream.methods)
        return replace(upstream, methods=tuple(methods))


#: Where nothing is set: as the connectors have it.
AS_LISTED = Ttls((), {})


def _check(name: str, upstreams: Sequence[Upstream]) -> None:
    found = [method for each in upstreams if (method := each.method(name)) is not None]
    if not found:
        begun = sorted(
            method.name
            for each in upstreams
            for method in each.methods
            if method.name.startswith(name.partition(".")[0])
        )
        hint = f"; there are: {', '.join(begun)}" if begun else ""
        raise TtlError(f"PENSTOCK_CACHE_TTLS names {shown(name)}, which is no method{hint}")
    if not all(method.kind is Kind.READ and method.idempotent for method in found):
        raise TtlError(
            f"PENSTOCK_CACHE_TTLS names {shown(name)}, which does not only read; its answers never serve again"
        )
