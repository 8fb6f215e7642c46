"""Rate limits on real servers, at two replicas, and while Redis is away."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from penstock.auth.v1 import auth_pb2

from services.auth.__main__ import serve
from services.auth.domain import KeySecret
from shared.config import Secret
from tests.integration.auth.conftest import METHOD, TARGET, Auth, headers_of, identity_of
from tests.integration.auth.test_outage import is_ready
from tests.integration.auth.test_revocation import make_key
from tests.service import running
from tests.signing import signed
from tests.waiting import eventually
from tests.wires import Wire, wire_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.auth.config import Config
    from services.auth.store import MongoStore
    from tests.identities import Identities

pytestmark = pytest.mark.usefixtures("uncounted", "no_stalls")


async def limited_key(auth: Auth, identities: Identities, **fields: Any) -> auth_pb2.CreateKeyResponse:
    async with auth.keys(identities.mint("acme")) as keys:
        return await keys.CreateKey(auth_pb2.CreateKeyRequest(name="limited", scopes=["jobs:read"], **fields))


def reason_of(response: Any) -> dict[str, Any]:
    return json.loads(response.denied_response.body)["error"]["details"][0]


async def test_two_replicas_hammered_at_once_let_pass_exactly_the_limit(
    auth: Auth, other_replica: Auth, identities: Identities
) -> None:
    made = await limited_key(auth, identities, rate_limit=120)
    async with auth.gateway() as first, other_replica.gateway() as second:
        answers = await asyncio.gather(*(ask(made.secret) for _ in range(150) for ask in (first, second)))
    assert sum(identity_of(answer) is not None for answer in answers) == 120
    over = next(answer for answer in answers if identity_of(answer) is None)
    headers = headers_of(over)
    assert over.denied_response.status.code == 429
    assert reason_of(over)["metadata"] == {"scope": "key", "limit": "120"}
    assert headers["ratelimit-policy"] == '"key";q=120;w=60, "tenant";q=10000;w=60'
    assert headers["ratelimit"].startswith('"key";r=0;t=')
    assert 1 <= int(headers["retry-after"]) <= 61


async def test_an_addresses_guesses_are_counted_over_all_replicas(
    config: Config, store: MongoStore, identities: Identities
) -> None:
    few = replace(config, address_rate_limit=10)
    async with AsyncExitStack() as stack:
        replicas = [Auth(await stack.enter_async_context(running("auth", serve, few)), identities) for _ in range(2)]
        made = await make_key(replicas[0], identities)
        codes: list[int] = []
        for number in range(14):
            response = await replicas[number % 2].check(KeySecret.new().reveal())
            codes.append(response.denied_response.status.code)
        assert codes == [401] * 10 + [429] * 4
        assert reason_of(response)["metadata"] == {"scope": "address", "limit": "10"}
        for replica in replicas:
            elsewhere = await replica.check(KeySecret.new().reveal(), source="192.0.2.99")
            assert elsewhere.denied_response.status.code == 401
            assert identity_of(await replica.check(made.secret, source="192.0.2.99")) is not None
            assert identity_of(await replica.check(made.secret)) is not None, "a key in use is heard from everywhere"


async def test_a_key_works_from_its_networks_alone(auth: Auth, identities: Identities) -> None:
    made = await limited_key(auth, identities, allowed_cidrs=["198.51.100.9/24", "2001:db8::/32"], rate_limit=50)
    assert list(made.key.allowed_cidrs) == ["198.51.100.0/24", "2001:db8::/32"]
    assert made.key.rate_limit == 50
    for source in ("198.51.100.1", "::ffff:198.51.100.1", "2001:db8::5"):
        assert identity_of(await auth.check(made.secret, source=source)) is not None
    response = await auth.check(made.secret, source="198.51.101.1")
    assert response.denied_response.status.code == 403
    assert reason_of(response)["reason"] == "PERMISSION_DENIED"
    assert reason_of(response)["metadata"] == {"address": "198.51.101.1"}


@pytest.fixture
async def wire(redis_url: str) -> AsyncIterator[Wire]:
    server = urlsplit(redis_url)
    async with wire_to(server.hostname or "", server.port or 0) as wire:
        yield wire


@pytest.fixture
async def severed_auth(config: Config, wire: Wire, store: MongoStore, identities: Identities) -> AsyncIterator[Auth]:
    severable = replace(
        config, redis_url=Secret(wire.on_the_way_to(config.redis_url.reveal())), limit_share_without_redis=0.5
    )
    async with running("auth", serve, severable) as address:
        yield Auth(address, identities)
        await wire.mend()


async def test_without_redis_a_share_of_the_limit_passes_and_the_limit_again_when_it_is_back(
    severed_auth: Auth, wire: Wire, identities: Identities
) -> None:
    made = await limited_key(severed_auth, identities, rate_limit=40)
    async with severed_auth.gateway() as ask:
        for _ in range(10):
            assert identity_of(await ask(made.secret)) is not None
        await wire.cut()
        answers = await asyncio.gather(*(ask(made.secret) for _ in range(100)))
        assert sum(identity_of(answer) is not None for answer in answers) == 20
        assert {answer.denied_response.status.code for answer in answers if identity_of(answer) is None} == {429}
        await wire.mend()

        async def is_shared() -> bool:
            return f"r={40 - 10 - 1};" in headers_of(await ask(made.secret))["ratelimit"]

        await eventually(is_shared, within=150, what="the limits that all replicas share")
        answers = await asyncio.gather(*(ask(made.secret) for _ in range(60)))
    assert sum(identity_of(answer) is not None for answer in answers) == 29


async def test_auth_stays_ready_without_redis_and_shows_that_it_is_away(severed_auth: Auth, wire: Wire) -> None:
    async def is_shown_away() -> bool:
        return not await is_ready(severed_auth, "dependency/redis")

    assert await is_ready(severed_auth, "dependency/redis")
    await wire.cut()
    await eventually(is_shown_away, within=150, what="Redis shown as away")
    assert await is_ready(severed_auth)
    await wire.mend()
    await eventually(lambda: is_ready(severed_auth, "dependency/redis"), within=150, what="Redis shown as back")


async def test_auth_starts_without_redis(
    config: Config, wire: Wire, store: MongoStore, identities: Identities, auth: Auth
) -> None:
    made = await limited_key(auth, identities, rate_limit=8)
    await wire.cut()
    severed = replace(
        config, redis_url=Secret(wire.on_the_way_to(config.redis_url.reveal())), limit_share_without_redis=0.5
    )
    async with running("auth", serve, severed) as address:
        started = Auth(address, identities)
        assert await is_ready(started)
        answers = [await started.check(made.secret) for _ in range(5)]
        assert sum(identity_of(answer) is not None for answer in answers) == 4
        await wire.mend()


async def test_without_redis_no_signed_request_passes_and_none_of_before_passes_again(
    severed_auth: Auth, wire: Wire, identities: Identities
) -> None:
    made = await make_key(severed_auth, identities)
    passed, tried = signed(made.secret, METHOD, TARGET), signed(made.secret, METHOD, TARGET)
    async with severed_auth.gateway() as ask:
        assert identity_of(await ask(passed)) is not None
        await wire.cut()
        answers = await asyncio.gather(*(ask(headers) for headers in [passed, tried] * 10))
        assert {answer.denied_response.status.code for answer in answers} == {503}
        assert identity_of(await ask(made.secret)) is not None, "the key itself goes on"
        await wire.mend()

        async def passes() -> bool:
            return identity_of(await ask(signed(made.secret, METHOD, TARGET))) is not None

        await eventually(passes, within=150, what="signed requests after Redis is back")
        assert "used before" in (await ask(passed)).denied_response.body
