"""What signatures of webhooks are checked with: secrets, and public keys by the extra `ed25519`."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penstock_sdk.errors import PenstockError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_SECRET_PREFIX = "whsec_"  # noqa: S105  the start of every such secret
_PUBLIC_KEY_PREFIX = "whpk_"
_API_KEY_PREFIX = "psk_"
_PUBLIC_KEY_BYTES = 32


class UnusableSecret(PenstockError, ValueError):
    """A secret or public key of this receiver cannot be used: the receiver is to be mended, whoever has called it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What a receiver checks signatures with."""

    secrets: tuple[bytes, ...] = field(repr=False)
    public_keys: tuple[Ed25519PublicKey, ...]
    #: Whether a secret looks like one of ours and is no base64: it is taken as a text then, as the service takes it.
    odd: bool

    @classmethod
    def of(cls, secrets: Iterable[str]) -> Keys:
        """Those that a receiver holds, as it was told them.

        Raises:
            UnusableSecret: One cannot be used, or there are none.
        """
        given = tuple(secrets)
        for each in given:
            _check_secret(each)
        if not given:
            raise UnusableSecret("there are no secrets to verify with: give the endpoint's `whsec_…` or its `whpk_…`")
        texts = [each for each in given if not each.startswith(_PUBLIC_KEY_PREFIX)]
        return cls(
            secrets=tuple(_hmac_key(each) or each.encode() for each in texts),
            public_keys=tuple(_public_key(each) for each in given if each.startswith(_PUBLIC_KEY_PREFIX)),
            odd=any(each.startswith(_SECRET_PREFIX) and _hmac_key(each) is None for each in texts),
        )

    @property
    def kinds(self) -> set[str]:
        """The kinds of signatures that they check."""
        return ({"v1"} if self.secrets else set()) | ({"v1a"} if self.public_keys else set())

    def fit(self, entries: Iterable[tuple[str, str]], signed: bytes) -> bool:
        """Whether any signature is one of these keys'; takes as long whichever of them it is."""
        expected = [hmac.digest(each, signed, "sha256") for each in self.secrets]
        fits = False
        for kind, text in entries:
            signature = _decoded(text)
            if signature is None:
                continue
            if kind == "v1":
                for each in expected:
                    fits |= hmac.compare_digest(signature, each)
            elif kind == "v1a":
                for each in self.public_keys:
                    fits |= _verifies(each, signature, signed)
        return fits


def _check_secret(secret: str) -> None:
    """Refuses what is no secret of a webhook, without showing it."""
    if not isinstance(secret, str):  # pyright: ignore[reportUnnecessaryIsInstance]  untyped callers: os.environ.get
        raise UnusableSecret(f"a secret is a {type(secret).__name__}, and has to be a text: is its setting missing?")
    if not secret.strip().removeprefix(_SECRET_PREFIX).removeprefix(_PUBLIC_KEY_PREFIX):
        raise UnusableSecret("a secret is empty: is its setting missing?")
    if secret.startswith(_API_KEY_PREFIX):
        raise UnusableSecret("an API key, psk_…, was given as a secret: the endpoint's whsec_… signs webhooks")
    if secret != secret.strip() and secret.strip().startswith((_SECRET_PREFIX, _PUBLIC_KEY_PREFIX)):
        raise UnusableSecret("there is white space around a secret: take it off (a line break at the end of a file?)")


def _hmac_key(secret: str) -> bytes | None:
    """The key that a `whsec_…` stands for; None where the secret is a text of the caller's own."""
    return _decoded(secret.removeprefix(_SECRET_PREFIX)) if secret.startswith(_SECRET_PREFIX) else None


def _public_key(text: str) -> Ed25519PublicKey:
    raw = _decoded(text.removeprefix(_PUBLIC_KEY_PREFIX))
    if raw is None or len(raw) != _PUBLIC_KEY_BYTES:
        raise UnusableSecret(f"{text!r} is no public key: `whpk_` and {_PUBLIC_KEY_BYTES} bytes in base64 are")
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415  of an extra
    except ImportError as error:
        raise UnusableSecret("whpk_… needs the extra ed25519: pip install 'penstock-sdk[ed25519]'") from error
    return Ed25519PublicKey.from_public_bytes(raw)


def _verifies(key: Ed25519PublicKey, signature: bytes, signed: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415  of an extra, which is there where a key is

    try:
        key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):  # None tells it
        return None
