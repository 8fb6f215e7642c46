"""Fixtures of every tier: real servers once a run, an empty one for each test, and identities."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import hypothesis
import nats.js.errors
import pytest

from deploy.local import keys
from shared import bus as bus_
from shared import kv, lifecycle
from shared import mongo as mongo_
from shared import objects as objects_
from shared.config import Secret
from shared.streams import StreamLimits
from tests import object_stores
from tests import servers as servers_
from tests.identities import Identities
from tests.stalls import watching_for_stalls
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from deploy.local.stack import Stack
    from shared.bus import Bus
    from shared.objects import Objects, ObjectSettings
    from tests.docs.stack import DocsStack
    from tests.e2e.mesh import Mesh

# How long an example takes says more about what else the machine does. To explain a failure, hypothesis would trace all
# examples where coverage does not, and take as long.
hypothesis.settings.register_profile(
    "untimed",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    phases=[phase for phase in hypothesis.Phase if phase is not hypothesis.Phase.explain],
)
hypothesis.settings.load_profile("untimed")


def pytest_collection_finish() -> None:
    """The garbage collector walks over no collected tests again and again, as it walks over no modules in a service."""
    lifecycle._calm_garbage_collection()


@pytest.fixture(scope="session")
def servers() -> Iterator[Stack]:
    """NATS, Redis, MongoDB and the object store, once a run; `object_store` waits for the last one."""
    with servers_.servers() as stack:
        yield stack


@pytest.fixture(scope="session")
def nats_url(servers: Stack) -> str:
    return servers.layout.nats_url


@pytest.fixture(scope="session")
def redis_url(servers: Stack) -> str:
    return servers.layout.redis_url


@pytest.fixture(scope="session")
def mongo_url(servers: Stack) -> str:
    return servers.layout.mongo_url


@pytest.fixture(scope="session")
def object_store(servers: Stack) -> Stack:
    """The same, when the object store answers too."""
    servers_.wait_for_objects(servers)
    return servers


@pytest.fixture(scope="session")
def object_settings(object_store: Stack) -> ObjectSettings:
    """How its bucket is reached."""
    return object_stores.settings_of(object_store)


@pytest.fixture(scope="session")
def stack() -> Iterator[DocsStack]:
    """One whole mesh by `make up`, for all pages and both SDKs."""
    from tests.docs.stack import docs_stack  # noqa: PLC0415 - what it takes would cost every other run a second

    with docs_stack() as running:
        yield running


@pytest.fixture
async def objects(object_settings: ObjectSettings) -> AsyncIterator[Objects]:
    """An empty object store."""
    objects = await objects_.connect(object_settings)
    await object_stores.empty(objects)
    yield objects
    await objects.close()


@pytest.fixture(scope="session")
def whole_mesh() -> Iterator[Mesh]:
    """Its services have their own users on every server; after all tests none of them has been refused anything."""
    from tests.e2e import mesh  # noqa: PLC0415  most runs start none

    with mesh.mesh() as running:
        yield running
        assert running.refusals() == []


@pytest.fixture(scope="session")
def identities(tmp_path_factory: pytest.TempPathFactory) -> Identities:
    """Key material of every issuer, and tokens under it."""
    folder = tmp_path_factory.mktemp("identities")
    keys.make_secrets(folder)
    return Identities(folder)


@pytest.fixture
def mint(identities: Identities) -> Callable[..., str]:
    """`mint(tenant, scopes)`: the identity token of an API key."""
    return identities.mint


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[kv.Client]:
    """An empty Redis."""
    client = await kv.connect(Secret(redis_url))
    await client.flushall()
    yield client
    await kv.close(client)


@pytest.fixture
async def empty_nats(servers: Stack) -> AsyncIterator[Bus]:
    """A NATS without any stream; the test, or a service in it, applies its own."""
    bus = await bus_.connect(Secret(servers.layout.nats_url), "test")
    await _delete_everything(bus)
    await eventually(lambda: not _on_disk(servers), what="the end of the streams' folders")
    yield bus
    await bus.close()


@pytest.fixture
async def bus(empty_nats: Bus) -> Bus:
    """A NATS with the mesh's streams, empty, and without consumers."""
    await empty_nats.apply_streams(StreamLimits(replicas=1, max_bytes=256 * 1024**2))
    return empty_nats


@pytest.fixture
async def mongo(mongo_url: str) -> AsyncIterator[mongo_.Client]:
    """A MongoDB without databases of ours."""
    client = await mongo_.connect(Secret(mongo_url))
    for name in await client.list_database_names():
        if name not in {"admin", "config", "local"}:
            await client.drop_database(name)
    yield client
    await mongo_.close(client)


@pytest.fixture
def uncounted() -> Iterator[None]:
    """Counts no coverage meanwhile: for a test that runs what others run too, and takes half the processor time so.

    Named before `no_stalls`, it has that fixture allow what is allowed where nothing is counted.
    """
    traced = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(traced)


@pytest.fixture
def no_stalls() -> Iterator[None]:
    """Fails the test when one step of the event loop keeps the processor for over 100 ms.

    For tests that run a service in this process: `pytestmark = pytest.mark.usefixtures("no_stalls")`.
    """
    with watching_for_stalls():
        yield


async def _delete_everything(bus: Bus) -> None:
    jetstream = bus._jetstream
    for stream in await jetstream.streams_info():
        try:
            await jetstream.delete_stream(stream.config.name or "")
        except nats.js.errors.NotFoundError:  # deleted meanwhile by what the test before has left running
            continue


def _on_disk(servers: Stack) -> list[Path]:
    """The folders of streams.

    The server removes them after it has said that a stream is deleted; one made again under that name too soon finds
    the old messages, or cannot be stored ("error creating store for stream").
    """
    try:
        return list((servers.layout.data / "nats" / "jetstream" / "$G" / "streams").iterdir())
    except FileNotFoundError:  # with the last of them goes the folder that held them
        return []
