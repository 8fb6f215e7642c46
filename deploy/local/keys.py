"""The keys and secrets of a stack, made once and kept under its folder, each readable by its owner alone."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

from deploy.local import identity_keys
from deploy.local.private_files import write_private

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

#: Enough for HMAC-SHA-256 and for AES-256.
_SECRET_BYTES = 32


def key_pepper_file(folder: Path) -> Path:
    """The pepper of the API keys' hashes."""
    return folder / "key-pepper"


def signing_seal_file(folder: Path) -> Path:
    """The key that seals the API keys' signing keys: 32 bytes, base64."""
    return folder / "signing-seal"


def sealing_key_file(folder: Path) -> Path:
    """The key that seals secrets in jobs: 32 bytes, base64."""
    return folder / "sealing-key"


def master_keys_file(folder: Path) -> Path:
    """The keys that wrap what connections are sealed under: lines `name:key`, the key 32 bytes in base64."""
    return folder / "master-keys"


def callback_key_file(folder: Path) -> Path:
    """The key that tenants' callback secrets are made from: 32 bytes, base64."""
    return folder / "callback-key"


def mongo_key_file(folder: Path) -> Path:
    """The key by which members of MongoDB's replica set know each other."""
    return folder / "mongo-key"


def make_secrets(folder: Path, issuers: Iterable[str] = identity_keys.ISSUERS) -> None:
    """Makes what is not there yet; what is there stays."""
    identity_keys.make(folder, issuers)
    for path in (
        key_pepper_file(folder),
        signing_seal_file(folder),
        sealing_key_file(folder),
        callback_key_file(folder),
        mongo_key_file(folder),
    ):
        if not path.exists():
            write_private(path, random_base64() + "\n")
    if not master_keys_file(folder).exists():
        write_private(master_keys_file(folder), f"local:{random_base64()}\n")


def random_base64() -> str:
    """A new secret of 32 random bytes, as base64."""
    return base64.b64encode(os.urandom(_SECRET_BYTES)).decode()
