"""A rotated key, as the gateway sees it at two replicas."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from google.protobuf.duration_pb2 import Duration
from penstock.auth.v1 import auth_pb2

from services.auth.domain import KeySecret
from shared import errors
from tests.integration.auth.conftest import identity_of
from tests.integration.auth.test_keys import paths, refused
from tests.integration.auth.test_revocation import make_key
from tests.waiting import eventually

if TYPE_CHECKING:
    from services.auth.store import MongoStore
    from tests.identities import Identities
    from tests.integration.auth.conftest import Auth

pytestmark = pytest.mark.usefixtures("uncounted", "no_stalls")


async def rotate(auth: Auth, identities: Identities, key_id: str, grace_s: int | None) -> auth_pb2.RotateKeyResponse:
    grace = Duration(seconds=grace_s) if grace_s is not None else None
    async with auth.keys(identities.mint("acme")) as keys:
        return await keys.RotateKey(auth_pb2.RotateKeyRequest(key_id=key_id, grace_period=grace))


async def works(replica: Auth, secret: str) -> bool:
    return identity_of(await replica.check(secret)) is not None


async def test_both_secrets_work_at_every_replica_as_the_same_principal(
    auth: Auth, other_replica: Auth, identities: Identities
) -> None:
    made = await make_key(auth, identities)
    for replica in (auth, other_replica):
        assert await works(replica, made.secret)  # and is cached there from now on
    rotated = await rotate(auth, identities, made.key.id, None)
    secret = KeySecret.parse(rotated.secret)
    assert secret is not None
    assert rotated.key.prefix == secret.prefix != made.key.prefix
    assert rotated.key.former_prefix == made.key.prefix
    day = rotated.key.former_expires_at.ToSeconds() - rotated.key.created_at.ToSeconds()
    assert 24 * 3600 <= day < 24 * 3600 + 60
    for replica in (auth, other_replica):
        for each in (made.secret, rotated.secret):
            token = identity_of(await replica.check(each))
            assert token is not None
            assert identities.verifier().verify(token).id == made.key.id
    async with other_replica.keys(identities.mint("acme")) as keys:
        shown = await keys.GetKey(auth_pb2.GetKeyRequest(key_id=made.key.id))
    assert shown == rotated.key
    assert rotated.secret not in str(shown)


@pytest.mark.parametrize("grace_s", [0, 1])
async def test_the_former_secret_stops_working_at_every_replica_when_its_grace_is_over(
    auth: Auth, other_replica: Auth, identities: Identities, grace_s: int
) -> None:
    made = await make_key(auth, identities)
    for replica in (auth, other_replica):
        assert await works(replica, made.secret)
    rotated = await rotate(auth, identities, made.key.id, grace_s)
    for replica in (auth, other_replica):

        async def is_refused(replica: Auth = replica) -> bool:
            return not await works(replica, made.secret)

        await eventually(is_refused, within=grace_s + 1.0, what="the end of the former secret")
        assert await works(replica, rotated.secret)
    response = await other_replica.check(made.secret)
    assert "rotated" in json.loads(response.denied_response.body)["error"]["message"]


async def test_a_second_rotation_ends_the_first_secret_at_every_replica(
    auth: Auth, other_replica: Auth, identities: Identities
) -> None:
    made = await make_key(auth, identities)
    second = await rotate(auth, identities, made.key.id, 3600)
    assert await works(other_replica, made.secret)
    third = await rotate(auth, identities, made.key.id, 3600)

    async def is_refused() -> bool:
        return not await works(other_replica, made.secret)

    await eventually(is_refused, within=1.0, what="the end of the first secret")
    for secret in (second.secret, third.secret):
        assert await works(other_replica, secret)


async def test_a_revocation_ends_both_secrets_at_every_replica_within_a_second(
    auth: Auth, other_replica: Auth, identities: Identities
) -> None:
    made = await make_key(auth, identities)
    rotated = await rotate(auth, identities, made.key.id, 3600)
    for secret in (made.secret, rotated.secret):
        assert await works(other_replica, secret)
    async with auth.keys(identities.mint("acme")) as keys:
        await keys.RevokeKey(auth_pb2.RevokeKeyRequest(key_id=made.key.id))

    async def are_refused() -> bool:
        return not await works(other_replica, made.secret) and not await works(other_replica, rotated.secret)

    await eventually(are_refused, within=1.0, what="the refusal of both secrets")
    async with auth.keys(identities.mint("acme")) as keys:
        error = await refused(keys.RotateKey(auth_pb2.RotateKeyRequest(key_id=made.key.id)))
    assert isinstance(error, errors.KeyNotActive)


async def test_an_answer_that_was_lost_leaves_a_key_that_can_be_rotated_again(
    auth: Auth, identities: Identities
) -> None:
    made = await make_key(auth, identities)
    await rotate(auth, identities, made.key.id, 3600)  # its caller never hears of it
    assert await works(auth, made.secret)
    again = await rotate(auth, identities, made.key.id, 3600)
    assert await works(auth, again.secret)


async def test_a_wrong_rotation_is_refused(auth: Auth, identities: Identities) -> None:
    made = await make_key(auth, identities)
    async with auth.keys(identities.mint("acme")) as keys:
        for grace in (Duration(seconds=-1), Duration(seconds=7 * 86400 + 1), Duration(seconds=10**15)):
            request = auth_pb2.RotateKeyRequest(key_id=made.key.id, grace_period=grace)
            assert paths(await refused(keys.RotateKey(request))) == ["gracePeriod"]
    async with auth.keys(identities.mint("globex")) as keys:
        error = await refused(keys.RotateKey(auth_pb2.RotateKeyRequest(key_id=made.key.id)))
        assert isinstance(error, errors.KeyNotFound)
    assert await works(auth, made.secret)


async def test_no_secret_of_a_rotated_key_is_at_rest(auth: Auth, identities: Identities, store: MongoStore) -> None:
    made = await make_key(auth, identities)
    rotated = await rotate(auth, identities, made.key.id, 3600)
    document = str(await store._keys.find_one({"_id": made.key.id}))
    for secret in (made.secret, rotated.secret):
        assert secret[16:] not in document
