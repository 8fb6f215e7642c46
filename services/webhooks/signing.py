"""Signatures (Standard Webhooks 1.0.0), and the secrets they are made with.

A secret has one of two forms. `whsec_` and base64: the key is the bytes that the base64 stands for. Tenants' own are
such, and every library of Standard Webhooks takes them as they are. Anything else, as a job's `callbackSecret` may be:
the key is the text itself, in UTF-8. What begins with `whsec_` and goes on with what is no base64 is such a text too.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from datetime import datetime

    from shared.config import Secret

_PREFIX = "whsec_"
_KEY_BYTES = 32


class TenantSecrets:
    """Tenants' own secrets: each is derived (HKDF-SHA256, RFC 5869), and none is kept.

    Args:
        callback_key: 32 bytes in base64, the same in every replica.
    """

    def __init__(self, callback_key: Secret) -> None:
        self._key = base64.b64decode(callback_key.reveal(), validate=True)

    def secret(self, tenant: str) -> str:
        """The tenant's secret: `whsec_` and 32 bytes in base64."""
        info = f"penstock/callback-secret/{tenant}".encode()
        derived = HKDF(algorithm=hashes.SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(self._key)
        return _PREFIX + base64.b64encode(derived).decode()


def signing_key(secret: str) -> bytes:
    """The key that a secret stands for, in either of its forms."""
    if secret.startswith(_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):  # a caller's own text that only looks like it
            pass
    return secret.encode()


def signed_headers(secret: str, *, webhook_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of a signed message.

    Args:
        secret: In either of its forms.
        webhook_id: The same in every attempt.
        at: When this attempt is made.
        body: The exact bytes that are sent.
    """
    timestamp = str(int(at.timestamp()))
    signed = b".".join((webhook_id.encode(), timestamp.encode(), body))
    signature = base64.b64encode(hmac.digest(signing_key(secret), signed, "sha256")).decode()
    return {"webhook-id": webhook_id, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"}
