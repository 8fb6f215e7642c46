"""The services, as those that hold something: each is asked over its HoldingService, history itself without a call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Protocol

from penstock.holdings.v1 import holdings_pb2

from services.history.data.domain import StoreState
from shared.times import timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from penstock.history.v1 import data_pb2
    from penstock.holdings.v1.holdings_pb2_grpc import HoldingServiceAsyncStub

    from shared.holdings import HoldingServicer

#: Of one call: a service works for about two seconds on each.
_TIMEOUT_S = 6.0


@dataclass(frozen=True, slots=True)
class HeldPage:
    """Some of what a service holds: each with its store, as JSON."""

    holdings: Sequence[tuple[str, str]]
    #: For the next page; empty where this is the last.
    token: str


@dataclass(frozen=True, slots=True)
class HeldErased:
    """What became of what a service held."""

    stores: Sequence[StoreState]
    #: Something may be left.
    more: bool

    @property
    def removed(self) -> int:
        """How many documents, keys and objects, of all stores."""
        return sum(store.removed for store in self.stores)


class Holder(Protocol):
    """A service that holds something. Both raise `Unavailable` or `DeadlineExceeded` where it is away."""

    async def export(self, tenant: str, connection_id: str, token: str) -> HeldPage:
        """A page of what it holds."""
        ...

    async def erase(
        self, tenant: str, connection_id: str, *, before: datetime, job_ids: Sequence[str] = ()
    ) -> HeldErased:
        """Has it erase what it holds of before a time, or a part of it."""
        ...


class RemoteHolder:
    """Another service.

    Args:
        stub: Asks it.
    """

    def __init__(self, stub: HoldingServiceAsyncStub) -> None:
        self._stub = stub

    async def export(self, tenant: str, connection_id: str, token: str) -> HeldPage:
        """See `Holder`."""
        request = holdings_pb2.ExportHoldingsRequest(tenant=tenant, connection_id=connection_id, page_token=token)
        return _page(await self._stub.ExportHoldings(request, timeout=_TIMEOUT_S))

    async def erase(
        self, tenant: str, connection_id: str, *, before: datetime, job_ids: Sequence[str] = ()
    ) -> HeldErased:
        """See `Holder`."""
        request = holdings_pb2.EraseHoldingsRequest(
            tenant=tenant, connection_id=connection_id, before=timestamp(before), job_ids=job_ids
        )
        return _erased(await self._stub.EraseHoldings(request, timeout=_TIMEOUT_S))


class OwnHoldings:
    """History itself.

    Args:
        servicer: Over its own shelves.
    """

    def __init__(self, servicer: HoldingServicer) -> None:
        self._servicer = servicer

    async def export(self, tenant: str, connection_id: str, token: str) -> HeldPage:
        """See `Holder`."""
        request = holdings_pb2.ExportHoldingsRequest(tenant=tenant, connection_id=connection_id, page_token=token)
        return _page(await self._servicer.export(request))

    async def erase(
        self, tenant: str, connection_id: str, *, before: datetime, job_ids: Sequence[str] = ()
    ) -> HeldErased:
        """See `Holder`."""
        request = holdings_pb2.EraseHoldingsRequest(
            tenant=tenant, connection_id=connection_id, before=timestamp(before), job_ids=job_ids
        )
        return _erased(await self._servicer.erase(request))


def store_state(report: data_pb2.StoreReport) -> StoreState:
    """What is known of a store, by its report."""
    return StoreState(
        store=report.store,
        removed=report.removed,
        forgets_by=report.forgets_by.ToDatetime(tzinfo=UTC) if report.HasField("forgets_by") else None,
        note=report.note,
    )


def _page(answer: holdings_pb2.ExportHoldingsResponse) -> HeldPage:
    return HeldPage([(each.store, each.json) for each in answer.holdings], answer.next_page_token)


def _erased(answer: holdings_pb2.EraseHoldingsResponse) -> HeldErased:
    return HeldErased([store_state(each) for each in answer.stores], answer.more)
