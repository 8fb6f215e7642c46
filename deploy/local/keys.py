"""The keys and secrets of a stack, made once and kept under its folder, each readable by its owner alone."""

from __future__ import annotations

import base64
import os
import secrets
from typing import TYPE_CHECKING

from deploy.local import identity_keys
from deploy.local.private_files import write_private

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

#: Enough for HMAC-SHA-256 and for AES-256.
_SECRET_BYTES = 32
_NAME_BYTES = 10


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


def make_secrets(folder: Path, issuers: Iterable[str] = identity_keys.ISSUERS) -> None:
    """Makes what is not there yet; what is there stays."""
    identity_keys.make(folder, issuers)
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
