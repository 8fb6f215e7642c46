"""What connections are for: asked of auth where a draft names one, and remembered for a short time."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from penstock.auth.v1 import connections_pb2, credentials_pb2

from services.intake.domain import ConnectionFacts
from shared import ids, observability
from shared.errors import ConnectionNotFound, PenstockError
from shared.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.auth.v1.credentials_pb2_grpc import CredentialServiceAsyncStub

    from services.intake.domain import Draft

log = observability.logger()

#: What is known is good for so long; a change whose signal was lost takes no longer than this.
TIME_TO_LIVE = timedelta(seconds=30)
#: The same for what is not there, which may have been made just now.
ABSENT_TIME_TO_LIVE = timedelta(seconds=1)
#: Connections in use at the same time; about 1 KB each.
MAX_CONNECTIONS = 10_000
#: A submit waits no longer; what is not known the worker decides.
_ASK_TIMEOUT_S = 1.0
#: After a failure auth counts as away for so long, and no submit waits for it.
_AWAY_TIME_S = 1.0


@dataclass(frozen=True, slots=True)
class _Known:
    """What auth has said of a connection; of one that is not there, to whom."""

    tenant: str
    facts: ConnectionFacts
    #: By the monotonic clock.
    until: float


class Connections:
    """Knows what connections are for.

    Args:
        auth: Has them.
        monotonic: Seconds that only grow.
    """

    def __init__(self, auth: CredentialServiceAsyncStub, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._auth = auth
        self._monotonic = monotonic
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._asking: SingleFlight[tuple[str, str], _Known] = SingleFlight()
        self._away_until = 0.0

    async def look_up(self, drafts: Sequence[Draft], tenant: str) -> list[Draft]:
        """The drafts, with what is known of the connections that they name, each of which is asked for once.

        What names none, as most do, costs nothing. While auth is away nothing is known, and the worker decides.

        Args:
            drafts: In order.
            tenant: Whose connections they may name.
        """
        named = {draft.connection for draft in drafts if draft.connection and ids.is_connection_id(draft.connection)}
        if not named:
            return list(drafts)
        wanted = sorted(named)
        found = await asyncio.gather(*(self._facts(tenant, connection_id) for connection_id in wanted))
        known = dict(zip(wanted, found, strict=True))
        return [replace(draft, connection_facts=known.get(draft.connection)) for draft in drafts]

    async def changed(self, payload: bytes) -> None:
        """Hears that a connection has changed: what is known of it holds no more."""
        connection_id = payload.decode(errors="replace")
        self._known.pop(connection_id, None)
        self._asking.outdate(lambda named: named[1] == connection_id)

    def forget_all(self) -> None:
        """Drops all that is known: signals may have been missed."""
        self._known.clear()
        self._asking.outdate(lambda _: True)

    async def _facts(self, tenant: str, connection_id: str) -> ConnectionFacts | None:
        """What is known of a connection; None where nobody can tell now."""
        known = self._known.get(connection_id)
        now = self._monotonic()
        if known is not None and known.tenant == tenant and now < known.until:
            self._known.move_to_end(connection_id)
            return known.facts
        if now < self._away_until:
            return None
        try:
            known = await self._asking.ask(
                (tenant, connection_id),
                lambda: self._ask(tenant, connection_id),
                lambda answer: self._keep(connection_id, answer),
            )
        except PenstockError as error:  # whatever it is: the worker asks again, and decides
            self._away_until = self._monotonic() + _AWAY_TIME_S
            log.warning("connection_not_described", connection=connection_id, reason=error.reason, error=error.message)
            return None
        return known.facts

    async def _ask(self, tenant: str, connection_id: str) -> _Known:
        request = credentials_pb2.DescribeConnectionRequest(tenant=tenant, connection_id=connection_id)
        try:
            answer = await self._auth.DescribeConnection(request, timeout=_ASK_TIMEOUT_S)
        except ConnectionNotFound:
            facts, lasts = ConnectionFacts(exists=False), ABSENT_TIME_TO_LIVE
        else:
            facts, lasts = _facts_of(answer), TIME_TO_LIVE
        return _Known(tenant, facts, self._monotonic() + lasts.total_seconds())

    def _keep(self, connection_id: str, answer: _Known) -> None:
        known = self._known.get(connection_id)
        if known is not None and known.facts.exists and known.tenant != answer.tenant:
            return  # somebody else's: who guesses it pushes nothing out
        self._known[connection_id] = answer
        self._known.move_to_end(connection_id)
        while len(self._known) > MAX_CONNECTIONS:
            self._known.popitem(last=False)


def _facts_of(answer: credentials_pb2.ConnectionFacts) -> ConnectionFacts:
    return ConnectionFacts(
        upstream=answer.upstream,
        hosts=tuple(answer.hosts),
        needs_reauth=answer.state == connections_pb2.Connection.NEEDS_REAUTH,
        jobs_wait=answer.reauth_policy == connections_pb2.Connection.WAIT,
    )
