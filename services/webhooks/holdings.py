"""What webhooks holds of a tenant or a connection, as it is exported and erased."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penstock.holdings.v1 import holdings_pb2_grpc

from services.webhooks.deliveries.documents import COLLECTION as DELIVERIES
from services.webhooks.deliveries.documents import DATABASE
from services.webhooks.endpoints.store import COLLECTION as ENDPOINTS
from shared import mongo
from shared.holdings import SERVICE, Erased, HoldingServicer, Shelf
from shared.holdings.mongo import MongoShelf, of_tenant
from shared.streams import ENDPOINT_CHANGED_SIGNAL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from typing import Protocol

    import grpc
    from pymongo.asynchronous.collection import AsyncCollection

    from shared.holdings import Subject
    from shared.mongo import Client, Document

    class Signals(Protocol):
        """Publishes what may be lost; `shared.bus.Bus` is one."""

        async def signal(self, subject: str, payload: bytes = b"") -> None:
            """To whoever listens now."""
            ...


_ENDPOINT_SECRETS = ("sealed_headers", "keys.sealed_secret", "keys.sealed_private_key", "slot", "untold")
_DELIVERY_SECRETS = ("sealed_secret", "claim", "receiver")
_AT_ONCE = 200
_END = "~"


def servicer(client: Client, signals: Signals) -> tuple[Callable[[Any, grpc.aio.Server], None], HoldingServicer, str]:
    """HoldingService, as the server takes it.

    Args:
        client: Of the database.
        signals: Tell that endpoints are gone.
    """
    database = mongo.database(client, DATABASE)
    receivers = database.get_collection("receivers")
    shelves: Sequence[Shelf] = (
        MongoShelf("webhooks.replays", database.get_collection("replays"), of_tenant, hidden=("hand", "position")),
        EndpointShelf(
            database.get_collection(ENDPOINTS),
            receivers=receivers,
            stats=database.get_collection("endpoint_stats"),
            signals=signals,
        ),
        MongoShelf(
            "webhooks.deliveries", database.get_collection(DELIVERIES), _deliveries_of, hidden=_DELIVERY_SECRETS
        ),
        # those of callbacks bear their tenant's name
        MongoShelf("webhooks.receivers", receivers, _receivers_of, made_at=""),
    )
    return holdings_pb2_grpc.add_HoldingServiceServicer_to_server, HoldingServicer(shelves), SERVICE


class EndpointShelf(MongoShelf):
    """Endpoints, each with its receiver and how it has fared.

    Args:
        collection: Of endpoints.
        receivers: Of receivers.
        stats: Of how endpoints fare.
        signals: Tell that they are gone.
    """

    def __init__(
        self,
        collection: AsyncCollection[Document],
        *,
        receivers: AsyncCollection[Document],
        stats: AsyncCollection[Document],
        signals: Signals,
    ) -> None:
        super().__init__("webhooks.endpoints", collection, of_tenant, hidden=_ENDPOINT_SECRETS)
        self._endpoints = collection
        self._receivers = receivers
        self._stats = stats
        self._signals = signals

    async def erase(self, subject: Subject, *, before: datetime) -> Erased:
        """See `Shelf`: by the endpoints' ids first what is kept under these, so that a crash loses nothing."""
        if subject.connection_id:
            return Erased()
        wanted = {"tenant": subject.tenant, "created_at": {"$lt": before}}
        async with mongo.translated():
            found = [
                each["_id"] for each in await self._endpoints.find(wanted, {"_id": True}).limit(_AT_ONCE).to_list()
            ]
            for endpoint_id in found:
                await self._stats.delete_many({"_id": {"$gte": f"{endpoint_id}/", "$lt": f"{endpoint_id}/{_END}"}})
            await self._receivers.delete_many({"_id": {"$in": found}})
            gone = await self._endpoints.delete_many({"_id": {"$in": found}})
        for endpoint_id in found:
            await self._signals.signal(ENDPOINT_CHANGED_SIGNAL, endpoint_id.encode())
        return Erased(removed=gone.deleted_count, more=len(found) == _AT_ONCE)


def _deliveries_of(subject: Subject) -> Document | None:
    """A tenant's; of a connection those that tell of itself or of its jobs."""
    if not subject.connection_id:
        return {"tenant": subject.tenant}
    return {"tenant": subject.tenant, "about": {"$in": [subject.connection_id, *subject.job_ids]}}


def _receivers_of(subject: Subject) -> Document | None:
    if subject.connection_id:
        return None
    return {"_id": {"$gte": f"{subject.tenant}/", "$lt": f"{subject.tenant}/{_END}"}}
