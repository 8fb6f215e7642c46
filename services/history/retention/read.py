"""Reads an archive back: `python -m services.history.retention.read --tenant acme --day 2026-08-01`.

Prints the jobs of a tenant that ended on that day (UTC) as NDJSON on the standard output, as far as they are archived,
and says on the standard error what was read. Every part is held against the manifest first; one that is not as it was
archived ends the command with status 1, at once or, with `--keep-going`, after all others.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from services.history.config import Config
from services.history.retention.archive_format import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    ArchiveFaultError,
    Manifest,
    unpack,
)
from shared import ids, observability
from shared.config import Secret
from shared.errors import PenstockError
from shared.lifecycle import load_or_exit
from shared.objects import ObjectNotFoundError, ObjectTooLargeError, archive_key, open_objects

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from typing import Protocol

    from services.history.retention.archive_format import Part

    class ReadObjects(Protocol):
        """The object store, as far as this needs it: `shared.objects.Objects`."""

        async def get(self, key: str, *, at_most: int) -> bytes:
            """The bytes of an object."""
            ...

        def older(self, prefix: str, before: datetime) -> AsyncGenerator[list[str]]:
            """The keys under a prefix whose objects were put before a time, many at a time."""
            ...


PROGRAM = "history.retention.read"
_NONE = Secret("")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadConfig(Config):
    """What the command is told: the service's own environment will do, and of it the object store is enough."""

    grpc_address: str = ""
    identity_keys_file: Path = Path()
    service_key: Secret = _NONE
    nats_url: Secret = _NONE
    mongo_url: Secret = _NONE
    auth_address: str = ""
    intake_address: str = ""
    scheduler_address: str = ""
    upstream_address: str = ""
    webhooks_address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Which archive is to be read, and how."""

    tenant: str
    day: date
    keep_going: bool


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command; ends the process with status 1 where anything could not be read."""
    order = _order(arguments)
    config = load_or_exit(PROGRAM, ReadConfig)
    observability.set_up(PROGRAM, log_level=config.log_level, otlp_address="", metrics_address="")
    try:
        faults = uvloop.run(_read_from(config, order))
    except PenstockError as error:
        _say(error.message)
        raise SystemExit(1) from None
    if faults:
        raise SystemExit(1)


async def read(objects: ReadObjects, order: Order) -> int:
    """Prints the jobs of an archive; answers how many of its parts could not be read, the manifest among them.

    Raises:
        Unavailable: The object store is away.
    """
    where = archive_key(order.tenant, order.day, "")
    try:
        text = await objects.get(where + MANIFEST, at_most=MAX_MANIFEST_BYTES)
        manifest = Manifest.decode(text, tenant=order.tenant, day=order.day)
    except ObjectNotFoundError:
        _say(f"there is no archive of {order.tenant} for {order.day}: nothing was archived of that day, or it is over")
        return 1
    except (ArchiveFaultError, ObjectTooLargeError) as error:
        _say(f"{where}{MANIFEST}: {error}")
        return 1
    faults = jobs = 0
    for part in manifest.parts:
        try:
            lines = await _lines(objects, where, part)
        except (ArchiveFaultError, ObjectNotFoundError, ObjectTooLargeError) as error:
            reason = "it is not there" if isinstance(error, ObjectNotFoundError) else str(error)
            _say(f"{where}{part.name}: {reason}")
            faults += 1
            if not order.keep_going:
                _say("nothing after it was read; --keep-going reads what can be read")
                break
            continue
        jobs += len(lines)
        sys.stdout.writelines(f"{line}\n" for line in lines)
    sys.stdout.flush()
    await _say_of_others(objects, where, manifest)
    whole = sum(part.jobs for part in manifest.parts)
    _say(f"{jobs} of {whole} jobs of {order.tenant} that ended on {order.day}, from {len(manifest.parts)} parts")
    return faults


async def _read_from(config: ReadConfig, order: Order) -> int:
    objects = await open_objects(config.objects)
    try:
        return await read(objects, order)
    finally:
        await objects.close()


async def _lines(objects: ReadObjects, where: str, part: Part) -> list[str]:
    if "/" in part.name:
        raise ArchiveFaultError("it is named outside of its folder")
    body = await objects.get(where + part.name, at_most=part.bytes)
    return await asyncio.to_thread(unpack, part, body)


async def _say_of_others(objects: ReadObjects, where: str, manifest: Manifest) -> None:
    """Says what lies there beside what the manifest names."""
    named = {where + MANIFEST, *(where + part.name for part in manifest.parts)}
    async for keys in objects.older(where, datetime.max.replace(tzinfo=UTC)):
        for key in keys:
            if key not in named:
                _say(f"{key} is in no manifest, and was not read: it was never completed, or is about to be")


def _order(arguments: Sequence[str] | None) -> Order:
    parser = argparse.ArgumentParser(
        prog="python -m services.history.retention.read", description="The jobs of a tenant's archived day, as NDJSON."
    )
    parser.add_argument("--tenant", required=True, type=_tenant, help="whose")
    parser.add_argument("--day", required=True, type=_day, help="on which the jobs ended, in UTC, as in 2026-08-01")
    parser.add_argument("--keep-going", action="store_true", help="read on after a part that cannot be read")
    given = parser.parse_args(arguments)
    return Order(tenant=given.tenant, day=given.day, keep_going=given.keep_going)


def _tenant(text: str) -> str:
    if not ids.is_slug(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no tenant's name; it takes a lower-case slug")
    return text


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day; write it as in 2026-08-01") from None


def _say(what: str) -> None:
    print(f"{PROGRAM}: {what}", file=sys.stderr)  # noqa: T201  for whoever ran the command


if __name__ == "__main__":
    main()
