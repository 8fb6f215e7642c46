"""What endpoints keep secret: the keys that sign their messages, and the values of their own headers."""

from __future__ import annotations

import base64
import json
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.webhooks.endpoints.domain import SigningKeys
from services.webhooks.signing import SECRET_PREFIX, SigningKey, public_key_of, signed_headers, signing_key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from services.webhooks.endpoints.domain import Endpoint
    from shared.sealing import Sealer

#: Of a secret that is made here; Standard Webhooks has 24 to 64.
_SECRET_BYTES = 32
#: Of endpoints whose secrets are held open, the ones used last.
_ENDPOINTS_HELD = 4096


class EndpointSecrets:
    """Makes the secrets of endpoints, seals them, and opens them again.

    Args:
        sealer: Of the purpose `ENDPOINT_SECRET`.
    """

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def make_keys(self, tenant: str, endpoint_id: str, *, now: datetime, secret: str = "") -> SigningKeys:
        """Another generation of an endpoint's keys.

        Args:
            tenant: Whose endpoint.
            endpoint_id: Which.
            now: The time.
            secret: `whsec_` and base64; a random one unless given.
        """
        secret = secret or SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
        private_key = Ed25519PrivateKey.generate()
        return SigningKeys(
            sealed_secret=self._sealer.seal(secret.encode(), tenant, endpoint_id),
            sealed_private_key=self._sealer.seal(private_key.private_bytes_raw(), tenant, endpoint_id),
            public_key=public_key_of(private_key),
            created_at=now,
        )

    def seal_headers(self, tenant: str, endpoint_id: str, headers: Mapping[str, str]) -> bytes:
        """Headers as they are kept; none for none."""
        return self._sealer.seal(json.dumps(dict(headers)).encode(), tenant, endpoint_id) if headers else b""

    def secret(self, endpoint: Endpoint) -> str:
        """The newest secret of an endpoint.

        Raises:
            SealBrokenError: It does not open: the sealing key is another one.
        """
        return self._sealer.open(endpoint.keys[0].sealed_secret, endpoint.tenant, endpoint.id).decode()

    def headers(self, endpoint: Endpoint) -> dict[str, str]:
        """The endpoint's own headers.

        Raises:
            SealBrokenError: They do not open: the sealing key is another one.
        """
        if not endpoint.sealed_headers:
            return {}
        return json.loads(self._sealer.open(endpoint.sealed_headers, endpoint.tenant, endpoint.id))

    def signing_key(self, endpoint: Endpoint, keys: SigningKeys) -> SigningKey:
        """One generation of the endpoint's keys, open.

        Raises:
            SealBrokenError: They do not open: the sealing key is another one.
        """
        secret = self._sealer.open(keys.sealed_secret, endpoint.tenant, endpoint.id).decode()
        private_key = self._sealer.open(keys.sealed_private_key, endpoint.tenant, endpoint.id)
        return SigningKey(secret=signing_key(secret), private_key=Ed25519PrivateKey.from_private_bytes(private_key))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """The secrets of one revision of an endpoint."""

    revision: int
    keys: tuple[tuple[SigningKeys, SigningKey], ...] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)


class EndpointSigner:
    """Says with which headers a message goes to an endpoint; what it has opened it holds until the endpoint is changed.

    Args:
        secrets: Opens them.
    """

    def __init__(self, secrets: EndpointSecrets) -> None:
        self._secrets = secrets
        self._held: OrderedDict[str, _Opened] = OrderedDict()

    def headers(self, endpoint: Endpoint, *, webhook_id: str, at: datetime, body: bytes) -> dict[str, str]:
        """The headers of a message: the endpoint's own, and those of its signatures, which none of its own replaces.

        Args:
            endpoint: With its keys and headers.
            webhook_id: The same in every attempt.
            at: When this attempt is made: every key that signs then does.
            body: The exact bytes that are sent.

        Raises:
            SealBrokenError: Its secrets do not open: the sealing key is another one.
        """
        opened = self._opened(endpoint)
        keys = [key for kept, key in opened.keys if kept.signs(at)]
        return {**opened.headers, **signed_headers(keys, webhook_id=webhook_id, at=at, body=body)}

    def _opened(self, endpoint: Endpoint) -> _Opened:
        held = self._held.get(endpoint.id)
        if held is None or held.revision != endpoint.revision:
            held = self._held[endpoint.id] = _Opened(
                revision=endpoint.revision,
                keys=tuple((keys, self._secrets.signing_key(endpoint, keys)) for keys in endpoint.keys),
                headers=self._secrets.headers(endpoint),
            )
        self._held.move_to_end(endpoint.id)
        if len(self._held) > _ENDPOINTS_HELD:
            self._held.popitem(last=False)
        return held
