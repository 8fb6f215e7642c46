"""One attempt: signed, sent, and its outcome kept."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import structlog

from services.webhooks import metrics
from services.webhooks.domain import Outcome, Reason, State, settled
from services.webhooks.signing import signed_headers
from shared import ids, observability
from shared.errors import PenstockError, Unavailable
from shared.retry import Backoff, until_done
from shared.sealing import SealBrokenError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.webhooks.domain import Delivery, RetrySchedule
    from services.webhooks.signing import TenantSecrets
    from services.webhooks.store import DeliveryStore
    from shared.clock import Clock
    from shared.sealing import Sealer

log = observability.logger()

_BACKOFF = Backoff(initial=timedelta(milliseconds=50), maximum=timedelta(seconds=2))


class Poster(Protocol):
    """Sends; `services.webhooks.sender.Sender` is one."""

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """Posts a body; whatever the receiver does is an outcome."""
        ...


class Attempts:
    """Makes the attempts of claimed deliveries.

    Args:
        poster: Sends.
        store: Keeps the outcomes.
        sealer: Opens the secrets of jobs, of the purpose `CALLBACK_SECRET`.
        secrets: Of tenants, for jobs that have none.
        schedule: Says when a failed one is tried again.
        clock: The time.
    """

    def __init__(
        self,
        poster: Poster,
        *,
        store: DeliveryStore,
        sealer: Sealer,
        secrets: TenantSecrets,
        schedule: RetrySchedule,
        clock: Clock,
    ) -> None:
        self._poster = poster
        self._store = store
        self._sealer = sealer
        self._secrets = secrets
        self._schedule = schedule
        self._clock = clock

    async def make(self, delivery: Delivery) -> bool:
        """Makes the attempt that a claim has counted; answers, when its outcome is kept, whether another follows."""
        kind = ids.kind_of(delivery.about)
        bound = structlog.contextvars.bound_contextvars(
            tenant=delivery.tenant, delivery=delivery.id, attempt=delivery.attempts, **{kind: delivery.about}
        )
        attributes = {f"penstock.{kind}": delivery.about, "penstock.attempt": delivery.attempts}
        with bound, observability.span("delivery", traceparent=delivery.traceparent, attributes=attributes):
            try:
                return await self._make(delivery)
            except PenstockError as error:  # its claim runs out, and it is attempted again
                log.error("outcome_not_kept", reason=error.reason, error=error.message)  # noqa: TRY400  ours, and told
            except Exception:  # the same; one broken delivery ends no other
                log.exception("outcome_not_kept")
        return True

    async def _make(self, delivery: Delivery) -> bool:
        began = time.perf_counter()
        outcome = await self._outcome(delivery)
        after = settled(delivery, outcome, schedule=self._schedule, now=self._clock.now())
        self._tell(after, time.perf_counter() - began)
        counted = await until_done(
            lambda: self._store.record(after),
            retry_on=(Unavailable,),  # should another replica take the delivery meanwhile, this no longer counts
            backoff=_BACKOFF,
            on_failure=lambda error, _: log.warning("outcome_not_kept_yet", error=str(error)),
        )
        if not counted:
            log.warning("outcome_outdated", reason=outcome.reason)
        elif after.state is not State.PENDING:
            metrics.FINISHED.labels(after.state).inc()
        return after.state is State.PENDING

    async def _outcome(self, delivery: Delivery) -> Outcome:
        try:
            headers = signed_headers(
                self._secret(delivery), webhook_id=delivery.id, at=self._clock.now(), body=delivery.payload
            )
            return await self._poster.send(delivery.url, delivery.payload, headers)
        except SealBrokenError as error:  # an operator may still put the key right
            log.error("secret_unreadable", error=str(error))  # noqa: TRY400  told in full
            return Outcome(reason=Reason.SECRET_UNREADABLE)
        except Exception:  # a fault of ours is an outcome too, or the delivery would never end
            log.exception("attempt_broken")
            return Outcome(reason=Reason.INTERNAL)

    def _secret(self, delivery: Delivery) -> str:
        """What signs: the job's own secret, or the tenant's.

        Raises:
            SealBrokenError: The job's does not open.
        """
        if not delivery.sealed_secret:
            return self._secrets.secret(delivery.tenant)
        return self._sealer.open(delivery.sealed_secret, delivery.tenant, delivery.about).decode()

    def _tell(self, after: Delivery, seconds: float) -> None:
        metrics.ATTEMPTS.labels(after.last_reason).inc()
        metrics.ATTEMPT_SECONDS.observe(seconds)
        log.info(
            "attempt_made",
            host=after.host,
            reason=after.last_reason,
            status=after.last_status,
            state=after.state,
            duration_ms=round(seconds * 1000, 2),
            trace_id=observability.current_trace_id(),
        )
