"""Signed requests on real servers: once at all replicas together, and by keys as they are kept."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from penstock.auth.v1 import auth_pb2

from services.auth import known_keys, windows
from services.auth.bootstrap import bootstrap
from services.auth.config import BootstrapConfig
from services.auth.orders import KeyOrder
from services.auth.store import DATABASE
from shared import kv
from shared.clock import SystemClock
from tests.integration.auth.conftest import METHOD, TARGET, identity_of
from tests.integration.auth.test_revocation import make_key
from tests.integration.auth.test_rotation import rotate
from tests.signing import signed
from tests.waiting import eventually

if TYPE_CHECKING:
    from services.auth.config import Config
    from shared.mongo import Client
    from tests.identities import Identities
    from tests.integration.auth.conftest import Auth

pytestmark = pytest.mark.usefixtures("no_stalls", "patient")

COPIES = 50


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither Redis nor MongoDB is away because this machine is busy."""
    monkeypatch.setattr(windows, "PATIENCE", kv.TIMEOUT)
    monkeypatch.setattr(known_keys, "LOOKUP_TIMEOUT", timedelta(seconds=30))


def sign(secret: str, **changes: Any) -> dict[str, str]:
    return signed(secret, METHOD, TARGET, **changes)


def message_of(response: Any) -> str:
    return json.loads(response.denied_response.body)["error"]["message"]


async def test_of_a_hundred_copies_at_two_replicas_exactly_one_passes(
    auth: Auth, other_replica: Auth, identities: Identities, redis: kv.Client
) -> None:
    made = await make_key(auth, identities)
    async with auth.gateway() as first, other_replica.gateway() as second:
        for _ in range(5):
            headers = sign(made.secret)
            answers = await asyncio.gather(*(ask(headers) for _ in range(COPIES) for ask in (first, second)))
            assert sum(identity_of(answer) is not None for answer in answers) == 1
            refused = [answer for answer in answers if identity_of(answer) is None]
            assert {answer.denied_response.status.code for answer in refused} == {401}
            assert all("used before" in message_of(answer) for answer in refused)
        answers = await asyncio.gather(*(ask(sign(made.secret)) for _ in range(COPIES) for ask in (first, second)))
        assert all(identity_of(answer) is not None for answer in answers), "each of them was signed by itself"
    nonces = [name async for name in redis.scan_iter(match="{auth:tenant:acme}:nonce:*")]
    assert len(nonces) == 5 + 2 * COPIES
    assert all([600_000 < await redis.pttl(name) <= 660_000 for name in nonces])


async def test_nonces_are_bound_by_the_limit_of_their_key(auth: Auth, identities: Identities, redis: kv.Client) -> None:
    async with auth.keys(identities.mint("acme")) as keys:
        made = await keys.CreateKey(auth_pb2.CreateKeyRequest(name="limited", scopes=["jobs:read"], rate_limit=10))
    async with auth.gateway() as ask:
        answers = await asyncio.gather(*(ask(sign(made.secret)) for _ in range(60)))
    assert sum(identity_of(answer) is not None for answer in answers) == 10
    assert len([name async for name in redis.scan_iter(match="{auth:tenant:acme}:nonce:*")]) == 10


async def test_a_key_of_the_bootstrap_command_signs(auth: Auth, config: Config) -> None:
    order = KeyOrder(tenant="dev", name="laptop", scopes=("jobs:read",))
    settings = BootstrapConfig(mongo_url=config.mongo_url, key_pepper=config.key_pepper, sealing_key=config.sealing_key)
    secret = await bootstrap(settings, order, clock=SystemClock(), patience=timedelta(seconds=10))
    assert identity_of(await auth.check(sign(secret))) is not None


async def test_both_secrets_of_a_rotated_key_sign_at_every_replica(
    auth: Auth, other_replica: Auth, identities: Identities
) -> None:
    made = await make_key(auth, identities)
    for replica in (auth, other_replica):
        assert identity_of(await replica.check(sign(made.secret))) is not None
    rotated = await rotate(auth, identities, made.key.id, None)
    for replica in (auth, other_replica):
        for secret in (made.secret, rotated.secret):
            token = identity_of(await replica.check(sign(secret)))
            assert token is not None
            assert identities.verifier().verify(token).id == made.key.id


async def test_a_key_that_is_older_than_signed_requests_signs_once_it_is_rotated(
    auth: Auth, identities: Identities, mongo: Client
) -> None:
    made = await make_key(auth, identities)
    await mongo[DATABASE]["keys"].update_one({"_id": made.key.id}, {"$unset": {"signing_key": ""}})
    assert identity_of(await auth.check(made.secret)) is not None
    assert "rotate a key that is older" in message_of(await auth.check(sign(made.secret)))
    rotated = await rotate(auth, identities, made.key.id, None)
    assert identity_of(await auth.check(sign(rotated.secret))) is not None
    assert identity_of(await auth.check(sign(made.secret))) is None
    assert identity_of(await auth.check(made.secret)) is not None


async def test_the_database_has_nothing_to_sign_with(auth: Auth, identities: Identities, mongo: Client) -> None:
    made = await make_key(auth, identities)
    document = await mongo[DATABASE]["keys"].find_one({"_id": made.key.id})
    assert document is not None
    kept = {name: value for name, value in document.items() if isinstance(value, bytes)}
    assert set(kept) == {"digest", "signing_key"}
    for key in kept.values():
        assert identity_of(await auth.check(sign(made.secret, key=key))) is None
    assert identity_of(await auth.check(sign(made.secret))) is not None


async def test_a_revoked_key_signs_no_more_at_any_replica(
    auth: Auth, other_replica: Auth, identities: Identities
) -> None:
    made = await make_key(auth, identities)
    for replica in (auth, other_replica):
        assert identity_of(await replica.check(sign(made.secret))) is not None
    async with auth.keys(identities.mint("acme")) as keys:
        await keys.RevokeKey(auth_pb2.RevokeKeyRequest(key_id=made.key.id))
    for replica in (auth, other_replica):

        async def is_refused(replica: Auth = replica) -> bool:
            return identity_of(await replica.check(sign(made.secret))) is None

        await eventually(is_refused, within=1.0, what="the end of a revoked key's signatures")
