"""The service behind its real port."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from penstock.upstream.v1 import upstream_pb2, upstream_pb2_grpc

from services.upstream.__main__ import serve
from services.upstream.config import Config
from shared import errors
from shared.config import Secret
from shared.permissions import Scope
from shared.rpc import status
from tests import object_stores
from tests.service import channel, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from shared.bus import Bus
    from tests.identities import Identities


@pytest.fixture
async def address(empty_nats: Bus, identities: Identities, nats_url: str) -> AsyncIterator[str]:
    """The service, with no stream in NATS before it, and no scheduler anywhere."""
    config = Config(
        grpc_address="127.0.0.1:0",
        identity_keys_file=identities.keys_file,
        **object_stores.AWAY,
        service_key=identities.service_key("upstream"),
        nats_url=Secret(nats_url),
        redis_url=Secret("redis://127.0.0.1:9/0"),
        scheduler_address="127.0.0.1:1",
        auth_address="127.0.0.1:1",
    )
    async with running("upstream", serve, config) as address:
        yield address


async def test_a_key_with_the_scope_reads_the_catalogue(address: str, identities: Identities) -> None:
    async with channel(address, identities.mint(scopes=[Scope.UPSTREAMS_READ])) as connection:
        stub = upstream_pb2_grpc.UpstreamServiceStub(connection)
        page = await stub.ListUpstreams(upstream_pb2.ListUpstreamsRequest())
        flickr, http = [
            await stub.GetUpstream(upstream_pb2.GetUpstreamRequest(upstream=name)) for name in ("flickr", "http")
        ]
    assert list(page.upstreams) == [flickr, http]
    assert page.next_page_token == ""
    assert (len(http.methods), http.HasField("other_methods")) == (6, False)
    assert (len(flickr.methods), flickr.other_methods.prefix) == (27, "flickr.")
    assert flickr.connection_use == upstream_pb2.Upstream.REQUIRED


@pytest.mark.parametrize(
    ("request_", "error", "said"),
    [
        (upstream_pb2.GetUpstreamRequest(upstream="flicker"), errors.UpstreamNotFound, "there are: flickr, http"),
        (upstream_pb2.ListUpstreamsRequest(page_size=-1), errors.InvalidArgument, "pageSize"),
        (upstream_pb2.ListUpstreamsRequest(page_token="?"), errors.InvalidArgument, "pageToken"),
    ],
)
async def test_mistakes_come_back_as_typed_errors(
    address: str, identities: Identities, request_: Any, error: type[errors.PenstockError], said: str
) -> None:
    async with channel(address, identities.mint()) as connection:
        stub = upstream_pb2_grpc.UpstreamServiceStub(connection)
        rpc: Any = stub.GetUpstream if isinstance(request_, upstream_pb2.GetUpstreamRequest) else stub.ListUpstreams
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc(request_)
    rebuilt = status.from_rpc_error(caught.value)
    assert type(rebuilt) is error
    assert said in rebuilt.message


async def test_nobody_is_let_in_without_an_identity_or_the_scope(address: str, identities: Identities) -> None:
    for token, code in (
        (None, grpc.StatusCode.UNAUTHENTICATED),
        (identities.mint(scopes=[Scope.JOBS_READ]), grpc.StatusCode.PERMISSION_DENIED),
    ):
        async with channel(address, token) as connection:
            stub = upstream_pb2_grpc.UpstreamServiceStub(connection)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.ListUpstreams(upstream_pb2.ListUpstreamsRequest())
            assert caught.value.code() is code
