"""Key providers wrap data keys: what the database has of one is of no use without them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from shared.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

_RETRY_AFTER = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapped:
    """A data key as it is kept.

    Args:
        provider: By whom it is wrapped, such as `file`.
        master_key: Under which of its keys, as the provider calls that.
        text: What the provider unwraps.
    """

    provider: str
    master_key: str
    text: bytes = field(repr=False)


class KeyProvider(Protocol):
    """Wraps data keys under a key of its own, which never leaves it, each for its own id alone."""

    #: As a data key names who has wrapped it.
    name: str

    async def wrap(self, key: bytes, *, data_key_id: str) -> Wrapped:
        """A data key, to be kept.

        Raises:
            Unavailable: The provider is away, or refuses.
        """
        ...

    async def unwrap(self, wrapped: Wrapped, *, data_key_id: str) -> bytes:
        """The data key that was wrapped for this id.

        Raises:
            Unavailable: The provider is away, or refuses, or has the master key no more.
        """
        ...

    async def close(self) -> None:
        """Ends its connections."""
        ...


class KeyProviders:
    """The one that wraps, and those that have wrapped before it.

    Args:
        providers: The first wraps; each unwraps what it has wrapped.
    """

    def __init__(self, providers: Sequence[KeyProvider]) -> None:
        self._wraps = providers[0]
        self._by_name = {provider.name: provider for provider in providers}

    @property
    def names(self) -> list[str]:
        """What they are called, the one that wraps first."""
        return list(self._by_name)

    async def wrap(self, key: bytes, *, data_key_id: str) -> Wrapped:
        """A data key, to be kept; raises `Unavailable`."""
        return await self._wraps.wrap(key, data_key_id=data_key_id)

    async def unwrap(self, wrapped: Wrapped, *, data_key_id: str) -> bytes:
        """The data key that one of them has wrapped for this id; raises `Unavailable`."""
        provider = self._by_name.get(wrapped.provider)
        if provider is None:
            raise unavailable(
                f"the data key {data_key_id} was wrapped by the key provider {wrapped.provider!r}, which is not set up "
                "here; an operator can"
            )
        return await provider.unwrap(wrapped, data_key_id=data_key_id)

    async def close(self) -> None:
        """Ends their connections."""
        for provider in self._by_name.values():
            await provider.close()


def unavailable(message: str) -> Unavailable:
    """The error of a provider that cannot do it now."""
    return Unavailable(message, metadata={"dependency": "key_provider"}, retry_after=_RETRY_AFTER)
