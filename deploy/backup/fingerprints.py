"""Fingerprints of the keys that are not in a backup, and without which it is worth nothing.

A fingerprint tells whether two files hold the same key, and nothing else: it is slow to make (scrypt, RFC 7914), under
a salt of the backup's own, so that not even a weak key is found by trying.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

from deploy.backup.manifest import Keys

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SALT_BYTES = 16
_FINGERPRINT_BYTES = 16
#: 16 MiB and some 50 ms each.
_COST, _BLOCK, _LANES = 2**14, 8, 1


def of(files: Mapping[str, Path]) -> Keys:
    """Of these files, under a new salt."""
    salt = secrets.token_hex(_SALT_BYTES)
    return Keys(salt=salt, fingerprints={name: _of(path, salt) for name, path in files.items()})


def differing(known: Keys, files: Mapping[str, Path]) -> list[str]:
    """What is to be said of keys that are others than they were, or of which it is not known."""
    said = [
        f"the key {name} is another one than when the backup was made"
        for name, path in files.items()
        if name in known.fingerprints and _of(path, known.salt) != known.fingerprints[name]
    ]
    return said + [
        f"the key {name} was there when the backup was made; PENSTOCK_BACKUP_KEY_FILES does not name it now"
        for name in known.fingerprints
        if name not in files
    ]


def _of(path: Path, salt: str) -> str:
    digest = hashlib.scrypt(
        path.read_bytes().strip(), salt=bytes.fromhex(salt), n=_COST, r=_BLOCK, p=_LANES, dklen=_FINGERPRINT_BYTES
    )
    return digest.hex()
