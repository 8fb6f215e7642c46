"""How long a tenant's things are kept, as history tells services that keep some; while it is away, its last answer."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol, cast

from penstock.history.v1 import retention_pb2, retention_pb2_grpc

from shared import observability
from shared.errors import PenstockError
from shared.retry import Backoff, until_done

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.lifecycle import Process

log = observability.logger()

#: Between two questions: what is changed holds everywhere so much later at most.
ASK_INTERVAL = timedelta(minutes=1)
#: For a first answer; services of a mesh that is just coming up are there by then.
PATIENCE = timedelta(seconds=15)
_BACKOFF = Backoff(initial=timedelta(milliseconds=200), maximum=timedelta(seconds=10))


class RetentionService(Protocol):
    """History's RetentionService, as far as this needs it: its stub is one."""

    async def ListRetentions(  # noqa: N802  gRPC's name
        self, request: retention_pb2.ListRetentionsRequest
    ) -> retention_pb2.ListRetentionsResponse:
        """What holds for each tenant that has a retention of its own, and for all others."""
        ...


class ToldRetentions:
    """What history has told last.

    Args:
        history: Is asked; None where a mesh has none that could be.
    """

    def __init__(self, history: RetentionService | None) -> None:
        self._history = history
        self._own: Mapping[str, retention_pb2.Retention] = {}
        self._default: retention_pb2.Retention | None = None
        self._told = asyncio.Event()

    def of(self, tenant: str) -> retention_pb2.Retention | None:
        """What holds for a tenant; None until history has answered once."""
        return self._own.get(tenant, self._default)

    async def first_answer(self, *, within: timedelta = PATIENCE) -> None:
        """Waits until history has answered once, and no longer than that, nor where nobody is asked."""
        if self._history is None:
            return
        with suppress(TimeoutError):  # it goes on without
            async with asyncio.timeout(within.total_seconds()):
                await self._told.wait()

    async def run(self) -> None:
        """Asks again and again, until canceled."""
        while True:
            await until_done(self.ask, retry_on=(PenstockError,), backoff=_BACKOFF, on_failure=self._note)
            await asyncio.sleep(ASK_INTERVAL.total_seconds())

    async def ask(self) -> None:
        """Asks once.

        Raises:
            PenstockError: History is away; what it has told last holds.
        """
        if self._history is None:
            return
        told = await self._history.ListRetentions(retention_pb2.ListRetentionsRequest())
        self._own = dict(told.retentions)
        self._default = told.default_retention
        self._told.set()

    def _note(self, error: Exception, pause: timedelta) -> None:
        log.warning(
            "retentions_not_told", error=str(error), pause_s=round(pause.total_seconds(), 2), told=self._told.is_set()
        )


def told_retentions(process: Process, address: str) -> ToldRetentions:
    """What history tells a process; its `run` is to be a loop of that.

    Args:
        process: Who asks.
        address: Of history, `host:port`; empty where nobody is asked.
    """
    if not address:
        return ToldRetentions(None)
    return ToldRetentions(cast("RetentionService", retention_pb2_grpc.RetentionServiceStub(process.channel(address))))
