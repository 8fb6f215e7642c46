"""Sealing: what is secret in a message or a record is readable only for who holds the key, and only in its own place.

A sealed text is `version (1 byte) | nonce (12) | AES-256-GCM ciphertext and tag (16)`. The version and the context are
authenticated with it: a sealed text that was changed, or moved to another place, does not open.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from shared.config import Secret

#: The purpose of the secrets that sign callbacks: intake seals them, webhooks opens them; the context is (tenant, job).
CALLBACK_SECRET = "callback-secret"  # noqa: S105  the name of a purpose
#: The purpose of what endpoints keep secret: webhooks seals and opens it; the context is (tenant, endpoint).
ENDPOINT_SECRET = "endpoint-secret"  # noqa: S105  the name of a purpose
#: Of the key in the settings, and of every key made from it.
KEY_BYTES = 32
_VERSION = b"\x01"
#: Random per text; by NIST SP 800-38D, 8.3, a key is good for 2^32 of them.
_NONCE_BYTES = 12
_TAG_BYTES = 16


class SealBrokenError(Exception):
    """A sealed text does not open: it was changed, moved, or sealed under another key."""


class Sealer:
    """Seals and opens texts of one purpose, under a key of its own (HKDF-SHA256, RFC 5869).

    Args:
        key: 32 bytes, the same for all who seal and open for this purpose.
        purpose: What the texts are, such as `callback-secret`.
    """

    def __init__(self, key: bytes, purpose: str) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"the sealing key has {len(key)} bytes; it must have {KEY_BYTES}")
        self._cipher = AESGCM(_derived(key, f"penstock/seal/{purpose}"))
        self._digest_key = _derived(key, f"penstock/digest/{purpose}")

    @classmethod
    def from_setting(cls, key: Secret, purpose: str) -> Sealer:
        """A sealer under the key of a setting: base64 (RFC 4648, 4).

        Raises:
            ValueError: It is not base64, or not of 32 bytes.
        """
        try:
            return cls(base64.b64decode(key.reveal(), validate=True), purpose)
        except binascii.Error as error:
            raise ValueError(f"the sealing key is not base64: {error}") from error

    def seal(self, text: bytes, *context: str) -> bytes:
        """The text, sealed for the place that the context names, such as a tenant and a job."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, text, _authenticated(context))

    def open(self, sealed: bytes, *context: str) -> bytes:
        """The text that was sealed for the same context.

        Raises:
            SealBrokenError: It was changed, belongs elsewhere, or was sealed under another key.
        """
        if len(sealed) < len(_VERSION) + _NONCE_BYTES + _TAG_BYTES:
            raise SealBrokenError("the sealed text is too short to be one")
        version, nonce, ciphertext = sealed[:1], sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if version != _VERSION:
            raise SealBrokenError(f"the sealed text has the format {version[0]}; this program knows {_VERSION[0]}")
        try:
            return self._cipher.decrypt(nonce, ciphertext, _authenticated(context))
        except InvalidTag:
            raise SealBrokenError("the sealed text does not open under this key in this place") from None

    def digest(self, text: bytes) -> bytes:
        """HMAC-SHA256 of the text: tells equal texts from different ones, and nothing to who has not the key."""
        return hmac.digest(self._digest_key, text, "sha256")


def _derived(key: bytes, info: str) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=info.encode()).derive(key)


def _authenticated(context: tuple[str, ...]) -> bytes:
    """The version and the parts of the context, each behind its length, so that no two contexts give the same bytes."""
    parts = [part.encode() for part in context]
    return _VERSION + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
