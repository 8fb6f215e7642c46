"""The catalogue: loaded page by page, kept when it cannot be loaded, and not hurt by one bad schema."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pytest
from penstock.upstream.v1 import upstream_pb2

from services.intake.catalogue import Catalogue
from shared.errors import Unavailable
from shared.formats import formats
from tests.fakes.intake_requests import GUARD, catalogue_page
from tests.waiting import eventually

if TYPE_CHECKING:
    from penstock.upstream.v1.upstream_pb2_grpc import UpstreamServiceAsyncStub


class Stub:
    """Answers with these pages, by their tokens; fails as often as told before."""

    def __init__(self, *pages: upstream_pb2.ListUpstreamsResponse, failures: int = 0) -> None:
        self.pages = list(pages)
        self.failures = failures
        self.asked = 0

    async def ListUpstreams(self, request: upstream_pb2.ListUpstreamsRequest) -> upstream_pb2.ListUpstreamsResponse:
        self.asked += 1
        if self.failures:
            self.failures -= 1
            raise Unavailable("the upstream service is away")
        index = int(request.page_token or 0)
        page = upstream_pb2.ListUpstreamsResponse()
        page.CopyFrom(self.pages[index])
        page.next_page_token = str(index + 1) if index + 1 < len(self.pages) else ""
        return page


def catalogue(stub: Stub) -> Catalogue:
    return Catalogue(cast("UpstreamServiceAsyncStub", stub), formats=formats(GUARD))


async def test_before_it_is_loaded_nothing_can_be_called() -> None:
    with pytest.raises(Unavailable) as refused:
        catalogue(Stub()).upstreams()
    assert refused.value.metadata == {"dependency": "upstream"}
    assert refused.value.retry_after is not None


async def test_every_page_is_read() -> None:
    more = upstream_pb2.ListUpstreamsResponse(upstreams=[upstream_pb2.Upstream(name="flickr")])
    loaded = catalogue(Stub(catalogue_page(), more))
    await loaded.refresh()
    assert set(loaded.upstreams()) == {"http", "photos", "empty", "flickr"}
    method = loaded.upstreams()["http"].methods["http.get"]
    assert (method.kind, method.idempotent, method.timeout) == ("read", True, timedelta(seconds=20))
    assert [fault.field for fault in method.schema.faults({})] == ["params.url"]
    assert method.upload_params == ()
    assert loaded.upstreams()["photos"].methods["photos.upload"].upload_params == ("file", "thumbnail")
    assert [upstream.lane_param for upstream in loaded.upstreams().values()] == ["url", "", "", ""]


async def test_it_is_loaded_with_patience() -> None:
    stub = Stub(catalogue_page(), failures=3)
    loaded = catalogue(stub)
    loop = asyncio.create_task(loaded.run())
    await eventually(lambda: stub.asked == 4)
    assert "http" in loaded.upstreams()
    loop.cancel()


async def test_what_was_loaded_stands_when_it_cannot_be_loaded_again() -> None:
    stub = Stub(catalogue_page())
    loaded = catalogue(stub)
    await loaded.refresh()
    stub.failures = 1
    with pytest.raises(Unavailable):
        await loaded.refresh()
    assert "http" in loaded.upstreams()


async def test_a_change_is_seen_and_what_did_not_change_is_not_compiled_again() -> None:
    stub = Stub(catalogue_page())
    loaded = catalogue(stub)
    await loaded.refresh()
    before = loaded.upstreams()
    await loaded.refresh()
    assert loaded.upstreams() is before
    stub.pages[0].upstreams[0].methods[0].idempotent = False
    await loaded.refresh()
    assert not loaded.upstreams()["http"].methods["http.get"].idempotent


@pytest.mark.parametrize("schema", [{"type": "bogus"}, {"$ref": "http://127.0.0.1:1/schema"}])
async def test_a_method_with_a_bad_schema_is_left_out_and_the_others_can_be_called(schema: dict[str, str]) -> None:
    page = catalogue_page()
    bad = page.upstreams[0].methods.add(name="http.bad", kind=upstream_pb2.Method.READ)
    bad.params_schema.update(schema)
    loaded = catalogue(Stub(page))
    await loaded.refresh()
    assert set(loaded.upstreams()["http"].methods) == {"http.get"}
