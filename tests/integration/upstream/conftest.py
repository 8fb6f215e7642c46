from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from services.upstream.connector import CallRequest
from services.upstream.connectors.http import HttpConnector
from services.upstream.domain import MAX_INLINE_BYTES
from services.upstream.http_client import HttpClient
from shared.addresses import AddressGuard
from shared.clock import SystemClock
from tests.fakes import far_end as far_end_
from tests.fakes.contents import ContentStore
from tests.integration.upstream.mesh import Mesh
from tests.integration.upstream.scheduler import SchedulerStandIn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from services.upstream.domain import Outcome
    from shared.bus import Bus
    from tests.fakes.far_end import FarEnd
    from tests.identities import Identities


#: Small, so that what is larger is soon made.
MAX_RESULT_BYTES = 2 * MAX_INLINE_BYTES


class MakeCall(Protocol):
    """Calls a method of the connector `http`."""

    def __call__(self, method: str, url: str, *, within: float = 5.0, **params: Any) -> Awaitable[Outcome]: ...


@pytest.fixture
async def far_end() -> AsyncIterator[FarEnd]:
    async with far_end_.far_end() as far:
        yield far


@pytest.fixture
async def mesh(bus: Bus, far_end: FarEnd, identities: Identities, nats_url: str) -> AsyncIterator[Mesh]:
    scheduler = SchedulerStandIn(identities)
    await scheduler.start()
    yield Mesh(scheduler, bus, far_end, identities, nats_url)
    await scheduler.stop()


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    client = HttpClient(AddressGuard(allow_loopback=True), limit=64)
    yield client
    await client.close()


@pytest.fixture
def store() -> ContentStore:
    return ContentStore()


@pytest.fixture
def make_call(client: HttpClient, store: ContentStore) -> MakeCall:
    """Makes one call with the connector, and answers with its outcome."""
    return caller(HttpConnector(client, SystemClock()), store)


def caller(connector: HttpConnector, store: ContentStore | None = None) -> MakeCall:
    store = store or ContentStore()

    def make(method: str, url: str, *, within: float = 5.0, **params: Any) -> Awaitable[Outcome]:
        found = connector.upstream.method(f"http.{method}")
        assert found is not None
        request = CallRequest(
            job_id="http-0198c6f2-0000-7000-8000-000000000000",
            tenant="acme",
            method=found,
            params={"url": url, **params},
            timeout=timedelta(seconds=within),
            result=store.place(at_most=MAX_RESULT_BYTES),
            uploads=store.uploads(),
        )
        return connector.call(request)

    return make
