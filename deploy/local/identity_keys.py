"""The key pairs with which services sign who they are, and the set of all public keys."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from deploy.local.errors import StackError
from deploy.local.private_files import write_private
from shared import ids

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Jwk = dict[str, str]

#: Who signs identity tokens; `auth` for others, the rest for themselves.
ISSUERS = ("auth", "intake", "scheduler", "upstream", "webhooks", "history", "site")


def public_keys_file(folder: Path) -> Path:
    """The JWK set with every issuer's public keys."""
    return folder / "identity-keys.json"


def private_key_file(folder: Path, issuer: str) -> Path:
    """An issuer's private key."""
    return folder / f"{issuer}.pem"


def make(folder: Path, issuers: Iterable[str] = ISSUERS) -> None:
    """Makes what is not there yet; what is there stays, former public keys among it."""
    known = _read(folder)
    jwks: list[Jwk] = []
    for issuer in issuers:
        path = private_key_file(folder, issuer)
        if not path.exists():
            write_private(path, _pem(Ed25519PrivateKey.generate()))
        own = [jwk for jwk in known if _issuer(jwk) == issuer]
        x = _public(path)
        jwks += own if any(jwk["x"] == x for jwk in own) else [*own, jwk_of(issuer, issuer, x)]
    _write(folder, jwks)


def rotate(folder: Path, issuer: str, *, at_once: bool) -> None:
    """Gives an issuer another key pair; its process signs with it when it is started again.

    The public key until now stays in the set, so that what was signed with it is believed; one before it goes.

    Args:
        folder: Of the keys.
        issuer: Whose.
        at_once: The one until now goes too: for a private key that others may have.

    Raises:
        StackError: There is no such issuer.
    """
    path = private_key_file(folder, issuer)
    if issuer not in ISSUERS or not path.exists():
        raise StackError(f"{issuer!r} signs nothing here; there are {', '.join(ISSUERS)}")
    current = _public(path)
    key = Ed25519PrivateKey.generate()
    fresh = jwk_of(f"{issuer}.{ids.uuid7()}", issuer, _raw(key))
    kept = [jwk for jwk in _read(folder) if _issuer(jwk) != issuer or (jwk["x"] == current and not at_once)]
    _write(folder, [*kept, fresh])  # before the private key: who is signed for must be known first
    write_private(path, _pem(key))


def jwk_of(kid: str, issuer: str, x: str) -> Jwk:
    """A public key as a JWK (RFC 8037), with whose it is."""
    return {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "issuer": issuer, "x": x}


def _issuer(jwk: Jwk) -> str:
    return jwk.get("issuer", jwk["kid"])


def _read(folder: Path) -> list[Jwk]:
    try:
        return json.loads(public_keys_file(folder).read_text(encoding="utf-8"))["keys"]
    except FileNotFoundError:  # it is made now
        return []


def _write(folder: Path, jwks: list[Jwk]) -> None:
    write_private(public_keys_file(folder), json.dumps({"keys": jwks}, indent=2) + "\n")


def _pem(key: Ed25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _public(path: Path) -> str:
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise StackError(f"{path} is no Ed25519 key; remove it, and another one is made")
    return _raw(key)


def _raw(key: Ed25519PrivateKey) -> str:
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
