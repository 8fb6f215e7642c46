"""The public keys of all who sign identity tokens: a JWK set (RFC 7517) in a file, read anew when it has changed.

An issuer may have several keys at a time, and so gets another one without a token being refused: the new public key is
added to the set, then the issuer signs with the new private key, then the old public key is removed. The `kid` of a key
is its own; whose it is, its member `issuer` says, or the `kid` where it has none.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt import PyJWTError
from jwt.algorithms import OKPAlgorithm

from shared import observability

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

log = observability.logger()

#: A key that was removed is good for no longer than this.
LOOK_INTERVAL_S = 5.0


@dataclass(frozen=True, slots=True)
class IdentityKey:
    """A public key, and the issuer that signs with its private half."""

    issuer: str
    public_key: Ed25519PublicKey


class IdentityKeys:
    """The keys by their `kid`.

    Args:
        path: The file that holds the set.
        monotonic: Seconds that only grow.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no set of Ed25519 keys, or two of them have the same `kid`.
    """

    def __init__(self, path: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._monotonic = monotonic
        self._looked_at = monotonic()
        self._version = _version(path)
        self._keys = read(path)
        #: Grows whenever the keys have changed.
        self.generation = 0

    def get(self, kid: str) -> IdentityKey | None:
        """A key by its `kid`; for one that is not known the file is looked at first."""
        if kid not in self._keys:
            self._look()
        return self._keys.get(kid)

    def look(self) -> None:
        """Reads the file anew where it has changed; looks at it every 5 s at most."""
        if self._monotonic() >= self._looked_at + LOOK_INTERVAL_S:
            self._look()

    def kid_of(self, issuer: str, public_key: Ed25519PublicKey) -> str | None:
        """The `kid` under which an issuer's own key is known, or None where it is not in the set."""
        wanted = _raw(public_key)
        for kid, key in self._keys.items():
            if key.issuer == issuer and _raw(key.public_key) == wanted:
                return kid
        return None

    def _look(self) -> None:
        self._looked_at = self._monotonic()
        try:
            version = _version(self._path)
            if version == self._version:
                return
            keys = read(self._path)
        except (OSError, ValueError) as error:  # those that are known hold on; it is looked at again
            log.warning("identity_keys_unreadable", path=str(self._path), error=str(error))
            return
        self._version, self._keys = version, keys
        self.generation += 1
        log.info("identity_keys_read", kids=sorted(keys))


def read(path: Path) -> Mapping[str, IdentityKey]:
    """The keys of a file by their `kid`.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no set of Ed25519 keys, or two of them have the same `kid`.
    """
    try:
        jwks = json.loads(path.read_text(encoding="utf-8"))["keys"]
        keys: dict[str, IdentityKey] = {}
        for jwk in jwks:
            kid = jwk["kid"]
            if kid in keys:
                raise ValueError(f"{path} has two keys with the kid {kid!r}; each needs one of its own")
            keys[kid] = IdentityKey(jwk.get("issuer", kid), _public_key(jwk))
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError, PyJWTError) as error:
        raise ValueError(f"{path} is no JWK set of Ed25519 public keys: {error!r}") from error
    return keys


def _public_key(jwk: dict[str, Any]) -> Ed25519PublicKey:
    key = OKPAlgorithm.from_jwk(jwk)
    if not isinstance(key, Ed25519PublicKey):
        raise TypeError(f"the key {jwk['kid']!r} is a {type(key).__name__}")
    return key


def _version(path: Path) -> tuple[int, int, int]:
    """Another one when the file was written, or replaced by another, also through a link."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
