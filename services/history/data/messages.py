"""Exports and erasures as messages: how far they are, and what they have come to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.history.v1 import data_pb2

from shared.times import timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from services.history.data.domain import StoreState

Phase = data_pb2.DataMetadata.Phase


def metadata(
    *,
    tenant: str,
    connection_id: str,
    phase: Phase.ValueType,
    created_at: datetime,
    erases_at: datetime | None = None,
    stores: Iterable[StoreState] = (),
) -> bytes:
    """How far it is, serialised."""
    message = data_pb2.DataMetadata(
        tenant=tenant,
        connection_id=connection_id,
        phase=phase,
        created_at=timestamp(created_at),
        stores=map(_report, stores),
    )
    if erases_at is not None:
        message.erases_at.CopyFrom(timestamp(erases_at))
    return message.SerializeToString()


def report(stores: Iterable[StoreState], *, at: datetime) -> bytes:
    """What an erasure has come to, serialised.

    Args:
        stores: All of which anything is known.
        at: When nothing was left to be erased.
    """
    every = sorted(stores, key=lambda each: each.store)
    forgotten_by = max([at, *(each.forgets_by for each in every if each.forgets_by is not None)])
    message = data_pb2.EraseDataResponse(stores=map(_report, every), forgotten_by=timestamp(forgotten_by))
    return message.SerializeToString()


def _report(state: StoreState) -> data_pb2.StoreReport:
    message = data_pb2.StoreReport(store=state.store, removed=state.removed, note=state.note)
    if state.forgets_by is not None:
        message.forgets_by.CopyFrom(timestamp(state.forgets_by))
    return message
