"""Signatures (Standard Webhooks 1.0.0), and the keys they are made with.

A message is signed twice by each key of its receiver: `v1` is HMAC-SHA256 with a secret that both sides know, `v1a` is
Ed25519 (RFC 8032), which whoever has the public key can verify and nobody else can make. Several keys sign side by side
while one takes the other's place; a receiver takes a message that any one of the signatures fits.

A secret has one of two forms. `whsec_` and base64: the key is the bytes that the base64 stands for. Endpoints' and
tenants' own are such, and every library of Standard Webhooks takes them as they are. Anything else, as a job's
`callbackSecret` may be: the key is the text itself, in UTF-8. What begins with `whsec_` and goes on with what is no
base64 is such a text too.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from services.webhooks.deliveries.domain import Delivery
    from shared.config import Secret
    from shared.sealing import Sealer

SECRET_PREFIX = "whsec_"  # noqa: S105  the start of every such secret
PUBLIC_KEY_PREFIX = "whpk_"
_KEY_BYTES = 32
#: Of tenants whose keys are held: deriving a pair takes longer than signing with it.
_TENANTS_HELD = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """What signs a message twice.

    Args:
        secret: The bytes of the secret, for `v1`.
        private_key: For `v1a`.
    """

    secret: bytes = field(repr=False)
    private_key: Ed25519PrivateKey = field(repr=False)

    def signatures(self, signed: bytes) -> Iterator[str]:
        """Both signatures of a signed text, as `webhook-signature` lists them."""
        yield "v1," + _base64(hmac.digest(self.secret, signed, "sha256"))
        yield "v1a," + _base64(self.private_key.sign(signed))


class TenantSecrets:
    """Tenants' own secrets and key pairs: each is derived (HKDF-SHA256, RFC 5869), and none is kept.

    Args:
        callback_key: 32 bytes in base64, the same in every replica.
    """

    def __init__(self, callback_key: Secret) -> None:
        self._key = base64.b64decode(callback_key.reveal(), validate=True)
        self._signing_key_of = lru_cache(maxsize=_TENANTS_HELD)(self._derived_signing_key)

    def secret(self, tenant: str) -> str:
        """The tenant's secret: `whsec_` and 32 bytes in base64."""
        return SECRET_PREFIX + _base64(self._derived("callback-secret", tenant))

    def public_key(self, tenant: str) -> str:
        """What the tenant's `v1a` signatures are verified with: `whpk_` and 32 bytes in base64."""
        return public_key_of(self.signing_key(tenant).private_key)

    def signing_key(self, tenant: str) -> SigningKey:
        """The tenant's own secret and key pair."""
        return self._signing_key_of(tenant)

    def _derived_signing_key(self, tenant: str) -> SigningKey:
        private_key = Ed25519PrivateKey.from_private_bytes(self._derived("callback-key-pair", tenant))
        return SigningKey(secret=self._derived("callback-secret", tenant), private_key=private_key)

    def _derived(self, what: str, tenant: str) -> bytes:
        info = f"penstock/{what}/{tenant}".encode()
        return HKDF(algorithm=hashes.SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(self._key)


class CallbackSigner:
    """Signs callbacks: with the secret of their job where it has one, and with their tenant's key pair.

    Args:
        secrets: The tenants'.
        sealer: Opens the secrets of jobs, of the purpose `CALLBACK_SECRET`.
    """

    def __init__(self, secrets: TenantSecrets, sealer: Sealer) -> None:
        self._secrets = secrets
        self._sealer = sealer

    def headers(self, delivery: Delivery, *, at: datetime) -> dict[str, str]:
        """The headers of a callback's signatures.

        Args:
            delivery: Of a callback.
            at: When this attempt is made.

        Raises:
            SealBrokenError: The job's own secret does not open: the sealing key is not intake's.
        """
        return signed_headers([self._key(delivery)], webhook_id=delivery.webhook_id, at=at, body=delivery.payload)

    def _key(self, delivery: Delivery) -> SigningKey:
        own = self._secrets.signing_key(delivery.tenant)
        if not delivery.sealed_secret:
            return own
        secret = self._sealer.open(delivery.sealed_secret, delivery.tenant, delivery.about).decode()
        return SigningKey(secret=signing_key(secret), private_key=own.private_key)


def signing_key(secret: str) -> bytes:
    """The key that a secret stands for, in either of its forms."""
    if secret.startswith(SECRET_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
        except (binascii.Error, ValueError):  # a caller's own text that only looks like it
            pass
    return secret.encode()


def public_key_of(private_key: Ed25519PrivateKey) -> str:
    """The public half of a pair, as receivers are told it: `whpk_` and 32 bytes in base64."""
    return PUBLIC_KEY_PREFIX + _base64(private_key.public_key().public_bytes_raw())


def signed_headers(keys: Sequence[SigningKey], *, webhook_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of a signed message.

    Args:
        keys: All that sign now, the newest first.
        webhook_id: The same in every attempt; it holds no full stop, which parts the signed text.
        at: When this attempt is made.
        body: The exact bytes that are sent.
    """
    timestamp = str(int(at.timestamp()))
    signed = b".".join((webhook_id.encode(), timestamp.encode(), body))
    signatures = [signature for key in keys for signature in key.signatures(signed)]
    return {"webhook-id": webhook_id, "webhook-timestamp": timestamp, "webhook-signature": " ".join(signatures)}


def _base64(text: bytes) -> str:
    return base64.b64encode(text).decode()
