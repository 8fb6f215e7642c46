"""What the version before endpoints has stored: read as it is, and its pending deliveries brought over."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from services.webhooks.deliveries.documents import COLLECTION, DATABASE
from services.webhooks.deliveries.domain import Delivery, State
from services.webhooks.deliveries.filters import DeliveryFilter
from services.webhooks.deliveries.store import MongoDeliveryStore
from services.webhooks.deliveries.upgrade import Upgrade
from shared import ids, mongo
from shared.errors import Unavailable
from tests.fakes.deliveries import NOW, SECOND, kept, make_delivery

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pymongo.asynchronous.collection import AsyncCollection

    from shared.mongo import Client, Document


class Told:
    """Receivers that note what they are told; the first telling can be made to fail."""

    def __init__(self, *, fails: bool = False) -> None:
        self.due: dict[str, datetime] = {}
        self.fails = fails

    async def note_due(self, due: Mapping[str, datetime]) -> None:
        if self.fails:
            raise Unavailable("MongoDB does not answer")
        self.due |= due


@pytest.fixture
def collection(mongo: Client) -> AsyncCollection[Document]:
    return mongo_collection(mongo)


def mongo_collection(client: Client) -> AsyncCollection[Document]:
    return mongo.database(client, DATABASE).get_collection(COLLECTION)


def earlier(host: str = "client.example", *, at: datetime = NOW, **changes: Any) -> Document:
    """A document as that version writes it."""
    job_id = ids.new_job_id("http")
    return {
        "_id": f"{job_id}:3",
        "tenant": "acme",
        "about": job_id,
        "url": f"https://{host}/hook",
        "host": host,
        "event_type": "job.succeeded",
        "event_time": at,
        "payload": b'{"type":"job.succeeded"}',
        "sealed_secret": b"sealed",
        "traceparent": "",
        "created_at": at,
        "state": "PENDING",
        "attempts": 1,
        "next_attempt_at": at,
        "claim": "of that version",
        "last_reason": "RECEIVER_STATUS",
        "last_status": 503,
        "finished_at": None,
        **changes,
    }


def as_of_now(document: Document) -> Delivery:
    like = make_delivery(host=document["host"])
    return replace(
        like,
        **{name: document[name] for name in ("about", "url", "payload", "sealed_secret", "traceparent", "attempts")},
        id=document["_id"],
        webhook_id=document["_id"],
        state=State(document["state"]),
        claim=document["claim"],
        last_reason=document["last_reason"],
        last_status=document["last_status"],
        finished_at=document["finished_at"],
    )


async def test_what_has_ended_is_read_listed_and_put_back_as_it_is(
    mongo_store: MongoDeliveryStore, collection: AsyncCollection[Document]
) -> None:
    dead = earlier(state="FAILED", finished_at=NOW)
    await collection.insert_one(dead)
    was = as_of_now(dead)
    assert await mongo_store.delivery("acme", dead["_id"]) == was
    wanted = DeliveryFilter(states=(State.FAILED,), about=dead["about"])
    assert [each.id for each in await mongo_store.deliveries("acme", wanted, limit=10)] == [was.id]
    back = await mongo_store.put_back("acme", was.id, now=NOW)
    assert back is not None
    assert (back.webhook_id, back.receiver, back.replays) == (was.id, "acme/client.example", 1)
    assert (await collection.find_one({"_id": was.id}) or {})["receiver"] == "acme/client.example"


async def test_what_still_older_ones_call_a_job_is_read_too(
    mongo_store: MongoDeliveryStore, collection: AsyncCollection[Document]
) -> None:
    document = earlier()
    oldest = {name: value for name, value in document.items() if name != "about"} | {"job_id": document["about"]}
    await collection.insert_one(oldest)
    assert await mongo_store.delivery("acme", document["_id"]) == as_of_now(document)


async def test_what_is_pending_is_brought_over_and_its_receivers_are_told(
    mongo: Client, mongo_store: MongoDeliveryStore, collection: AsyncCollection[Document]
) -> None:
    late, early, other = earlier(at=NOW + SECOND), earlier(), earlier("other.example:8443")
    ended = earlier(state="DELIVERED", finished_at=NOW)
    await collection.insert_many([late, early, other, ended])
    mine = make_delivery()
    await mongo_store.add([mine])
    told = Told()
    await Upgrade(mongo, told).bring_over()
    assert told.due == {"acme/client.example": NOW, "acme/other.example:8443": NOW}
    found = {each["_id"]: each async for each in collection.find({"receiver": {"$exists": True}})}
    assert set(found) == {late["_id"], early["_id"], other["_id"], mine.id}
    assert all("host" not in each and each["claim"] == "" for each in found.values())
    assert await mongo_store.delivery("acme", early["_id"]) == replace(as_of_now(early), claim="")
    assert await kept(mongo_store, mine) == mine


async def test_it_is_done_again_where_the_receivers_were_not_told(
    mongo: Client, mongo_store: MongoDeliveryStore, collection: AsyncCollection[Document]
) -> None:
    await collection.insert_one(earlier())
    with pytest.raises(Unavailable):
        await Upgrade(mongo, Told(fails=True)).bring_over()
    told = Told()
    await Upgrade(mongo, told).bring_over()
    assert told.due == {"acme/client.example": NOW}


async def test_the_index_of_that_version_makes_way(mongo: Client, collection: AsyncCollection[Document]) -> None:
    await collection.create_index(
        [("next_attempt_at", 1), ("host", 1)], name="due", partialFilterExpression={"state": "PENDING"}
    )
    await collection.create_index("finished_at", name="retention", expireAfterSeconds=30 * 86400)
    await MongoDeliveryStore(mongo).prepare()
    assert "due" not in await collection.index_information()
