"""The catalogue: what upstreams and methods there are, asked of the upstream service and kept fresh."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from penstock.upstream.v1 import upstream_pb2

from services.intake.params import ParamsSchema
from services.intake.reading import read_struct
from shared import observability
from shared.errors import PenstockError, Unavailable
from shared.retry import Backoff, until_done

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.upstream.v1.upstream_pb2_grpc import UpstreamServiceAsyncStub

    from shared.formats import Format

log = observability.logger()

#: Between two looks; a method that is new to the mesh can be called that much later.
REFRESH_INTERVAL = timedelta(seconds=60)
_BACKOFF = Backoff(initial=timedelta(milliseconds=100), maximum=timedelta(seconds=2))
_PAGE_SIZE = 500
_RETRY_AFTER = timedelta(seconds=1)
_DEFAULT_TIMEOUT = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One operation of an upstream."""

    name: str
    #: `read`, `write` or `upload`.
    kind: str
    idempotent: bool
    #: One attempt's, where the params do not say otherwise.
    timeout: timedelta
    #: Judges its params.
    schema: ParamsSchema
    #: The params that hold the id of an upload.
    upload_params: tuple[str, ...] = ()


class ConnectionUse(StrEnum):
    """Whether the jobs of an upstream name a connection."""

    #: They must not.
    NONE = "none"
    #: They may.
    OPTIONAL = "optional"
    #: They must.
    REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherMethods:
    """What holds for every method that is not listed, and whose name begins with the prefix."""

    prefix: str
    template: Method


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """An upstream and its methods, by their names."""

    name: str
    methods: Mapping[str, Method]
    #: The param that holds the URL to call, by whose host its jobs stand in line; empty where it has none.
    lane_param: str = ""
    connection_use: ConnectionUse = ConnectionUse.NONE
    #: None where only those that are listed can be called.
    others: OtherMethods | None = None

    def method(self, name: str) -> Method | None:
        """The method of this name, or None."""
        listed = self.methods.get(name)
        if listed is not None or self.others is None or not name.startswith(self.others.prefix):
            return listed
        return self.others.template


#: An upstream that says nothing of it has no use for connections; what this program does not know the worker judges.
_CONNECTION_USES = {
    upstream_pb2.Upstream.CONNECTION_USE_UNSPECIFIED: ConnectionUse.NONE,
    upstream_pb2.Upstream.NONE: ConnectionUse.NONE,
    upstream_pb2.Upstream.OPTIONAL: ConnectionUse.OPTIONAL,
    upstream_pb2.Upstream.REQUIRED: ConnectionUse.REQUIRED,
}


class Catalogue:
    """What can be called.

    Args:
        stub: Where it is asked for.
        formats: What the schemas of params may name beside the formats of JSON Schema.
    """

    def __init__(self, stub: UpstreamServiceAsyncStub, *, formats: Mapping[str, Format]) -> None:
        self._stub = stub
        self._formats = formats
        self._upstreams: Mapping[str, Upstream] | None = None
        self._seen: list[upstream_pb2.Upstream] = []

    def upstreams(self) -> Mapping[str, Upstream]:
        """Every upstream by its name.

        Raises:
            Unavailable: None has been loaded yet.
        """
        if self._upstreams is None:
            raise Unavailable(
                "the catalogue of upstreams is not loaded yet; the call may be repeated",
                metadata={"dependency": "upstream"},
                retry_after=_RETRY_AFTER,
            )
        return self._upstreams

    async def run(self) -> None:
        """Loads the catalogue, with patience, and again and again, until canceled."""
        while True:
            await until_done(self.refresh, retry_on=(PenstockError,), backoff=_BACKOFF, on_failure=self._warn)
            await asyncio.sleep(REFRESH_INTERVAL.total_seconds())

    async def refresh(self) -> None:
        """Loads it once.

        Raises:
            PenstockError: The upstream service does not answer; what was loaded before stands.
        """
        found: list[upstream_pb2.Upstream] = []
        token = ""
        while True:
            request = upstream_pb2.ListUpstreamsRequest(page_size=_PAGE_SIZE, page_token=token)
            page = await self._stub.ListUpstreams(request)
            found += page.upstreams
            token = page.next_page_token
            if not token:
                break
        if self._upstreams is None or found != self._seen:  # compiling schemas is work
            self._upstreams = {upstream.name: self._compiled(upstream) for upstream in found}
            self._seen = found
            methods = sum(len(upstream.methods) for upstream in self._upstreams.values())
            log.info("catalogue_loaded", upstreams=len(found), methods=methods)

    def _compiled(self, upstream: upstream_pb2.Upstream) -> Upstream:
        compiled = [self._method(upstream.name, method) for method in upstream.methods]
        others = upstream.other_methods
        template = self._method(upstream.name, others.method) if upstream.HasField("other_methods") else None
        return Upstream(
            name=upstream.name,
            methods={method.name: method for method in compiled if method is not None},
            lane_param=upstream.lane_param,
            connection_use=_CONNECTION_USES.get(upstream.connection_use, ConnectionUse.OPTIONAL),
            others=OtherMethods(prefix=others.prefix, template=template) if template is not None else None,
        )

    def _method(self, upstream: str, method: upstream_pb2.Method) -> Method | None:
        """The method with its schema compiled, or None where that is none."""
        try:
            schema = ParamsSchema(read_struct(method.params_schema), formats=self._formats)
        except ValueError as error:  # a fault of its connector; the others can be called
            log.exception("schema_refused", upstream=upstream, method=method.name, error=str(error))
            return None
        return Method(
            name=method.name,
            kind=upstream_pb2.Method.Kind.Name(method.kind).lower(),
            idempotent=method.idempotent,
            timeout=method.timeout.ToTimedelta() if method.HasField("timeout") else _DEFAULT_TIMEOUT,
            schema=schema,
            upload_params=tuple(method.upload_params),
        )

    @staticmethod
    def _warn(error: Exception, pause: timedelta) -> None:
        log.warning("catalogue_awaited", error=str(error), pause_s=round(pause.total_seconds(), 2))
