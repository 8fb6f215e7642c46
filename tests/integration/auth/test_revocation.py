"""A revoked key, as the gateway sees it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from penstock.auth.v1 import auth_pb2

from services.auth import known_keys
from services.auth.orders import MAX_RATE_LIMIT
from shared.clock import SystemClock
from tests.integration.auth.conftest import identity_of
from tests.waiting import eventually

if TYPE_CHECKING:
    from services.auth.store import MongoStore
    from tests.identities import Identities
    from tests.integration.auth.conftest import Auth

pytestmark = pytest.mark.usefixtures("uncounted", "no_stalls")


async def make_key(auth: Auth, identities: Identities, *, rate_limit: int = 0) -> auth_pb2.CreateKeyResponse:
    async with auth.keys(identities.mint("acme")) as keys:
        return await keys.CreateKey(
            auth_pb2.CreateKeyRequest(name="laptop", scopes=["jobs:read"], rate_limit=rate_limit)
        )


async def test_a_revoked_key_is_refused_at_every_replica_within_a_second(
    auth: Auth, other_replica: Auth, identities: Identities
) -> None:
    made = await make_key(auth, identities)
    for replica in (auth, other_replica):
        assert identity_of(await replica.check(made.secret)) is not None  # and is cached there from now on
    async with auth.keys(identities.mint("acme")) as keys:
        await keys.RevokeKey(auth_pb2.RevokeKeyRequest(key_id=made.key.id))
    for replica in (auth, other_replica):

        async def is_refused(replica: Auth = replica) -> bool:
            return identity_of(await replica.check(made.secret)) is None

        await eventually(is_refused, within=1.0, what="the refusal of a revoked key")
    response = await other_replica.check(made.secret)
    assert response.denied_response.status.code == 401
    assert "revoked" in json.loads(response.denied_response.body)["error"]["message"]


async def test_revoking_a_revoked_key_answers_with_it(auth: Auth, identities: Identities) -> None:
    made = await make_key(auth, identities)
    request = auth_pb2.RevokeKeyRequest(key_id=made.key.id)
    async with auth.keys(identities.mint("acme")) as keys:
        first = await keys.RevokeKey(request)
        assert first.HasField("revoked_at")
        assert await keys.RevokeKey(request) == first
        assert await keys.GetKey(auth_pb2.GetKeyRequest(key_id=made.key.id)) == first


async def test_revoking_one_key_leaves_the_others(auth: Auth, identities: Identities) -> None:
    made, other = await make_key(auth, identities), await make_key(auth, identities)
    async with auth.keys(identities.mint("acme")) as keys:
        await keys.RevokeKey(auth_pb2.RevokeKeyRequest(key_id=made.key.id))
    assert identity_of(await auth.check(other.secret)) is not None


async def test_a_revocation_whose_signal_is_lost_takes_half_a_minute_at_most(
    auth: Auth, other_replica: Auth, identities: Identities, store: MongoStore
) -> None:
    made = await make_key(auth, identities, rate_limit=MAX_RATE_LIMIT)  # or it would be refused for asking so often
    for replica in (auth, other_replica):
        assert identity_of(await replica.check(made.secret)) is not None
    await store.revoke_key("acme", made.key.id, SystemClock().now())  # and nobody is told
    assert identity_of(await auth.check(made.secret)) is not None

    async def is_refused() -> bool:
        answers = [await replica.check(made.secret) for replica in (auth, other_replica)]
        return [answer.denied_response.status.code for answer in answers] == [401, 401]

    await eventually(is_refused, within=known_keys.TIME_TO_LIVE.total_seconds(), what="the refusal of a revoked key")
