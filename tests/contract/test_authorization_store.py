"""What any store of authorizations does: the fake in memory, and the real one in MongoDB."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from services.auth.connections.authorizing.authorization import Authorization, AuthorizationOrder, digest, new_random
from services.auth.connections.authorizing.store import AuthorizationStore, MongoAuthorizationStore
from services.auth.connections.domain import ReauthPolicy, Sealed
from services.auth.domain import to_milliseconds
from shared import mongo as mongo_
from tests.fakes.authorization_store import FakeAuthorizationStore
from tests.waiting import eventually

if TYPE_CHECKING:
    from shared.mongo import Client

MINUTE = timedelta(minutes=1)
BROWSER, OTHER_BROWSER = digest("browser"), digest("other")


@pytest.fixture
def fake_store() -> FakeAuthorizationStore:
    return FakeAuthorizationStore()


@pytest.fixture
async def mongo_store(mongo: Client) -> MongoAuthorizationStore:
    store = MongoAuthorizationStore(mongo)
    await store.prepare()
    await store.prepare()  # as the next replica does
    return store


@pytest.fixture(params=["fake_store", "mongo_store"])
def store(request: pytest.FixtureRequest) -> AuthorizationStore:
    return request.getfixturevalue(request.param)


def make(*, lasting: timedelta = MINUTE) -> Authorization:
    now = to_milliseconds(datetime.now(UTC))
    return Authorization(
        digest=digest(new_random()),
        tenant="acme",
        principal="key_1",
        order=AuthorizationOrder(
            provider="github",
            scopes=("repo", "$set"),
            display_name="$display",
            reauth_policy=ReauthPolicy.WAIT,
            connection_id="con_1",
            return_url="https://app.example/done?x=$y",
        ),
        sealed=Sealed(data_key_id="dk_1", text=b"\0\xff sealed"),
        begun_at=now,
        ends_at=now + lasting,
    )


async def added(store: AuthorizationStore, *, lasting: timedelta = MINUTE) -> Authorization:
    authorization = make(lasting=lasting)
    await store.add(authorization)
    return authorization


async def test_what_was_added_is_found_as_it_was(store: AuthorizationStore) -> None:
    authorization = await added(store)
    assert await store.find(authorization.digest) == authorization
    bare = replace(make(), order=AuthorizationOrder(provider="flickr", out_of_band=True))
    await store.add(bare)
    assert await store.find(bare.digest) == bare
    assert await store.find(digest("another")) is None


async def test_one_whose_time_is_over_is_not_there(store: AuthorizationStore) -> None:
    authorization = await added(store, lasting=timedelta(milliseconds=-1))
    assert await store.find(authorization.digest) is None
    assert not await store.bind(authorization.digest, BROWSER)
    assert not await store.claim(authorization.digest, lasting=MINUTE)


async def test_it_is_bound_to_the_first_browser_alone(store: AuthorizationStore) -> None:
    authorization = await added(store)
    assert await store.bind(authorization.digest, BROWSER)
    assert not await store.bind(authorization.digest, OTHER_BROWSER)
    found = await store.find(authorization.digest)
    assert found is not None
    assert found.browser == BROWSER


async def test_of_many_browsers_at_once_one_is_bound(store: AuthorizationStore) -> None:
    authorization = await added(store)
    bound = await asyncio.gather(*(store.bind(authorization.digest, digest(str(each))) for each in range(20)))
    assert sum(bound) == 1


async def test_of_many_claims_at_once_one_holds(store: AuthorizationStore) -> None:
    authorization = await added(store)
    claimed = await asyncio.gather(*(store.claim(authorization.digest, lasting=MINUTE) for _ in range(20)))
    assert sum(claimed) == 1


async def test_a_claim_that_was_given_back_can_be_had(store: AuthorizationStore) -> None:
    authorization = await added(store)
    assert await store.claim(authorization.digest, lasting=MINUTE)
    await store.release(authorization.digest)
    assert await store.claim(authorization.digest, lasting=MINUTE)


async def test_a_claim_whose_holder_has_died_runs_out(store: AuthorizationStore) -> None:
    authorization = await added(store)
    assert await store.claim(authorization.digest, lasting=timedelta(milliseconds=50))
    assert await eventually(lambda: store.claim(authorization.digest, lasting=MINUTE))


async def test_what_was_removed_is_gone_and_removing_it_again_is_no_fault(store: AuthorizationStore) -> None:
    authorization = await added(store)
    await store.remove(authorization.digest)
    await store.remove(authorization.digest)
    assert await store.find(authorization.digest) is None


async def test_mongodb_itself_removes_what_is_over(mongo: Client, mongo_store: MongoAuthorizationStore) -> None:
    indexes = await mongo_.database(mongo, "auth").get_collection("authorizations").index_information()
    (index,) = [each for each in indexes.values() if "expireAfterSeconds" in each]
    assert (index["key"], index["expireAfterSeconds"]) == ([("ends_at", 1)], 0)


async def test_what_is_kept_holds_no_state(mongo: Client, mongo_store: MongoAuthorizationStore) -> None:
    state = new_random()
    await mongo_store.add(replace(make(), digest=digest(state)))
    kept = await mongo_.database(mongo, "auth").get_collection("authorizations").find().to_list()
    assert len(kept) == 1
    assert state not in str(kept)
