"""UpstreamService: the catalogue, as protos."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format
from penstock.upstream.v1 import upstream_pb2, upstream_pb2_grpc

from services.upstream.domain import Kind
from shared import paging
from shared.errors import InvalidArgument

if TYPE_CHECKING:
    import grpc

    from services.upstream.catalogue import Catalogue
    from services.upstream.domain import Method, Upstream

#: What a token starts with once it is read; a change of its form gets another.
_TOKEN_MARK = "1:"  # noqa: S105  no secret
_KINDS = {
    Kind.READ: upstream_pb2.Method.READ,
    Kind.WRITE: upstream_pb2.Method.WRITE,
    Kind.UPLOAD: upstream_pb2.Method.UPLOAD,
}


class UpstreamServicer(upstream_pb2_grpc.UpstreamServiceServicer):
    """Answers what can be called.

    Args:
        catalogue: Knows.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def ListUpstreams(  # noqa: N802  gRPC's name
        self, request: upstream_pb2.ListUpstreamsRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> upstream_pb2.ListUpstreamsResponse:
        """A page of the catalogue, in the order of the names."""
        del context
        size = paging.page_size(request.page_size)
        after = _read_token(request.page_token)
        rest = [upstream for upstream in self._catalogue.upstreams() if upstream.name > after]
        page = rest[:size]
        return upstream_pb2.ListUpstreamsResponse(
            upstreams=[_upstream(each) for each in page],
            next_page_token=_token(page[-1].name) if len(rest) > size else "",
        )

    async def GetUpstream(  # noqa: N802  gRPC's name
        self, request: upstream_pb2.GetUpstreamRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> upstream_pb2.Upstream:
        """One upstream."""
        del context
        return _upstream(self._catalogue.upstream(request.upstream))


def _token(last: str) -> str:
    return base64.urlsafe_b64encode(f"{_TOKEN_MARK}{last}".encode()).decode()


def _read_token(token: str) -> str:
    """The name after which the page begins; empty for the first."""
    if not token:
        return ""
    try:
        text = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):  # said below
        text = ""
    if not text.startswith(_TOKEN_MARK):
        raise InvalidArgument.field("pageToken", "is none of this list's; send an answer's nextPageToken as it is")
    return text.removeprefix(_TOKEN_MARK)


def _upstream(upstream: Upstream) -> upstream_pb2.Upstream:
    return upstream_pb2.Upstream(
        name=upstream.name, title=upstream.title, methods=[_method(each) for each in upstream.methods]
    )


def _method(method: Method) -> upstream_pb2.Method:
    message = upstream_pb2.Method(
        name=method.name, title=method.title, kind=_KINDS[method.kind], idempotent=method.idempotent
    )
    message.timeout.FromTimedelta(method.timeout)
    if method.cache_ttl is not None:
        message.cache_ttl.FromTimedelta(method.cache_ttl)
    json_format.ParseDict(dict(method.params_schema), message.params_schema)
    return message
