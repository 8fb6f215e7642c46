"""Every connector, and the worked example of the page: each test of this folder is run on all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pytest

from services.upstream.connector import CallRequest, Progress
from services.upstream.connectors import every_connector
from services.upstream.domain import MAX_INLINE_BYTES
from services.upstream.http_client import HttpClient
from shared.addresses import AddressGuard
from shared.clock import SystemClock
from shared.objects import upload_key
from tests.contract.connectors.scripted import scripted_far_end
from tests.contract.connectors.specimens import SPECIMENS, UPLOAD_ID
from tests.fakes.contents import ContentStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from services.upstream.connector import Connector
    from services.upstream.credentials import Credential
    from services.upstream.domain import Method, Outcome
    from tests.contract.connectors.scripted import ScriptedFarEnd
    from tests.contract.connectors.specimens import Specimen

#: A result takes no more; small, so that what is larger is soon made.
MAX_RESULT_BYTES = 2 * MAX_INLINE_BYTES
_MADE = every_connector(cast("HttpClient", None), SystemClock())  # nothing is called with these
NAMES = [*(connector.upstream.name for connector in _MADE), "shop"]


@dataclass
class Bench:
    """A connector, its far end, and calls of it."""

    specimen: Specimen
    client: HttpClient
    connector: Connector
    far: ScriptedFarEnd
    store: ContentStore = field(default_factory=ContentStore)

    @property
    def methods(self) -> Iterator[Method]:
        """Every method, and one of those that are not listed."""
        yield from self.connector.upstream.methods
        others = self.connector.upstream.other_methods
        if others is not None:
            other = self.connector.upstream.method(f"{others.prefix}not.listed")
            assert other is not None
            yield other

    @property
    def methods_with_bodies(self) -> Iterator[Method]:
        """Those whose answers have bodies."""
        return (method for method in self.methods if not method.name.endswith(".head"))

    @property
    def credential(self) -> Credential | None:
        return self.specimen.credential_at(self.far.url)

    def request(
        self, method: Method, *, within: float = 5.0, credential: Credential | None = None, anonymous: bool = False
    ) -> CallRequest:
        """A call that fits."""
        return CallRequest(
            job_id=f"{self.specimen.name}-0198c6f2-0000-7000-8000-000000000000",
            tenant="acme",
            method=method,
            params=self.specimen.params(self.connector, method, self.far.url),
            timeout=timedelta(seconds=within),
            result=self.store.place(f"results/{method.name}", at_most=MAX_RESULT_BYTES),
            credential=None if anonymous else credential or self.credential,
            uploads=self.store.uploads(),
            progress=Progress(),
        )

    async def call(self, method: Method, *, within: float = 5.0) -> tuple[Outcome, Progress]:
        """How a call comes out, and how far it came."""
        request = self.request(method, within=within)
        return await self.connector.call(request), request.progress


@pytest.fixture(params=NAMES)
def specimen(request: pytest.FixtureRequest) -> Specimen:
    assert request.param in SPECIMENS, f"tell tests/contract/connectors/specimens.py how {request.param} answers"
    return SPECIMENS[request.param]


@pytest.fixture
async def bench(specimen: Specimen) -> AsyncIterator[Bench]:
    client = HttpClient(AddressGuard(allow_loopback=True), limit=64)
    async with scripted_far_end() as far:
        made = Bench(specimen, client, specimen.make(client, far.url), far)
        await made.store.put(upload_key("acme", UPLOAD_ID), b"some bytes", content_type="image/png")
        yield made
    await client.close()
