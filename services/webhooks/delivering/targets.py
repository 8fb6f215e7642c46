"""Where a POST goes, and with which headers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from services.webhooks.deliveries.domain import Delivery
    from services.webhooks.delivering.posts import Post
    from services.webhooks.endpoints.domain import Endpoint


class CallbackHeaders(Protocol):
    """Signs callbacks; `services.webhooks.signing.CallbackSigner` is one."""

    def headers(self, delivery: Delivery, *, at: datetime) -> Mapping[str, str]:
        """The headers that sign a callback's attempt made at that time.

        Raises:
            SealBrokenError: What signs does not open.
        """
        ...


class EndpointHeaders(Protocol):
    """Signs what goes to endpoints; `services.webhooks.endpoints.secrets.EndpointSigner` is one."""

    def headers(self, endpoint: Endpoint, *, webhook_id: str, at: datetime, body: bytes) -> Mapping[str, str]:
        """The headers of an attempt made at that time: the endpoint's own, and those that sign.

        Raises:
            SealBrokenError: What signs does not open.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a POST goes."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


class Targets:
    """Knows where POSTs go.

    Args:
        callbacks: Signs those of jobs and batches.
        endpoints: Signs those of endpoints.
    """

    def __init__(self, *, callbacks: CallbackHeaders, endpoints: EndpointHeaders) -> None:
        self._callbacks = callbacks
        self._endpoints = endpoints

    def target(self, post: Post, endpoint: Endpoint | None, *, at: datetime) -> Target:
        """Where a POST goes, signed for an attempt that is made at that time.

        Args:
            post: What is sent.
            endpoint: Whose it is; None for a callback, which names its URL itself.
            at: When the attempt is made.

        Raises:
            SealBrokenError: What signs does not open: the key in the settings is not the one that it was sealed with.
        """
        if endpoint is None:
            return Target(url=post.first.url, headers=self._callbacks.headers(post.first, at=at))
        headers = self._endpoints.headers(endpoint, webhook_id=post.webhook_id, at=at, body=post.body)
        return Target(url=endpoint.url, headers=headers)
