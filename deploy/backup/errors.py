"""What can go wrong with a backup; every message says why, and what to do."""

from __future__ import annotations


class BackupError(Exception):
    """A command cannot be carried out."""


class DamagedError(BackupError):
    """What lies in the object store is not what was put there."""


class NotEmptyError(BackupError):
    """There is something where a backup is to be restored."""
