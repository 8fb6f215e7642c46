"""`python -m deploy.local <command>`: the commands behind `make up`, `make down` and the rest."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.local import commands, identity_keys, layout, programs
from deploy.local.errors import LocalStackError
from deploy.local.layout import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

_EPILOG = """\
Ports are moved by settings, such as
  {example}=8081 make up
`ports` lists all of them.
"""


def main() -> int:
    """Runs one command; the exit status tells whether it could."""
    arguments = _parser().parse_args()
    return answering(lambda: _run(arguments))


def answering(command: Callable[[], int]) -> int:
    """Runs a command; says in plain words why it could not, and answers with its exit status."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        machine = f"{platform.system()} on {platform.machine()}"
        print(f"The local stack's servers come as wheels for Linux on x86-64; this is {machine}.", file=sys.stderr)
        return 1
    try:
        return command()
    except LocalStackError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # who read along (`| head`) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def default_state() -> Path:
    """The folder of the stack's state: `.penstock`, or what `PENSTOCK_LOCAL_STATE` says."""
    return Path(os.environ.get(layout.STATE_SETTING) or ROOT / ".penstock")


def _run(arguments: argparse.Namespace) -> int:  # noqa: C901, PLR0912  a case a command
    state: Path = arguments.state.resolve()
    match arguments.command:
        case "up":
            commands.up(state)
        case "down":
            commands.down(state)
        case "status":
            return 0 if commands.status(state) else 1
        case "logs":
            commands.logs(state, arguments.program)
        case "restart":
            commands.restart(state, arguments.program)
        case "rotate-identity":
            commands.rotate_identity(state, arguments.service, at_once=arguments.at_once)
        case "operator-key":
            commands.operator_key(state)
        case "archive-read":
            given = arguments
            return 0 if commands.archive_read(state, given.tenant, given.day, keep_going=given.keep_going) else 1
        case "rebuild-history":
            return 0 if commands.rebuild_history(state) else 1
        case "backup" | "backups":
            commands.backup(state, {"backup": "create", "backups": "list"}[arguments.command])
        case "restore":
            commands.restore(state, arguments.backup, sure=arguments.yes)
        case "reset":
            commands.reset(state, sure=arguments.yes)
        case _:
            commands.ports(state)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.local",
        description="The whole mesh on this machine.",
        epilog=_EPILOG.format(example=layout.setting_of("gateway")),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--state", type=Path, default=default_state(), help="the folder of all its state (%(default)s)")
    command = parser.add_subparsers(dest="command", required=True, metavar="command")
    command.add_parser("up", help="start everything, and wait until it is ready")
    command.add_parser("down", help="stop everything")
    command.add_parser("status", help="show how every program stands")
    logs = command.add_parser("logs", help="follow a program's log")
    restart = command.add_parser("restart", help="stop a program and start it again")
    rotate = command.add_parser("rotate-identity", help="give a service another key to sign with")
    archive = command.add_parser("archive-read", help="print the archived jobs of a tenant's day")
    command.add_parser("rebuild-history", help="make history anew from the log of jobs while it serves")
    command.add_parser("operator-key", help="make a key that may do everything, and print it")
    command.add_parser("backup", help="make a backup while everything runs")
    command.add_parser("backups", help="list the backups")
    restore = command.add_parser("restore", help="put a backup in the place of what there is (asks)")
    reset = command.add_parser("reset", help="stop everything and delete all state")
    command.add_parser("ports", help="list the ports and the settings that move them")
    names = ", ".join(program.name for program in programs.PROGRAMS)
    logs.add_argument("program", nargs="?", help=names)
    restart.add_argument("program", help=names)
    rotate.add_argument("service", help=", ".join(identity_keys.ISSUERS))
    rotate.add_argument("--at-once", action="store_true", help="believe nothing signed with the one before any more")
    archive.add_argument("--tenant", required=True, help="whose")
    archive.add_argument("--day", required=True, help="on which the jobs ended, in UTC")
    archive.add_argument("--keep-going", action="store_true", help="read on after a part that cannot be read")
    restore.add_argument("backup", help="its name; `backups` lists all")
    for each in (restore, reset):
        each.add_argument("--yes", action="store_true", help="do not ask")
    return parser


if __name__ == "__main__":
    sys.exit(main())
