"""The command that carries erasures out again after a restore: what was erased stays erased.

    python -m services.history.data.reapply --since 2026-11-27T02:00:00Z

With history's own settings, while history and all other services run, and before anybody is let in. What is remembered
of erasures in the object store counts, whatever the restored database says of them. It ends with 0 when every one that
was finished since that time, or was not, has been carried out again.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from penstock.history.v1 import data_pb2

from services.history.config import Config
from services.history.data.cursor import Cursor
from services.history.data.domain import Stage
from services.history.data.erasures import MongoErasureStore
from services.history.data.messages import Phase, metadata
from services.history.data.remembering import RememberedErasures
from services.history.jobs.documents import DATABASE
from services.history.operations.domain import Kind, Operation, State, to_milliseconds
from services.history.operations.store import MongoOperationStore
from shared import config as settings
from shared import ids, mongo, observability
from shared.clock import SystemClock
from shared.objects import connect

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from services.history.data.erasures import ErasureStore
    from services.history.data.remembering import Remembered
    from shared.clock import Clock

log = observability.logger()

#: Who carries them out, in operations: a restore is nobody's call.
PRINCIPAL = "restore"
_LOOK_INTERVAL_S = 0.5


class Operations(Protocol):
    """Takes operations; `services.history.operations.store.OperationStore` is one."""

    async def add(self, operation: Operation) -> bool:
        """Adds an operation."""
        ...

    async def running_among(self, operation_ids: Collection[str]) -> set[str]:
        """Which of these run."""
        ...

    async def operation(self, tenant: str, operation_id: str) -> Operation | None:
        """An operation by its id."""
        ...


class Unfinished(Exception):
    """An erasure could not be carried out again."""


async def reapply(
    since: datetime,
    *,
    remembered: RememberedErasures,
    erasures: ErasureStore,
    operations: Operations,
    clock: Clock,
) -> int:
    """Has erasures carried out again, and returns when all have been; how many that were.

    Args:
        since: Those that were finished since then, or were not.
        remembered: Where they are remembered.
        erasures: Holds the projection to them.
        operations: What history works.
        clock: The time.

    Raises:
        Unfinished: One has ended otherwise.
        Unavailable: A server is away.
    """
    found = await remembered.since(since)
    begun = [await _begin(each, erasures=erasures, operations=operations, clock=clock) for each in found]
    await _until_ended(begun, operations)
    return len(begun)


async def _begin(remembered: Remembered, *, erasures: ErasureStore, operations: Operations, clock: Clock) -> Operation:
    """Notes it, and begins an operation that is past its grace: a new one, for the old one is as the backup has it."""
    now = to_milliseconds(clock.now())
    erasure = remembered.erasure
    operation_id = ids.new_operation_id()
    await erasures.note(replace(erasure, operation_id=operation_id), at=now)
    request = data_pb2.EraseDataRequest(tenant=erasure.tenant, connection_id=erasure.connection_id)
    operation = Operation(
        id=operation_id,
        tenant=erasure.tenant,
        principal=PRINCIPAL,
        kind=Kind.ERASE_DATA,
        request_id="",
        request=request.SerializeToString(deterministic=True),
        created_at=now,
        metadata=metadata(
            tenant=erasure.tenant,
            connection_id=erasure.connection_id,
            phase=Phase.WORKING,
            created_at=now,
            erases_at=now,
        ),
        cursor=Cursor(stage=Stage.ERASE, before=erasure.before).dump(),
        updated_at=now,
    )
    await operations.add(operation)
    log.info("erasure_begun_again", operation=operation_id, first=erasure.operation_id, owner=erasure.tenant)
    return operation


async def _until_ended(begun: Sequence[Operation], operations: Operations) -> None:
    while await operations.running_among({each.id for each in begun}):  # noqa: ASYNC110  history works them, not we
        await asyncio.sleep(_LOOK_INTERVAL_S)
    for each in begun:
        ended = await operations.operation(each.tenant, each.id)
        if ended is None or ended.state is not State.SUCCEEDED:
            why = "is gone" if ended is None else f"has ended as {ended.state}: {ended.message}"
            raise Unfinished(f"operations/{each.id}, which erases what is of {each.tenant}, {why}")


async def _main(config: Config, since: datetime) -> int:
    clock = SystemClock()
    client = await mongo.connect(config.mongo_url)
    objects = await connect(config.objects)
    try:
        done = await reapply(
            since,
            remembered=RememberedErasures(objects, clock=clock),
            erasures=MongoErasureStore(client),
            operations=MongoOperationStore(mongo.database(client, DATABASE)),
            clock=clock,
        )
    except Unfinished as error:
        print(f"reapply: {error}", file=sys.stderr)  # noqa: T201  the answer to the command
        return 1
    finally:
        await objects.close()
        await mongo.close(client)
    print(f"{done} erasures were carried out again")  # noqa: T201  the answer to the command
    return 0


def main() -> int:
    """Runs the command; answers with the status it ends with."""
    parser = argparse.ArgumentParser(prog="python -m services.history.data.reapply")
    parser.add_argument("--since", required=True, type=_time, help="when the backup began, as RFC 3339 has it")
    arguments = parser.parse_args()
    try:
        config = settings.load(Config, os.environ)
    except settings.ConfigError as error:
        for mistake in error.mistakes:
            print(f"reapply: {mistake}", file=sys.stderr)  # noqa: T201  the answer to the command
        return 2
    return asyncio.run(_main(config, arguments.since))


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text} has no time zone; write it as in 2027-01-31T12:00:00Z")
    return time.astimezone(UTC)


if __name__ == "__main__":
    sys.exit(main())
