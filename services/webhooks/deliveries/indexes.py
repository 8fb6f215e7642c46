"""How deliveries are found: an index for every filter, and for every two of them, that is read in the list's order.

In all but one the state stands before the time, so that the few that have failed are found among the many that were
delivered; a list of several states, or of all, is merged of theirs. What tells of one thing is little, and is looked
through.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pymongo import ASCENDING, DESCENDING, IndexModel

from services.webhooks.deliveries.domain import State

if TYPE_CHECKING:
    from pymongo.asynchronous.collection import AsyncCollection

    from services.webhooks.deliveries.filters import DeliveryFilter
    from shared.mongo import Document
    from shared.paging import Position

NEWEST_FIRST = [("created_at", DESCENDING), ("_id", DESCENDING)]
OLDEST_FIRST = [("created_at", ASCENDING), ("_id", ASCENDING)]
_OF_ENDPOINTS: Document = {"endpoint_id": {"$gt": ""}}  # callbacks have none
_LISTS = [
    IndexModel([("tenant", 1), ("state", 1), *NEWEST_FIRST], name="state_newest_first"),
    IndexModel([("tenant", 1), ("event_type", 1), ("state", 1), *NEWEST_FIRST], name="type_newest_first"),
    IndexModel(
        [("tenant", 1), ("endpoint_id", 1), ("state", 1), *NEWEST_FIRST],
        name="endpoint_newest_first",
        partialFilterExpression=_OF_ENDPOINTS,
    ),
    IndexModel(
        [("tenant", 1), ("endpoint_id", 1), ("event_type", 1), ("state", 1), *NEWEST_FIRST],
        name="endpoint_type_newest_first",
        partialFilterExpression=_OF_ENDPOINTS,
    ),
    IndexModel([("tenant", 1), ("about", 1), *NEWEST_FIRST], name="about_newest_first"),
]
#: What the version before endpoints has left to be done; see `upgrade`.
_EARLIER = IndexModel(
    "host", name="earlier", partialFilterExpression={"state": State.PENDING, "host": {"$exists": True}}
)
#: Of what has ended alone is asked, tenant by tenant.
_ENDED = IndexModel([("tenant", 1), ("finished_at", 1)], name="ended")
_RETENTION = "retention"
#: As long as any tenant may have deliveries kept: `retention` sees to less, and MongoDB to this.
MOST_KEPT = timedelta(days=366)
#: Which the version before had, and nobody asks any more.
_OUT_OF_USE = "due"


async def prepare(deliveries: AsyncCollection[Document]) -> None:
    """Makes the indexes, where they are not there yet; the version before had the mesh's own retention in one."""
    seconds = int(MOST_KEPT.total_seconds())
    present = await deliveries.index_information()
    if present.get(_RETENTION, {}).get("expireAfterSeconds", seconds) != seconds:
        await deliveries.database.command(
            "collMod", deliveries.name, index={"name": _RETENTION, "expireAfterSeconds": seconds}
        )
    retained = IndexModel("finished_at", name=_RETENTION, expireAfterSeconds=seconds)
    await deliveries.create_indexes([*_LISTS, _EARLIER, _ENDED, retained])
    if _OUT_OF_USE in present:
        await deliveries.drop_index(_OUT_OF_USE)


def name_for(wanted: DeliveryFilter) -> str:
    """The index that finds what is wanted."""
    if wanted.about:
        return "about_newest_first"
    if wanted.endpoint_id:
        return "endpoint_type_newest_first" if wanted.event_type else "endpoint_newest_first"
    return "type_newest_first" if wanted.event_type else "state_newest_first"


def query(
    tenant: str, wanted: DeliveryFilter, *, after: Position | None = None, oldest_first: bool = False
) -> Document:
    """Asks for what is wanted, as far as it comes after the position.

    The position bounds the time too, and not only by its alternatives: no index is entered by those.
    """
    exact = {"endpoint_id": wanted.endpoint_id, "event_type": wanted.event_type, "about": wanted.about}
    asked: Document = {"tenant": tenant, **{name: value for name, value in exact.items() if value}}
    asked["state"] = {"$in": list(wanted.states or State)}
    bounds: list[Document] = []
    if wanted.created_after is not None:
        bounds.append({"created_at": {"$gte": wanted.created_after}})
    if wanted.created_before is not None:
        bounds.append({"created_at": {"$lt": wanted.created_before}})
    if after is not None:
        beyond = "$gt" if oldest_first else "$lt"
        bounds.append({"created_at": {f"{beyond}e": after.created_at}})
        bounds.append({"$or": [{"created_at": {beyond: after.created_at}}, {"_id": {beyond: after.id}}]})
    return asked | ({"$and": bounds} if bounds else {})
