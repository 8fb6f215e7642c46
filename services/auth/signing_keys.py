"""Signing keys: what a key's requests are signed with. They are made from its secret, and kept sealed.

What is kept of the secret itself is a hash, by which no signature can be verified. Whoever reads the database alone can
sign nothing; whoever gets hold of a signing key can sign, and does not have the secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared import observability
from shared.sealing import SealBrokenError, Sealer

if TYPE_CHECKING:
    from services.auth.domain import Key, KeySecret
    from shared.config import Secret

log = observability.logger()

_PURPOSE = "signing-key"


class SigningKeys:
    """Seals signing keys, each for its own place, and opens them.

    Args:
        sealing_key: 32 bytes, base64; the same wherever keys of one database are used.

    Raises:
        ValueError: It is none.
    """

    def __init__(self, sealing_key: Secret) -> None:
        self._sealer = Sealer.from_setting(sealing_key, _PURPOSE)

    def sealed(self, secret: KeySecret, *, tenant: str, key_id: str) -> bytes:
        """The signing key of a secret, as it is kept with that key of that tenant."""
        return self._sealer.seal(secret.signing_key(), tenant, key_id, secret.prefix)

    def of(self, key: Key, prefix: str) -> bytes | None:
        """The signing key of the key's secret with this prefix.

        None for a secret that is older than signed requests, or was given while a replica of that age rotated the key;
        and where what is kept was sealed under another sealing key.
        """
        sealed = key.sealed_signing_key_of(prefix)
        if sealed is None:
            return None
        try:
            return self._sealer.open(sealed, key.tenant, key.id, prefix)
        except SealBrokenError as error:  # the caller learns that this signature is of no key, and the operator why
            log.warning("signing_key_sealed_otherwise", key=key.id, prefix=prefix, error=str(error))
            return None
