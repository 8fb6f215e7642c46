"""How many requests one address may make, before anybody asks who calls.

Auth counts by key, by tenant and by address, and each of its answers costs it something; this keeps from it what no
client can need, at the cost of a look into a table of Envoy's own.
"""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING

from gateway.errors import FLOODED
from gateway.typed import EnvoyConfig, extension, header
from shared.errors import RateLimited
from shared.rpc import status

if TYPE_CHECKING:
    from gateway.settings import GatewaySettings

#: Addresses that are counted at the same time; the one that was seen longest ago makes room, and begins anew.
_ADDRESSES = 10_000
#: Who gets a whole IPv6 network, which is the least that is given away, counts as one.
_MASKS = {"v4_prefix_mask_len": 32, "v6_prefix_mask_len": 64}
_NO_LIMIT = {"max_tokens": 2**32 - 1, "tokens_per_fill": 2**32 - 1, "fill_interval": "1s"}
_ALWAYS = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}


def address_limit(settings: GatewaySettings) -> list[EnvoyConfig]:
    """The filter, or none where there is no such limit."""
    if not settings.address_rate:
        return []
    bucket = {
        "max_tokens": max(settings.address_rate, settings.address_burst),
        "tokens_per_fill": settings.address_rate,
        "fill_interval": "1s",
    }
    limit = extension(
        "envoy.filters.http.local_ratelimit",
        "extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        stat_prefix="address",
        token_bucket=_NO_LIMIT,
        filter_enabled=_ALWAYS,
        filter_enforced=_ALWAYS,
        rate_limits=[{"actions": [{"masked_remote_address": _MASKS}]}],
        # An entry without a value stands for each value that comes, with a bucket of its own.
        descriptors=[{"entries": [{"key": "masked_remote_address"}], "token_bucket": bucket}],
        max_dynamic_descriptors=_ADDRESSES,
        rate_limited_as_resource_exhausted=True,
        response_headers_to_add=[header("retry-after", "1"), *_details(settings)],
    )
    return [limit]


def _details(settings: GatewaySettings) -> list[EnvoyConfig]:
    """What a gRPC client reads beside status and message; from others' answers Lua removes it."""
    refusal = RateLimited(FLOODED, metadata={"scope": "address"}, retry_after=timedelta(seconds=1))
    return [
        header(name, base64.b64encode(value).decode().rstrip("="))
        for name, value in status.to_status(refusal, docs_url=settings.docs_url).trailing_metadata
        if isinstance(value, bytes)
    ]
