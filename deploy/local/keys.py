"""The keys and secrets of a stack, made once and kept under its folder, each readable by its owner alone."""

from __future__ import annotations

import base64
import json
import os
import secrets
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

#: Who signs identity tokens; `auth` for others, the rest for themselves.
ISSUERS = ("auth", "intake", "scheduler", "upstream", "webhooks", "history", "site")
#: Enough for HMAC-SHA-256 and for AES-256.
_SECRET_BYTES = 32
_NAME_BYTES = 10


def identity_keys_file(folder: Path) -> Path:
    """The JWK set with every issuer's public key."""
    return folder / "identity-keys.json"


def private_key_file(folder: Path, issuer: str) -> Path:
    """An issuer's private key."""
    return folder / f"{issuer}.pem"


def key_pepper_file(folder: Path) -> Path:
    """The pepper of the API keys' hashes."""
    return folder / "key-pepper"


def signing_seal_file(folder: Path) -> Path:
    """The key that seals the API keys' signing keys: 32 bytes, base64."""
    return folder / "signing-seal"


def sealing_key_file(folder: Path) -> Path:
    """The key that seals secrets in jobs: 32 bytes, base64."""
    return folder / "sealing-key"


def callback_key_file(folder: Path) -> Path:
    """The key that tenants' callback secrets are made from: 32 bytes, base64."""
    return folder / "callback-key"


def objects_access_key_file(folder: Path) -> Path:
    """The name by which services sign their requests to the object store."""
    return folder / "objects-access-key"


def objects_secret_key_file(folder: Path) -> Path:
    """The key by which they do."""
    return folder / "objects-secret-key"


def make_secrets(folder: Path, issuers: Iterable[str] = ISSUERS) -> None:
    """Makes what is not there yet; what is there stays."""
    jwks: list[dict[str, str]] = []
    for issuer in issuers:
        path = private_key_file(folder, issuer)
        if not path.exists():
            key = Ed25519PrivateKey.generate()
            write_private(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
        jwks.append(_jwk(issuer, path))
    write_private(identity_keys_file(folder), json.dumps({"keys": jwks}, indent=2) + "\n")
    for path in (
        key_pepper_file(folder),
        signing_seal_file(folder),
        sealing_key_file(folder),
        callback_key_file(folder),
        objects_secret_key_file(folder),
    ):
        if not path.exists():
            write_private(path, random_base64() + "\n")
    name = objects_access_key_file(folder)
    if not name.exists():
        write_private(name, secrets.token_hex(_NAME_BYTES) + "\n")  # signatures are parted by what base64 has too


def random_base64() -> str:
    """A new secret of 32 random bytes, as base64."""
    return base64.b64encode(os.urandom(_SECRET_BYTES)).decode()


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read, whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)


def _jwk(issuer: str, path: Path) -> dict[str, str]:
    """The public half of a key (RFC 8037)."""
    key = load_pem_private_key(path.read_bytes(), password=None)
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    x = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    return {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": issuer, "x": x}
