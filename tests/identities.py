"""Who tests act as: a key of a tenant, or a service, vouched for by real tokens under keys of the test run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from deploy.local import identity_keys, keys
from shared import ids
from shared.config import Secret
from shared.identity import Principal, PrincipalKind, ServiceIdentity, TokenSigner, TokenVerifier
from shared.identity_keys import IdentityKeys
from shared.permissions import ADMIN_SCOPES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_LIFETIME = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Identities:
    """The key material of a test run, for every issuer.

    Args:
        folder: Where it is.
    """

    folder: Path

    @property
    def keys_file(self) -> Path:
        """The JWK set: a service's `identity_keys_file`."""
        return identity_keys.public_keys_file(self.folder)

    @property
    def key_pepper_file(self) -> Path:
        """Auth's pepper."""
        return keys.key_pepper_file(self.folder)

    @property
    def signing_seal_file(self) -> Path:
        """Auth's sealing key."""
        return keys.signing_seal_file(self.folder)

    @property
    def master_keys_file(self) -> Path:
        """Auth's master keys."""
        return keys.master_keys_file(self.folder)

    @property
    def sealing_key_file(self) -> Path:
        """Intake's sealing key."""
        return keys.sealing_key_file(self.folder)

    def private_key_file(self, issuer: str) -> Path:
        """An issuer's private key (PEM)."""
        return identity_keys.private_key_file(self.folder, issuer)

    def service_key(self, service: str) -> Secret:
        """A service's `service_key`."""
        return Secret(self.private_key_file(service).read_text(encoding="utf-8"))

    def signer(self, issuer: str) -> TokenSigner:
        """Signs in an issuer's name."""
        return TokenSigner(issuer, self.private_key_file(issuer).read_text(encoding="utf-8"), self.keys())

    def verifier(self) -> TokenVerifier:
        """Verifies all of them."""
        return TokenVerifier(self.keys())

    def keys(self) -> IdentityKeys:
        """The public keys."""
        return IdentityKeys(self.keys_file)

    def service(self, name: str) -> ServiceIdentity:
        """A service's own identity, for `shared.rpc.client.connect`."""
        return ServiceIdentity(name, self.signer(name))

    def mint(
        self,
        tenant: str = "acme",
        scopes: Iterable[str] = ADMIN_SCOPES,
        *,
        key_id: str | None = None,
        lifetime: timedelta = _LIFETIME,
    ) -> str:
        """The token that the gateway would send on for an API key of this tenant."""
        principal = Principal(
            kind=PrincipalKind.KEY, id=key_id or ids.new_key_id(), tenant=tenant, scopes=frozenset(map(str, scopes))
        )
        return self.signer("auth").sign(principal, lifetime)
