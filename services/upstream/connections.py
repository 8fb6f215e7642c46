"""Connections: what jobs that name one are called with, asked of auth and kept for a short time."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from penstock.auth.v1 import credentials_pb2
from prometheus_client import Counter

from services.upstream.credentials import BasicSecret, BearerSecret, Credential, HeaderSecret, OAuth1Secret
from shared import observability
from shared.errors import DeadlineExceeded, InvalidArgument, Unavailable
from shared.retry import Backoff, until_done
from shared.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penstock.auth.v1.credentials_pb2_grpc import CredentialServiceAsyncStub

    from services.upstream.credentials import Secret
    from shared.clock import Clock

    Ask = Callable[["_Question"], Awaitable[credentials_pb2.Credential]]

log = observability.logger()

LOOKUPS = Counter("penstock_upstream_credential_lookups", "Times that a credential was asked for.", ("source",))

#: How long a call that has not gone out waits for auth. It holds a place of the worker meanwhile: a short absence is
#: not noticed, and a long one leaves the places to jobs that name no connection.
PATIENCE = timedelta(seconds=15)
#: Nothing is kept for longer, whatever the machines' clocks say of each other.
MAX_KEPT = timedelta(seconds=60)
#: Credentials in use at the same time; about 1 KB each.
MAX_CREDENTIALS = 10_000
#: For one question; a refresh at the provider is in it.
_ASK_TIMEOUT_S = 10.0
_BACKOFF = Backoff(initial=timedelta(milliseconds=100), maximum=timedelta(seconds=2))
_MAX_REASON_CHARACTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A credential, whose it is and what for."""

    tenant: str
    upstream: str
    credential: Credential
    #: By the monotonic clock.
    until: float


class Connections:
    """Knows what to call with. All calls of one connection share one question, and no one of them can cancel it.

    Args:
        auth: Has the connections.
        clock: Against which auth's times are read.
        monotonic: Seconds that only grow.
        patience: How long auth is waited for.
    """

    def __init__(
        self,
        auth: CredentialServiceAsyncStub,
        *,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._auth = auth
        self._clock = clock
        self._monotonic = monotonic
        self._patience = patience
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._asking: SingleFlight[_Question, _Kept] = SingleFlight()

    async def credential(self, tenant: str, connection_id: str, *, upstream: str) -> Credential:
        """What to call with for a tenant's connection.

        Args:
            tenant: Whose.
            connection_id: Of which.
            upstream: What is called.

        Raises:
            InvalidArgument: The connection is for another upstream.
            ConnectionNotFound: The tenant has none of this id, or not any more.
            ConnectionNeedsReauth: It has to be authorized anew first.
            Unavailable: Auth is away, or the connection's provider, and has been for too long.
        """
        kept = self._kept.get(connection_id)
        if kept is not None and kept.tenant == tenant and self._monotonic() < kept.until:
            LOOKUPS.labels("memory").inc()
            self._kept.move_to_end(connection_id)
        else:
            LOOKUPS.labels("auth").inc()
            kept = await self._shared(_Question(tenant=tenant, connection_id=connection_id), self._ask)
        if kept.upstream != upstream:
            raise InvalidArgument.field("connectionId", f"is {connection_id}, which is for {kept.upstream}")
        return kept.credential

    async def refused(self, tenant: str, refused: Credential, reason: str, *, certain: bool) -> Credential:
        """Tells auth that a credential was refused; what to call with instead: the same where there is no other.

        Args:
            tenant: Whose connection it is.
            refused: What was refused.
            reason: What the upstream has said, without secrets.
            certain: It has said so in words of its own, and not by a status alone.

        Raises:
            ConnectionNotFound: It was deleted meanwhile.
            ConnectionNeedsReauth: It has to be authorized anew.
            Unavailable: Auth is away, or the connection's provider, and has been for too long.
        """
        kept = self._kept.get(refused.connection_id)
        if kept is not None and kept.tenant == tenant:
            if kept.credential.version > refused.version:
                return kept.credential
            del self._kept[refused.connection_id]
        question = _Question(
            tenant=tenant, connection_id=refused.connection_id, refused=refused.version, certain=certain
        )
        answer = await self._shared(question, lambda asked: self._report(asked, reason[:_MAX_REASON_CHARACTERS]))
        return answer.credential

    async def changed(self, payload: bytes) -> None:
        """Hears that a connection has changed: nothing that is known of it holds any more."""
        connection_id = payload.decode(errors="replace")
        self._kept.pop(connection_id, None)
        self._asking.outdate(lambda question: question.connection_id == connection_id)

    def forget_all(self) -> None:
        """Drops all that is known, and what questions under way will say: signals may have been missed."""
        self._kept.clear()
        self._asking.outdate(lambda _: True)

    async def _ask(self, question: _Question) -> credentials_pb2.Credential:
        request = credentials_pb2.GetCredentialRequest(tenant=question.tenant, connection_id=question.connection_id)
        return await self._auth.GetCredential(request, timeout=_ASK_TIMEOUT_S)

    async def _report(self, question: _Question, reason: str) -> credentials_pb2.Credential:
        request = credentials_pb2.ReportRefusedCredentialRequest(
            tenant=question.tenant,
            connection_id=question.connection_id,
            version=question.refused,
            reason=reason,
            certain=question.certain,
        )
        return await self._auth.ReportRefusedCredential(request, timeout=_ASK_TIMEOUT_S)

    async def _shared(self, question: _Question, ask: Ask) -> _Kept:
        """The answer to a question."""

        async def answer() -> _Kept:
            told = await self._patiently(lambda: ask(question))
            lasts = min(told.keep_until.ToDatetime(tzinfo=UTC) - self._clock.now(), MAX_KEPT)
            return _Kept(
                tenant=question.tenant,
                upstream=told.upstream,
                credential=_credential(told),
                until=self._monotonic() + lasts.total_seconds(),
            )

        return await self._asking.ask(question, answer, self._keep)

    def _keep(self, kept: _Kept) -> None:
        known = self._kept.get(kept.credential.connection_id)
        if known is not None and known.credential.version > kept.credential.version:
            return  # it was asked for earlier than what is known
        self._kept[kept.credential.connection_id] = kept
        self._kept.move_to_end(kept.credential.connection_id)
        while len(self._kept) > MAX_CREDENTIALS:
            self._kept.popitem(last=False)

    async def _patiently(self, ask: Callable[[], Awaitable[credentials_pb2.Credential]]) -> credentials_pb2.Credential:
        """What auth answers, asked again while it is away, for a time."""
        deadline = asyncio.timeout(self._patience.total_seconds())
        try:
            async with deadline:
                return await until_done(
                    ask,
                    retry_on=(Unavailable, DeadlineExceeded),
                    backoff=_BACKOFF,
                    on_failure=lambda error, _: log.warning("credential_awaited", error=str(error)),
                )
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise Unavailable(
                f"no credential could be had for {self._patience.total_seconds():g} s", metadata={"dependency": "auth"}
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What auth is asked about."""

    tenant: str
    connection_id: str
    #: The version that was refused; 0 where nothing was.
    refused: int = 0
    certain: bool = False


def _credential(answer: credentials_pb2.Credential) -> Credential:
    return Credential(
        connection_id=answer.connection_id,
        version=answer.version,
        secret=_secret(answer),
        hosts=frozenset(answer.hosts),
    )


def _secret(answer: credentials_pb2.Credential) -> Secret:
    match answer.WhichOneof("secret"):
        case "oauth1":
            told = answer.oauth1
            return OAuth1Secret(
                client_key=told.client_key,
                client_secret=told.client_secret,
                token=told.token,
                token_secret=told.token_secret,
            )
        case "bearer":
            return BearerSecret(token=answer.bearer.token)
        case "header":
            return HeaderSecret(name=answer.header.name, value=answer.header.value)
        case "basic":
            return BasicSecret(username=answer.basic.username, password=answer.basic.password)
        case _:
            raise Unavailable("auth has answered with a credential of a kind that this program does not know")
