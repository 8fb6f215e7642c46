"""HoldingService: the same in every service, over shelves of its own."""

from __future__ import annotations

import asyncio
from datetime import UTC
from typing import TYPE_CHECKING, Any

from penstock.history.v1 import data_pb2
from penstock.holdings.v1 import holdings_pb2, holdings_pb2_grpc

from shared import crash_points, ids, observability
from shared.crash_points import CrashPoint
from shared.errors import InvalidArgument, shown
from shared.holdings.domain import MOST_AT_ONCE, Subject
from shared.times import timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    import grpc

    from shared.holdings.domain import Erased, Shelf

log = observability.logger()

#: Its full name.
SERVICE = "penstock.holdings.v1.HoldingService"
#: Within which one answer goes on with the steps of a shelf that has more.
_PATIENCE_S = 2.0
#: An answer stays far below the limit of messages.
_MOST_CHARACTERS = 2 * 1024 * 1024


class HoldingServicer(holdings_pb2_grpc.HoldingServiceServicer):
    """Answers history.

    Args:
        shelves: All that the service holds, in the order in which it is erased: what brings other things about comes
            first.
    """

    def __init__(self, shelves: Sequence[Shelf]) -> None:
        self._shelves = shelves

    async def ExportHoldings(  # noqa: N802  gRPC's name
        self, request: holdings_pb2.ExportHoldingsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> holdings_pb2.ExportHoldingsResponse:
        """A page of what is held."""
        del context
        return await self.export(request)

    async def EraseHoldings(  # noqa: N802  gRPC's name
        self, request: holdings_pb2.EraseHoldingsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> holdings_pb2.EraseHoldingsResponse:
        """Erases what is held, or as much of it as a few seconds allow."""
        del context
        return await self.erase(request)

    async def export(self, request: holdings_pb2.ExportHoldingsRequest) -> holdings_pb2.ExportHoldingsResponse:
        """A page of what is held.

        Raises:
            InvalidArgument: A field is wrong.
            Unavailable: A store is away.
        """
        subject = _subject(request.tenant, request.connection_id)
        index, after = self._position(request.page_token)
        answer = holdings_pb2.ExportHoldingsResponse()
        characters = 0
        while index < len(self._shelves) and len(answer.holdings) < MOST_AT_ONCE and characters < _MOST_CHARACTERS:
            shelf = self._shelves[index]
            page = await shelf.export(subject, after)
            answer.holdings.extend(holdings_pb2.Holding(store=shelf.name, json=text) for text in page.texts)
            characters += sum(map(len, page.texts))
            index, after = (index, page.after) if page.after else (index + 1, "")
        if index < len(self._shelves):
            answer.next_page_token = f"{index}:{after}"
        return answer

    async def erase(self, request: holdings_pb2.EraseHoldingsRequest) -> holdings_pb2.EraseHoldingsResponse:
        """Erases what is held, or as much of it as a few seconds allow.

        Raises:
            InvalidArgument: A field is wrong.
            Unavailable: A store is away; any part may be erased.
        """
        if not request.HasField("before"):
            raise InvalidArgument.field("before", "is missing; it takes the time before which things go")
        if len(request.job_ids) > MOST_AT_ONCE:
            raise InvalidArgument.field("jobIds", f"are {len(request.job_ids)}; it takes {MOST_AT_ONCE} at most")
        subject = _subject(request.tenant, request.connection_id, tuple(request.job_ids))
        before = request.before.ToDatetime(tzinfo=UTC)
        answer = holdings_pb2.EraseHoldingsResponse()
        ends_at = asyncio.get_running_loop().time() + _PATIENCE_S
        for shelf in self._shelves:
            removed = 0
            while True:
                erased = await shelf.erase(subject, before=before)
                removed += erased.removed
                if not erased.more or asyncio.get_running_loop().time() >= ends_at:
                    break
            if removed:
                crash_points.reach(CrashPoint.SHELF_ERASED)
            answer.more |= erased.more or erased.pending
            report = _report(shelf.name, erased, removed=removed)
            if report is not None:
                answer.stores.append(report)
        removed = sum(store.removed for store in answer.stores)
        log.info("holdings_erased", owner=request.tenant, connection=request.connection_id or None, removed=removed)
        return answer

    def _position(self, token: str) -> tuple[int, str]:
        if not token:
            return 0, ""
        index, colon, after = token.partition(":")
        if not colon or not index.isdecimal() or int(index) >= len(self._shelves):
            raise InvalidArgument.field("pageToken", f"is {shown(token)}, which no page has ended with")
        return int(index), after


def _subject(tenant: str, connection_id: str, job_ids: Sequence[str] = ()) -> Subject:
    if not ids.is_slug(tenant):
        raise InvalidArgument.field("tenant", f"is {shown(tenant)}, which is no tenant's name")
    if connection_id and not ids.is_connection_id(connection_id):
        raise InvalidArgument.field("connectionId", f"is {shown(connection_id)}, which is no id of a connection")
    return Subject(tenant=tenant, connection_id=connection_id, job_ids=job_ids)


def _report(store: str, erased: Erased, *, removed: int) -> data_pb2.StoreReport | None:
    """What is said of a shelf; None where there is nothing to say."""
    if not removed and erased.forgets_by is None and not erased.note:
        return None
    report = data_pb2.StoreReport(store=store, removed=removed, note=erased.note)
    if erased.forgets_by is not None:
        report.forgets_by.CopyFrom(timestamp(erased.forgets_by))
    return report
