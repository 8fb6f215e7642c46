"""Seals the secrets of connections, and opens them: each under a key of its own, made from a data key (HKDF).

A sealed secret names its data key, and opens for its own tenant and connection alone (`shared.sealing`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from services.auth.connections.domain import Sealed
from services.auth.connections.sealing import secret_texts
from shared.sealing import SealBrokenError, Sealer

if TYPE_CHECKING:
    from services.auth.connections.domain import Secret

_PARTS = "authorization"


class SecretLostError(Exception):
    """A sealed secret opens no more: its data key is gone, or it was changed or moved in the database."""


class Keys(Protocol):
    """Gives data keys."""

    async def current(self) -> tuple[str, bytes]:
        """The id of the data key that is sealed under now, and its 32 bytes.

        Raises:
            Unavailable: The key provider, or MongoDB, is away, and the key is not in memory.
        """
        ...

    async def key(self, data_key_id: str) -> bytes | None:
        """The 32 bytes of a data key; None where there is none of this id.

        Raises:
            Unavailable: The key provider, or MongoDB, is away, and the key is not in memory.
        """
        ...


class Vault:
    """Seals and opens.

    Args:
        keys: The data keys.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def seal(self, secret: Secret, *, tenant: str, connection_id: str) -> Sealed:
        """A secret, sealed for its connection.

        Raises:
            Unavailable: The key provider, or MongoDB, is away, and no key is in memory.
        """
        return await self._seal(_purpose(tenant, connection_id), secret_texts.to_text(secret), ())

    async def open(self, sealed: Sealed, *, tenant: str, connection_id: str) -> Secret:
        """The secret of a connection.

        Raises:
            SecretLostError: It opens no more.
            Unavailable: The key provider, or MongoDB, is away, and the key is not in memory.
        """
        return secret_texts.from_text(await self._open(_purpose(tenant, connection_id), sealed, ()))

    async def reseal(self, sealed: Sealed, *, tenant: str, connection_id: str) -> Sealed:
        """The same secret, sealed under the data key of now.

        Raises:
            SecretLostError: It opens no more.
            Unavailable: The key provider, or MongoDB, is away, and a key is not in memory.
        """
        purpose = _purpose(tenant, connection_id)
        return await self._seal(purpose, await self._open(purpose, sealed, ()), ())

    async def seal_bytes(self, text: bytes, *context: str) -> Sealed:
        """What an authorization keeps secret for a while, sealed for the place that the context names.

        Raises:
            Unavailable: The key provider, or MongoDB, is away, and no key is in memory.
        """
        return await self._seal(_PARTS, text, context)

    async def open_bytes(self, sealed: Sealed, *context: str) -> bytes:
        """What was sealed for the same context.

        Raises:
            SecretLostError: It opens no more, or was sealed for another one.
            Unavailable: The key provider, or MongoDB, is away, and the key is not in memory.
        """
        return await self._open(_PARTS, sealed, context)

    async def _seal(self, purpose: str, text: bytes, context: tuple[str, ...]) -> Sealed:
        data_key_id, key = await self._keys.current()
        return Sealed(data_key_id=data_key_id, text=Sealer(key, purpose).seal(text, data_key_id, *context))

    async def _open(self, purpose: str, sealed: Sealed, context: tuple[str, ...]) -> bytes:
        key = await self._keys.key(sealed.data_key_id)
        if key is None:
            raise SecretLostError(f"the data key {sealed.data_key_id} is gone")
        try:
            return Sealer(key, purpose).open(sealed.text, sealed.data_key_id, *context)
        except SealBrokenError as error:
            raise SecretLostError(str(error)) from None


def _purpose(tenant: str, connection_id: str) -> str:
    """Has each connection a key of its own; neither a tenant's name nor an id holds a slash."""
    return f"connection/{tenant}/{connection_id}"
