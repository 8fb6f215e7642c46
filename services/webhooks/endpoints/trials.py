"""Trials: the example of an event, sent to an endpoint now and once, and what the receiver says to it.

A trial is signed and sent as any delivery is. Its `webhook-id` begins with `test_`, by which receivers tell it from an
event: the id is signed, so nobody else can pass an event off as a trial or the other way round, and the body stays the
one that the receiver is to get used to. Nothing of a trial is kept, and nothing follows from what comes of it.
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from services.webhooks.deliveries.domain import AttemptRecord, Outcome, Reason, to_milliseconds
from shared import ids, observability
from shared.errors import InvalidArgument, RateLimited, shown
from shared.sealing import SealBrokenError

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import datetime

    from services.webhooks.endpoints.domain import Endpoint
    from services.webhooks.endpoints.secrets import EndpointSigner
    from services.webhooks.endpoints.surroundings import EventTypes, Poster
    from shared.clock import Clock

log = observability.logger()

DEFAULT_EVENT_TYPE = "job.succeeded"
#: Trials that one process makes at a time, for all tenants and for one. They have connections of their own: deliveries
#: lack none for them.
MOST_AT_ONCE = 32
MOST_OF_A_TENANT = 4
#: How long the receiver may take to answer, whatever the settings give deliveries: somebody waits for it.
TIMEOUT = timedelta(seconds=15)
_RETRY_AFTER = timedelta(seconds=1)


class Trials:
    """Makes trials.

    Args:
        poster: Sends, within `TIMEOUT`.
        signer: Signs.
        event_types: Have the examples.
        clock: The time.
    """

    def __init__(self, poster: Poster, *, signer: EndpointSigner, event_types: EventTypes, clock: Clock) -> None:
        self._poster = poster
        self._signer = signer
        self._event_types = event_types
        self._clock = clock
        self._at_once: Counter[str] = Counter()

    async def make(self, endpoint: Endpoint, event_type: str) -> tuple[str, AttemptRecord]:
        """Sends an example; answers with its `webhook-id` and what came of it.

        Args:
            endpoint: To whom, enabled or not.
            event_type: Of what; empty for the default.

        Raises:
            InvalidArgument: There is no such type.
            RateLimited: The tenant, or all tenants, have as many under way as they may have.
        """
        body = self._sample(event_type or DEFAULT_EVENT_TYPE)
        with self._place(endpoint.tenant):
            webhook_id, at = f"test_{ids.uuid7()}", to_milliseconds(self._clock.now())
            began = time.perf_counter()
            outcome = await self._outcome(endpoint, webhook_id=webhook_id, at=at, body=body)
            duration = timedelta(seconds=time.perf_counter() - began)
        log.info(
            "trial_made",
            endpoint=endpoint.id,
            reason=outcome.reason,
            status=outcome.status,
            duration_ms=round(duration.total_seconds() * 1000, 2),
        )
        return webhook_id, AttemptRecord(number=1, started_at=at, duration=duration, outcome=outcome)

    async def _outcome(self, endpoint: Endpoint, *, webhook_id: str, at: datetime, body: bytes) -> Outcome:
        try:
            headers = self._signer.headers(endpoint, webhook_id=webhook_id, at=at, body=body)
        except SealBrokenError as error:  # as of a delivery: an operator may still put the key right
            log.error("secret_unreadable", endpoint=endpoint.id, error=str(error))  # noqa: TRY400  told in full
            return Outcome(reason=Reason.SECRET_UNREADABLE)
        return await self._poster.send(endpoint.url, body, headers)

    def _sample(self, event_type: str) -> bytes:
        try:
            return self._event_types.sample(event_type)
        except KeyError:
            raise InvalidArgument.field(
                "eventType",
                f"{shown(event_type)} is no type of events; there are {', '.join(self._event_types.names())}",
            ) from None

    @contextmanager
    def _place(self, tenant: str) -> Generator[None]:
        if self._at_once[tenant] >= MOST_OF_A_TENANT or self._at_once.total() >= MOST_AT_ONCE:
            raise RateLimited(
                f"{self._at_once[tenant]} tests of the tenant {tenant!r} are under way, of {MOST_OF_A_TENANT} at a "
                "time; repeat the call when one has ended",
                metadata={"limit": str(MOST_OF_A_TENANT)},
                retry_after=_RETRY_AFTER,
            )
        self._at_once[tenant] += 1
        try:
            yield
        finally:
            self._at_once[tenant] -= 1
            if not self._at_once[tenant]:
                del self._at_once[tenant]
