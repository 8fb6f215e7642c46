"""One call as its exchanges go on: its time, and what is known of it when one of them fails."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from services.upstream import quotas
from services.upstream.domain import Failure, Outcome, Quota, Reason, lost
from services.upstream.http_client import ExchangeError
from shared import retry_after

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from datetime import datetime, timedelta

    from services.upstream.answers import Answer
    from services.upstream.connector import CallRequest

#: Statuses that may be gone the next time; the second kind says that nothing was done.
RETRY_IDEMPOTENT = frozenset({429, 500, 502, 503, 504})
RETRY_REFUSED = frozenset({429, 503})


@dataclass(slots=True, kw_only=True)
class OngoingCall:
    """What the exchanges of one call have in common."""

    request: CallRequest
    #: What the newest answer said of them; they hold also where its body never comes.
    quotas: tuple[Quota, ...] = ()

    async def bounded(self, made: Awaitable[Outcome], *, timeout_s: float, host: str) -> Outcome:
        """How the call comes out, within its time, and whatever happens on the way.

        Args:
            made: The call.
            timeout_s: How long it may take.
            host: Whom it asks, for messages.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await made
        except TimeoutError:
            return self.lost(Reason.UPSTREAM_TIMEOUT, f"{host} did not answer within {timeout_s:g} s")
        except ExchangeError as error:
            failure = error.failure(idempotent=self.request.method.idempotent, sent=self.request.progress.sent)
            return replace(failure, quotas=self.quotas)

    def lost(self, reason: Reason, message: str) -> Failure:
        """The failure of a call whose answer never came, or cannot be read."""
        method, progress = self.request.method, self.request.progress
        failure = lost(reason, message, idempotent=method.idempotent, sent=progress.sent)
        return replace(failure, quotas=self.quotas)

    def answered(self, answer: Answer, now: datetime) -> None:
        """Notes what an answer says of quotas."""
        self.quotas = quotas.read(answer.field, status=answer.status, now=now)

    def refused(self, answer: Answer, *, host: str, retryable: bool, now: datetime) -> Failure:
        """The failure of a call that was answered with a status of 400 or more.

        Args:
            answer: The answer.
            host: Whose.
            retryable: Trying again could help, and does no harm.
            now: The time, in UTC.
        """
        return Failure(
            reason=Reason.UPSTREAM_STATUS,
            message=f"{host} answered {answer.status}{_phrase(answer.status)}",
            upstream_status=answer.status,
            retryable=retryable,
            retry_after=pause_of(answer, now),
            quotas=self.quotas,
        )


def pause_of(answer: Answer, now: datetime) -> timedelta | None:
    """The pause that an answer asks for, where it does."""
    pause = answer.header("Retry-After")
    return None if pause is None else retry_after.parse(pause, now)


def _phrase(status: int) -> str:
    """The status in words: the standard's, for the upstream's own may say anything."""
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""
