"""`python -m deploy.backup <command>`: makes, lists, verifies, prunes and restores backups."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deploy.backup import config as config_
from deploy.backup.config import PARTS
from deploy.backup.creating import Creating
from deploy.backup.errors import BackupError
from deploy.backup.restoring import Restoring
from deploy.backup.shelf import Shelf
from deploy.backup.sizes import shown
from deploy.local.console import table
from shared.config import ConfigError
from shared.errors import PenstockError
from shared.objects import open_objects

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from deploy.backup.config import Config

_DESCRIPTION = """\
Backups of a mesh: Redis, the streams and buckets of NATS, and MongoDB, as one that can be restored.

  create    makes one while the mesh works, and prunes
  list      shows what there is
  verify    reads one, and says whether it is what was put there
  prune     removes those that have had their time
  restore   loads one into empty servers, while no service runs

What is not in a backup: the keys of the mesh (pepper, sealing, master, callback and identity keys), without which a
backup is worth nothing, and the objects of the object store. docs/backups.md is the runbook.
"""
_EPILOG = """\
Settings, by environment (a secret also as ..._FILE, the path of a file that holds it):

  PENSTOCK_BACKUP_OBJECTS_URL            the object store of the backups: https://host[:port]
  PENSTOCK_BACKUP_OBJECTS_ACCESS_KEY     its key pair
  PENSTOCK_BACKUP_OBJECTS_SECRET_KEY
  PENSTOCK_BACKUP_OBJECTS_BUCKET         penstock-backups unless set; make it before
  PENSTOCK_BACKUP_OBJECTS_REGION         us-east-1 unless set
  PENSTOCK_BACKUP_NATS_URL               nats://user:password@host:4222
  PENSTOCK_BACKUP_REDIS_URL              redis://user:password@host:6379/0; for create it may be a replica
  PENSTOCK_BACKUP_MONGO_URL              mongodb://user:password@hosts/?replicaSet=...&authSource=admin
  PENSTOCK_BACKUP_KEY_FILES              name=path,...: keys of which the backup notes fingerprints
  PENSTOCK_BACKUP_DAILY                  30: for so many days the newest of each is kept
  PENSTOCK_BACKUP_MONTHLY                12: for so many months the first of each is kept
  PENSTOCK_BACKUP_MONGO_HISTORY          1h: how long MongoDB has to show one state
  PENSTOCK_BACKUP_STREAM_REPLICAS        0: copies of each stream that is restored; 0 for as many as it had
  PENSTOCK_BACKUP_RESTORE_ADDRESS        host:port at which Redis reaches a restore; its own address unless set

create and verify take the users of `python -m deploy.access`, restore those of your servers' operator.
"""
_HEADER = ("backup", "took", "size", "Redis", "messages", "documents", "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit status tells whether it could."""
    given = _parser().parse_args(arguments)
    needed = PARTS if given.command in {"create", "restore"} else ()  # what one part says of another is compared
    try:
        config = config_.load(os.environ, parts=needed)
    except ConfigError as error:
        print("\n".join(error.mistakes), file=sys.stderr)
        return 2
    try:
        return asyncio.run(_run(given, config))
    except (BackupError, PenstockError) as error:
        print(getattr(error, "message", None) or error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


async def _run(given: argparse.Namespace, config: Config) -> int:
    async with _shelf(config) as shelf:
        match given.command:
            case "create":
                await _create(config, shelf)
            case "list":
                await _list(shelf)
            case "verify":
                await _verify(shelf, given.backup)
            case "prune":
                await _prune(config, shelf)
            case _:
                await _restore(config, shelf, given)
    return 0


async def _create(config: Config, shelf: Shelf) -> None:
    began = time.monotonic()
    made = await Creating(config, shelf, say=_say).run()
    _say(f"backup {made.name} is made: {shown(made.bytes)} after {time.monotonic() - began:.1f} s")
    await _prune(config, shelf)


async def _list(shelf: Shelf) -> None:
    rows: list[tuple[str, ...]] = []
    for found in await shelf.found():
        if not found.is_whole:
            rows.append((found.name, "", "", "", "", "", "not finished"))
            continue
        made = await shelf.manifest(found.name)
        messages = sum(part.messages for part in made.streams)
        documents = sum(part.documents for part in made.collections)
        took = f"{(made.ended_at - made.began_at).total_seconds():.0f} s"
        redis = shown(made.file(made.redis).content_bytes)
        rows.append((made.name, took, shown(made.bytes), redis, f"{messages:,}", f"{documents:,}", ""))
    print(table(_HEADER, rows) if rows else "There is no backup.")


async def _verify(shelf: Shelf, name: str) -> None:
    made = await shelf.manifest(name)
    for file in made.files:
        await shelf.check(name, file)
        _say(f"{file.name}: {shown(file.bytes)}, as it was put")
    _say(f"backup {name} is whole: {len(made.files)} files, {shown(made.bytes)}")


async def _prune(config: Config, shelf: Shelf) -> None:
    removed = await shelf.prune(now=datetime.now(UTC), daily=config.daily, monthly=config.monthly)
    if removed:
        _say(f"removed, for they have had their time: {', '.join(removed)}")


async def _restore(config: Config, shelf: Shelf, given: argparse.Namespace) -> None:
    began = time.monotonic()
    made = await shelf.manifest(given.backup)
    restoring = Restoring(config, shelf, made, parts=given.only or PARTS, say=_say)
    await restoring.run(force=given.force, other_keys=given.other_keys)
    _say(f"backup {made.name} is restored after {time.monotonic() - began:.1f} s. It was begun {made.began_at:%c} UTC.")
    _say("Start the services, but let nobody in yet: what was erased since has to be erased again (docs/backups.md).")


@asynccontextmanager
async def _shelf(config: Config) -> AsyncGenerator[Shelf]:
    objects = await open_objects(config.objects)
    try:
        yield Shelf(objects)
    finally:
        await objects.close()


def _say(text: str) -> None:
    print(text, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.backup",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command = parser.add_subparsers(dest="command", required=True, metavar="command")
    command.add_parser("create", help="make a backup while the mesh works, and prune")
    command.add_parser("list", help="show what there is")
    command.add_parser("prune", help="remove backups that have had their time")
    verify = command.add_parser("verify", help="read a backup, and say whether it is what was put there")
    restore = command.add_parser("restore", help="load a backup into empty servers, while no service runs")
    for each in (verify, restore):
        each.add_argument("backup", help="its name, such as 20261127T021500Z; `list` shows all")
    restore.add_argument(
        "--force", action="store_true", help="first delete what there is of its streams, keys, databases"
    )
    restore.add_argument("--other-keys", action="store_true", help="go on though the keys of the mesh are others")
    restore.add_argument(
        "--only", action="append", choices=PARTS, help="load this part alone; may be given again (docs/backups.md)"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
