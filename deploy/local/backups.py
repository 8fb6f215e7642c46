"""Backups of the stack, in its own object store: made while it runs, restored before anybody is let in."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from deploy.access import backup
from deploy.access.rights import OPERATOR
from deploy.local import keys, readiness
from deploy.local.errors import StackError
from deploy.local.layout import ROOT
from deploy.local.programs import PROGRAMS, Tier, of_tiers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from deploy.local.layout import Layout
    from deploy.local.stack import Stack

#: What is emptied for a restore; the object store keeps what it has, the backups among that.
_RESTORED = ("nats", "redis", "mongo")
_COMMAND = (sys.executable, "-m", "deploy.backup")
#: What carries out again what was erased after a backup was made.
_REAPPLY = (sys.executable, "-m", "services.history.data.reapply")
#: What of an erasure may be in a backup that is a little younger, where clocks differ.
_MARGIN = timedelta(minutes=1)


def environment(layout: Layout, user: str) -> Mapping[str, str]:
    """What the commands are told of the stack.

    Args:
        layout: Of the stack.
        user: On its servers: that of backups, or the operator, who alone can restore.
    """
    told = {
        "NATS_URL": layout.nats_url_of(user),
        "REDIS_URL": layout.redis_url_of(user),
        "MONGO_URL": layout.mongo_url_of(user, backup.DATABASE),
        "OBJECTS_URL": layout.objects_url,
        "OBJECTS_ACCESS_KEY": user,
        "OBJECTS_SECRET_KEY_FILE": str(layout.password_file("objects", user)),
        "KEY_FILES": ",".join(f"{name}={path}" for name, path in _keys(layout).items()),
        # As it is in any MongoDB; the backup of one machine takes seconds.
        "MONGO_HISTORY": "5m",
    }
    return {f"PENSTOCK_BACKUP_{name}": value for name, value in told.items()}


def run(stack: Stack, *arguments: str, user: str = backup.USER) -> None:
    """Runs a command of `deploy.backup`, whose output is shown.

    Raises:
        StackError: It failed, and has said why.
    """
    environ = stack.supervisor.environment() | dict(environment(stack.layout, user))
    ended = subprocess.run((*_COMMAND, *arguments), cwd=ROOT, env=environ, check=False)  # noqa: S603  our own command
    if ended.returncode:
        raise StackError(f"the command `{arguments[0]}` of backups has failed")


def empty(stack: Stack) -> str:
    """Puts the data of a stopped stack's servers aside; answers with the name of the folders."""
    name = f"before-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    for server in _RESTORED:
        folder = stack.layout.data / server
        if folder.exists():
            target = stack.layout.data / name / server
            target.parent.mkdir(mode=0o700, exist_ok=True)
            folder.rename(target)
    return name


def restore(stack: Stack, name: str, *, timeout_s: float, tied: bool = False) -> None:
    """Loads a backup into a stack that is stopped and emptied, and brings it up, the gateway last.

    Args:
        stack: Stopped.
        name: Of the backup.
        timeout_s: For how long at most to wait for each tier.
        tied: Whether the stack ends with this process.

    Raises:
        StackError: It failed; the gateway is not up.
    """
    servers = of_tiers(Tier.SERVERS)
    stack.start(servers, tied=tied)
    stack.wait_until_ready(servers, timeout_s=timeout_s)
    run(stack, "restore", name, user=OPERATOR)
    site = next(program for program in PROGRAMS if program.name == "site")
    asked = replace(site, check=_check_services)  # the gateway, which else tells it, is not up yet
    for program in (*of_tiers(Tier.SERVICES), asked):
        stack.start_also(program)
    stack.wait_until_ready([asked], timeout_s=timeout_s)
    reapply(stack, name)
    gateway = of_tiers(Tier.GATEWAY)
    for program in gateway:
        stack.start_also(program)
    stack.wait_until_ready(gateway, timeout_s=timeout_s)


def reapply(stack: Stack, name: str) -> None:
    """Has carried out again what was erased since a backup was begun.

    Raises:
        StackError: It failed, and has said why.
    """
    history = next(program for program in PROGRAMS if program.name == "history")
    begun = datetime.strptime(name, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    environ = stack.supervisor.environment() | dict(history.environment(stack.layout))
    since = (begun - _MARGIN).isoformat()
    ended = subprocess.run((*_REAPPLY, "--since", since), cwd=ROOT, env=environ, check=False)  # noqa: S603  our own command
    if ended.returncode:
        raise StackError("what was erased since the backup is not erased again; the gateway stays away until it is")


def _check_services(layout: Layout) -> None:
    """Raises OSError where a service is not ready, by the site."""
    ready, parts = readiness.ready_parts(layout, port="site")
    if not ready:
        raise ConnectionError(", ".join(f"{part} ({answer})" for part, answer in parts.items()))


def _keys(layout: Layout) -> Mapping[str, Path]:
    """What is in no backup, and without which one is worth nothing."""
    folder = layout.secrets
    return {
        "pepper": keys.key_pepper_file(folder),
        "sealing": keys.sealing_key_file(folder),
        "auth-sealing": keys.signing_seal_file(folder),
        "master": keys.master_keys_file(folder),
        "callback": keys.callback_key_file(folder),
    }
