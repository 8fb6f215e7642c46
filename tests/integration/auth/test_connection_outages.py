"""What becomes of connections when MongoDB or NATS is away, or a replica dies before it has told."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import grpc
import pytest
from penstock.auth.v1 import connections_pb2

from services.auth.__main__ import serve
from shared import errors
from shared.config import Secret
from shared.crash_points import CrashPoint
from tests.integration.auth.conftest import Auth
from tests.integration.auth.test_connections import bearer, create, credential, delete, until_told, update
from tests.integration.auth.test_data_keys import rotate, until_resealed
from tests.integration.auth.test_outage import severable, severed_auth, wire  # noqa: F401  fixtures are asked for by name
from tests.integration.auth.test_process import environment, started  # noqa: F401  a fixture
from tests.integration.auth.test_tenants import refused
from tests.service import running
from tests.waiting import eventually
from tests.wires import Wire, wire_to

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from services.auth.config import Config
    from services.auth.store import MongoStore
    from shared.bus import Bus
    from tests.identities import Identities

pytestmark = pytest.mark.usefixtures("no_stalls")


async def test_with_mongodb_away_nothing_is_changed_and_known_credentials_are_given(
    severed_auth: Auth,  # noqa: F811  the fixture
    wire: Wire,  # noqa: F811  the fixture
) -> None:
    made = await create(severed_auth, secret=bearer("token"))
    assert (await credential(severed_auth, made)).bearer.token == "token"
    await wire.cut()
    for attempt in (create(severed_auth), update(severed_auth, made, display_name="x"), delete(severed_auth, made)):
        error = await refused(attempt)
        assert isinstance(error, errors.Unavailable | errors.DeadlineExceeded)
    assert (await credential(severed_auth, made)).bearer.token == "token"
    assert isinstance(await refused(rotate(severed_auth)), errors.Unavailable | errors.DeadlineExceeded)
    await wire.mend()

    async def rotated() -> bool:
        return bool((await rotate(severed_auth)).id)

    await eventually(lambda: _answered(rotated), within=150)
    await until_resealed(severed_auth, 1)
    assert (await credential(severed_auth, made)).bearer.token == "token"


async def _answered(call: Callable[[], Awaitable[bool]]) -> bool:
    try:
        return await call()
    except grpc.aio.AioRpcError:  # the driver has not found its server again
        return False


async def test_with_nats_away_a_deletion_is_told_once_it_is_back(
    config: Config, store: MongoStore, identities: Identities, bus: Bus, nats_url: str
) -> None:
    server = urlsplit(nats_url)
    async with wire_to(server.hostname or "", server.port or 0) as way:
        severed = replace(config, nats_url=Secret(way.on_the_way_to(nats_url)))
        async with running("auth", serve, severed) as address:
            auth = Auth(address, identities)
            made = await create(auth)
            await way.cut()
            await delete(auth, made)
            async with auth.connections() as connections:
                request = connections_pb2.GetConnectionRequest(connection_id=made.id)
                assert isinstance(await refused(connections.GetConnection(request)), errors.ConnectionNotFound)
            await way.mend()
            await until_told(bus, ("connection_deleted", 2))


@pytest.mark.usefixtures("store")
async def test_a_deletion_by_a_replica_that_dies_before_it_has_told_is_told_by_another(
    environment: dict[str, str],  # noqa: F811  the fixture
    config: Config,
    identities: Identities,
    bus: Bus,
    tmp_path: Path,
) -> None:
    armed = tmp_path / "crash-points"
    armed.mkdir()
    environment |= {"PENSTOCK_ENVIRONMENT": "test", "PENSTOCK_CRASH_POINTS": str(armed)}
    async with started(environment, tmp_path / "log") as (process, address):
        auth = Auth(address, identities)
        made = await create(auth, hosts=["api.example.com"])
        (armed / CrashPoint.AUTH_CONNECTION_CHANGED).touch()
        with pytest.raises(grpc.aio.AioRpcError):
            await delete(auth, made)
        assert await process.wait() == -signal.SIGKILL
    async with running("auth", serve, config) as address:
        gone = await refused(credential(Auth(address, identities), made))
        assert isinstance(gone, errors.ConnectionNotFound)
        (notice,) = await until_told(bus, ("connection_deleted", 2))
        assert notice.connection_deleted.connection_id == made.id
