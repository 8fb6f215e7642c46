"""Auth as those meet it who call upstreams: credentials that grow older, are refused, and cannot always be had."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from penstock.auth.v1 import connections_pb2, credentials_pb2

from shared.errors import ConnectionNotFound, Unavailable

if TYPE_CHECKING:
    from shared.errors import PenstockError

CONNECTION = "con_0198c6f2-0000-7000-8000-00000000000c"


@dataclass
class FakeCredentials:
    """`CredentialService` with one connection, of `acme`, whose tokens are called `token-<version>`."""

    upstream: str = "shop"
    version: int = 1
    keep_for: timedelta = timedelta(seconds=30)
    #: What it answers with instead.
    error: PenstockError | None = None
    #: Whether there is another token for one that was refused.
    has_others: bool = True
    #: What it answers reports with instead.
    report_error: PenstockError | None = None
    #: How many questions from now on it does not answer.
    away_for: int = 0
    #: What `DescribeConnection` tells beside the upstream.
    hosts: tuple[str, ...] = ("shop.example.com",)
    state: connections_pb2.Connection.State.ValueType = connections_pb2.Connection.ACTIVE
    reauth_policy: connections_pb2.Connection.ReauthPolicy.ValueType = connections_pb2.Connection.FAIL
    described: list[credentials_pb2.DescribeConnectionRequest] = field(
        default_factory=list[credentials_pb2.DescribeConnectionRequest]
    )
    asked: list[credentials_pb2.GetCredentialRequest] = field(default_factory=list)
    reported: list[credentials_pb2.ReportRefusedCredentialRequest] = field(default_factory=list)
    #: Set, it answers; cleared, questions wait.
    open: asyncio.Event = field(default_factory=asyncio.Event)
    #: The same for reports.
    open_to_reports: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()
        self.open_to_reports.set()

    async def DescribeConnection(
        self,
        request: credentials_pb2.DescribeConnectionRequest,
        timeout: float | None = None,  # noqa: ASYNC109  the stub's
    ) -> credentials_pb2.ConnectionFacts:
        self.described.append(request)
        self._check(request.tenant, request.connection_id)
        facts = credentials_pb2.ConnectionFacts(
            connection_id=CONNECTION,
            upstream=self.upstream,
            hosts=self.hosts,
            state=self.state,
            reauth_policy=self.reauth_policy,
        )
        await self.open.wait()
        return facts

    async def GetCredential(
        self,
        request: credentials_pb2.GetCredentialRequest,
        timeout: float | None = None,  # noqa: ASYNC109  the stub's
    ) -> credentials_pb2.Credential:
        self.asked.append(request)
        answer = self._credential(request.tenant, request.connection_id)
        await self.open.wait()
        return answer

    async def ReportRefusedCredential(
        self,
        request: credentials_pb2.ReportRefusedCredentialRequest,
        timeout: float | None = None,  # noqa: ASYNC109  the stub's
    ) -> credentials_pb2.Credential:
        self.reported.append(request)
        await self.open_to_reports.wait()
        if self.report_error is not None:
            raise self.report_error
        if self.has_others:
            self.version = max(self.version, request.version + 1)
        return self._credential(request.tenant, request.connection_id)

    def _check(self, tenant: str, connection_id: str) -> None:
        if self.away_for:
            self.away_for -= 1
            raise Unavailable("auth does not answer")
        if self.error is not None:
            raise self.error
        if (tenant, connection_id) != ("acme", CONNECTION):
            raise ConnectionNotFound(f"there is no connection {connection_id}", metadata={"connection": connection_id})

    def _credential(self, tenant: str, connection_id: str) -> credentials_pb2.Credential:
        self._check(tenant, connection_id)
        answer = credentials_pb2.Credential(
            connection_id=CONNECTION,
            upstream=self.upstream,
            version=self.version,
            bearer=credentials_pb2.BearerCredential(token=f"token-{self.version}"),
            hosts=self.hosts,
        )
        answer.keep_until.FromDatetime(datetime.now(UTC) + self.keep_for)
        return answer
