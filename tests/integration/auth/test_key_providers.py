"""Auth with a key provider that is another machine: away at the start, away later, and changed for another one."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from aiobotocore.session import get_session
from penstock.auth.v1 import auth_pb2

from services.auth.__main__ import serve
from services.auth.connections.sealing.aws_kms import AwsKms
from services.auth.connections.sealing.kms_settings import KmsSettings
from shared import errors
from tests.integration.auth.conftest import Auth
from tests.integration.auth.test_connections import bearer, create, credential, delete, update
from tests.integration.auth.test_data_keys import later, listed, rotate, until_resealed
from tests.integration.auth.test_outage import is_ready
from tests.integration.auth.test_tenants import refused
from tests.kms import CREDENTIALS, REGION, running_kms
from tests.service import running
from tests.waiting import eventually
from tests.wires import Wire, wire_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from services.auth.config import Config
    from services.auth.store import MongoStore
    from shared.mongo import Client
    from tests.identities import Identities

pytestmark = pytest.mark.usefixtures("no_stalls")

DATA_KEY = bytes(range(32))
KEY_PROVIDER = "dependency/key_provider"


@pytest.fixture(scope="module")
def kms_url() -> Iterator[str]:
    with running_kms() as url:
        yield url


@pytest.fixture
async def wire(kms_url: str) -> AsyncIterator[Wire]:
    server = urlsplit(kms_url)
    async with wire_to(server.hostname or "", server.port or 0) as wire:
        yield wire


@pytest.fixture
async def kms(kms_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """The driver's own client."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    async with get_session().create_client("kms", region_name=REGION, endpoint_url=kms_url) as client:
        yield client


@pytest.fixture
async def settings(kms: Any, wire: Wire) -> KmsSettings:
    """A key of its own, and a way to it that can be cut."""
    made = await kms.create_key()
    return KmsSettings(key=made["KeyMetadata"]["Arn"], region=REGION, endpoint=f"http://127.0.0.1:{wire.port}")


@pytest.fixture
def with_kms(config: Config, settings: KmsSettings) -> Config:
    return replace(
        config,
        key_provider="aws-kms",
        kms_key=settings.key,
        kms_region=settings.region,
        kms_endpoint=settings.endpoint,
    )


@pytest.fixture
async def provider(settings: KmsSettings) -> AsyncIterator[AwsKms]:
    provider = AwsKms(settings)
    yield provider
    await provider.close()


async def test_kms_unwraps_a_data_key_for_its_own_id_alone(provider: AwsKms, settings: KmsSettings, kms: Any) -> None:
    wrapped = await provider.wrap(DATA_KEY, data_key_id="dk_1")
    assert (wrapped.provider, wrapped.master_key) == ("aws-kms", settings.key)
    assert DATA_KEY not in wrapped.text
    assert await provider.unwrap(wrapped, data_key_id="dk_1") == DATA_KEY
    with pytest.raises(errors.Unavailable, match="refuses: InvalidCiphertext") as raised:
        await provider.unwrap(wrapped, data_key_id="dk_2")
    assert raised.value.metadata == {"dependency": "key_provider"}
    context = {"purpose": "penstock-data-key", "id": "dk_1"}
    opened = await kms.decrypt(KeyId=settings.key, CiphertextBlob=wrapped.text, EncryptionContext=context)
    assert opened["Plaintext"] == DATA_KEY


async def test_what_kms_refuses_an_operator_can_mend(provider: AwsKms, settings: KmsSettings) -> None:
    wrapped = await provider.wrap(DATA_KEY, data_key_id="dk_1")
    unknown = settings.key.replace("key/", "key/0")
    elsewhere = AwsKms(replace(settings, key=unknown))
    for attempt in (
        elsewhere.wrap(DATA_KEY, data_key_id="dk_2"),
        elsewhere.unwrap(replace(wrapped, master_key=unknown), data_key_id="dk_1"),
    ):
        with pytest.raises(errors.Unavailable, match=r"refuses: NotFound.*an operator has to see to its key"):
            await attempt
    await elsewhere.close()
    assert await provider.unwrap(wrapped, data_key_id="dk_1") == DATA_KEY


async def test_kms_that_is_away_is_not_waited_for_long(provider: AwsKms, wire: Wire) -> None:
    await wire.cut()
    with pytest.raises(errors.Unavailable, match="does not answer"):
        await provider.wrap(DATA_KEY, data_key_id="dk_1")
    await wire.mend()
    assert (await provider.wrap(DATA_KEY, data_key_id="dk_1")).text


async def is_refused_for_the_provider(auth: Auth) -> bool:
    error = await refused(create(auth))
    return isinstance(error, errors.Unavailable) and error.metadata.get("dependency") == "key_provider"


async def test_with_kms_away_at_the_start_all_else_is_answered_and_connections_come_with_it(
    with_kms: Config, wire: Wire, store: MongoStore, identities: Identities
) -> None:
    await wire.cut()
    async with running("auth", serve, with_kms) as address:
        auth = Auth(address, identities)
        assert await is_ready(auth)
        assert not await is_ready(auth, KEY_PROVIDER)
        async with auth.keys(identities.mint("acme")) as keys:
            made = await keys.CreateKey(auth_pb2.CreateKeyRequest(name="laptop", scopes=["jobs:read"]))
        assert made.secret
        assert await is_refused_for_the_provider(auth)
        error = await refused(rotate(auth))
        assert isinstance(error, errors.Unavailable)
        await wire.mend()
        await eventually(lambda: is_ready(auth, KEY_PROVIDER), what="that the key provider is there")
        connection = await create(auth)
        assert (await credential(auth, connection)).connection_id == connection.id


async def test_with_kms_away_later_connections_are_made_and_used_on(
    with_kms: Config, wire: Wire, store: MongoStore, identities: Identities
) -> None:
    async with running("auth", serve, with_kms) as address:
        auth = Auth(address, identities)
        connection = await create(auth, secret=bearer("before"))
        await wire.cut()
        assert (await credential(auth, connection)).bearer.token == "before"
        await update(auth, connection, secret=bearer("after"))
        other = await create(auth, secret=bearer("other"))
        assert (await credential(auth, other)).bearer.token == "other"
        assert await is_ready(auth, KEY_PROVIDER)
        assert isinstance(await refused(rotate(auth)), errors.Unavailable)
        async with running("auth", serve, replace(with_kms)) as started_anew:
            replica = Auth(started_anew, identities)
            error = await refused(credential(replica, connection))
            assert isinstance(error, errors.Unavailable)
            assert await delete(replica, other)
            await wire.mend()

            async def is_usable() -> bool:
                return (await credential(replica, connection)).bearer.token == "after"

            await eventually(lambda: is_ready(replica, KEY_PROVIDER))
            await eventually(is_usable)


async def test_the_provider_is_changed_for_another_one_without_a_pause(
    config: Config, with_kms: Config, store: MongoStore, identities: Identities, mongo: Client
) -> None:
    async with running("auth", serve, config) as address:
        connection = await create(Auth(address, identities), secret=bearer("token"))
    async with running("auth", serve, with_kms) as address:
        auth = Auth(address, identities)
        assert (await credential(auth, connection)).bearer.token == "token"
        rotated = await rotate(auth)
        assert rotated.key_provider == "aws-kms"
        await until_resealed(auth, 1)
        await later(with_kms, mongo).reseal()
        assert [key.id for key in await listed(auth)] == [rotated.id]
    alone = replace(with_kms, master_keys=type(with_kms.master_keys)(""))
    async with running("auth", serve, alone) as address:
        assert (await credential(Auth(address, identities), connection)).bearer.token == "token"


async def test_the_master_key_is_changed_for_another_one_without_a_pause(
    config: Config, store: MongoStore, identities: Identities, mongo: Client
) -> None:
    secret = type(config.master_keys)
    async with running("auth", serve, config) as address:
        connection = await create(Auth(address, identities), secret=bearer("token"))
    second = f"second:{base64.b64encode(DATA_KEY).decode()}"
    both = replace(config, master_keys=secret(f"{second}\n{config.master_keys.reveal()}"))
    async with running("auth", serve, both) as address:
        auth = Auth(address, identities)
        await rotate(auth)
        await until_resealed(auth, 1)
        await later(both, mongo).reseal()
    async with running("auth", serve, replace(config, master_keys=secret(second))) as address:
        assert (await credential(Auth(address, identities), connection)).bearer.token == "token"
    async with running("auth", serve, config) as address:
        error = await refused(credential(Auth(address, identities), connection))
        assert isinstance(error, errors.Unavailable)
