"""The key provider `file`: master keys that are a setting of auth, and so a file of the operator's.

Each line is `name:key`, the key 32 bytes in base64. The first one wraps; those behind it unwrap what they have wrapped
before, until nothing of that is left, and can be taken out then.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from services.auth.connections.sealing.key_providers import Wrapped, unavailable
from shared import observability
from shared.config import Secret
from shared.sealing import SealBrokenError, Sealer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.errors import Unavailable

log = observability.logger()

NAME = "file"
_PURPOSE = "data-key"
_KEY_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")


class MasterKeys:
    """Wraps data keys under the first of them (AES-256-GCM, under a key made from it).

    Args:
        keys: The lines.

    Raises:
        ValueError: A line is none, or two have one name; the message shows no key.
    """

    name = NAME

    def __init__(self, keys: Secret) -> None:
        self._sealers = _sealers(keys)
        self._first = next(iter(self._sealers))

    async def wrap(self, key: bytes, *, data_key_id: str) -> Wrapped:
        """A data key, to be kept."""
        text = self._sealers[self._first].seal(key, data_key_id)
        return Wrapped(provider=NAME, master_key=self._first, text=text)

    async def unwrap(self, wrapped: Wrapped, *, data_key_id: str) -> bytes:
        """The data key that was wrapped for this id.

        Raises:
            Unavailable: The master key is not there any more, or is another one of that name.
        """
        sealer = self._sealers.get(wrapped.master_key)
        if sealer is None:
            raise _lost(wrapped, data_key_id, "there is no master key of this name")
        try:
            return sealer.open(wrapped.text, data_key_id)
        except SealBrokenError as error:
            raise _lost(wrapped, data_key_id, str(error)) from None

    async def close(self) -> None:
        """Does nothing: there is no connection."""


def _lost(wrapped: Wrapped, data_key_id: str, error: str) -> Unavailable:
    """What an operator can mend who still has the master key."""
    log.warning("data_key_does_not_open", data_key=data_key_id, master_key=wrapped.master_key, error=error)
    return unavailable(
        f"the data key {data_key_id} does not open; an operator has to put the master key {wrapped.master_key!r} back "
        "into PENSTOCK_MASTER_KEYS"
    )


def _sealers(keys: Secret) -> Mapping[str, Sealer]:
    sealers: dict[str, Sealer] = {}
    for number, line in enumerate(keys.reveal().split(), start=1):
        name, _, key = line.partition(":")
        if _KEY_NAME.fullmatch(name) is None or not key:
            raise ValueError(f"line {number} does not read name:key, the name of lower-case letters, digits and '._-'")
        if name in sealers:
            raise ValueError(f"there are two keys of the name {name!r}; each has one of its own")
        try:
            sealers[name] = Sealer.from_setting(Secret(key), _PURPOSE)
        except ValueError as error:
            raise ValueError(f"the key {name!r} is none: {error}") from None
    if not sealers:
        raise ValueError("there is no key; give one line at least, name:key, the key 32 bytes in base64")
    return sealers
