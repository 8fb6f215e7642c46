"""gRPC's channels, sync and async alike; what each raises is `grpc.RpcError`. Of the extra `grpc`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import grpc

from penstock_sdk.errors import InvalidUse
from penstock_sdk.version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Sequence

    from google.protobuf.message import Message

    from penstock_sdk.rpcs import Rpc

Metadata = tuple[tuple[str, str], ...]

#: Whoever calls tries again. A stream is silent while nothing happens, so pings find out whether anybody is there.
_OPTIONS: Sequence[tuple[str, Any]] = (
    ("grpc.enable_retries", 0),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.max_receive_message_length", -1),
    ("grpc.primary_user_agent", f"penstock-sdk-python/{__version__}"),
)


def target(url: str) -> tuple[str, grpc.ChannelCredentials | None]:
    """Where a channel leads, and by which certificates; None for plain text, which `http` means.

    Raises:
        InvalidUse: The URL has a path, which gRPC has no place for.
    """
    parts = urlsplit(url)
    if parts.path.strip("/"):
        raise InvalidUse(f"{url} has a path, which gRPC has no place for; call it over HTTP")
    secure = parts.scheme == "https"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or (443 if secure else 80)}", grpc.ssl_channel_credentials() if secure else None


class Channel:
    """A channel.

    Args:
        url: Where it leads.
    """

    def __init__(self, url: str) -> None:
        where, credentials = target(url)
        if credentials is None:
            self._channel = grpc.insecure_channel(where, _OPTIONS)
        else:
            self._channel = grpc.secure_channel(where, credentials, _OPTIONS)

    def ask(self, rpc: Rpc, request: Message, *, metadata: Metadata, timeout_s: float) -> tuple[Any, Metadata]:
        """The response to a request, and the metadata that came before it."""
        method = cast("Any", self._channel.unary_unary(rpc.path, _bytes, rpc.read))
        response, call = method.with_call(request, timeout=timeout_s, metadata=metadata)
        return response, tuple(call.initial_metadata())

    def stream(self, rpc: Rpc, request: Message, *, metadata: Metadata, timeout_s: float | None) -> Generator[Any]:
        """The responses to a request."""
        method = cast("Any", self._channel.unary_stream(rpc.path, _bytes, rpc.read))
        call = method(request, timeout=timeout_s, metadata=metadata)
        try:
            yield from call
        finally:
            call.cancel()

    def close(self) -> None:
        """Ends it; may be done twice."""
        self._channel.close()


class AsyncChannel:
    """The same for an event loop; to be made in the loop that uses it.

    Args:
        url: Where it leads.
    """

    def __init__(self, url: str) -> None:
        where, credentials = target(url)
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(where, _OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(where, credentials, _OPTIONS)

    async def ask(self, rpc: Rpc, request: Message, *, metadata: Metadata, timeout_s: float) -> tuple[Any, Metadata]:
        """The response to a request, and the metadata that came before it."""
        method = cast("Any", self._channel.unary_unary(rpc.path, _bytes, rpc.read))
        call = method(request, timeout=timeout_s, metadata=metadata)
        response = await call
        return response, tuple(await call.initial_metadata())

    async def stream(
        self, rpc: Rpc, request: Message, *, metadata: Metadata, timeout_s: float | None
    ) -> AsyncGenerator[Any]:
        """The responses to a request."""
        method = cast("Any", self._channel.unary_stream(rpc.path, _bytes, rpc.read))
        call = method(request, timeout=timeout_s, metadata=metadata)
        try:
            async for response in call:
                yield response
        finally:
            call.cancel()

    async def aclose(self) -> None:
        """Ends it; may be done twice."""
        await self._channel.close()


def _bytes(message: Message) -> bytes:
    return message.SerializeToString()
