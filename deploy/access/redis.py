"""The users of Redis: for each service its keys, and the commands that it calls; nobody comes in without a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy.access import backup
from deploy.access.rights import OPERATOR, SERVICES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from deploy.access.rights import Service


def users(digest: Callable[[str], str], services: Sequence[Service] = SERVICES) -> str:
    """The server's file of users (`aclfile`), one a line.

    Args:
        digest: The SHA-256 of each user's password, in hexadecimal.
        services: The table.
    """
    lines = ["user default off", f"user {OPERATOR} on #{digest(OPERATOR)} ~* &* +@all"]
    for service in services:
        if service.redis is not None:
            keys = " ".join(f"~{pattern}" for pattern in service.redis.keys)
            commands = " ".join(f"+{command.lower()}" for command in service.redis.commands)
            lines.append(f"user {service.name} on #{digest(service.name)} {keys} resetchannels -@all {commands}")
    lines.append(f"user {backup.USER} on #{digest(backup.USER)} resetchannels -@all {backup.redis_commands()}")
    return "\n".join(lines) + "\n"
