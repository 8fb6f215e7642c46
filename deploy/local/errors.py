"""What can go wrong with a stack; every message says why, and what to do."""

from __future__ import annotations


class LocalStackError(Exception):
    """A command on the stack cannot be carried out."""


class SettingError(LocalStackError):
    """A setting of the local stack is wrong."""


class StackError(LocalStackError):
    """The stack cannot start, or is not as the command needs it."""


class SupervisorError(LocalStackError):
    """The stack's supervisord does not answer, or refuses."""
