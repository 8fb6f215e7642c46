"""One attempt: signed, sent, and its outcome kept."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import structlog

from services.webhooks import metrics
from services.webhooks.deliveries.domain import AttemptRecord, Outcome, Reason, State, settled
from shared import ids, observability
from shared.errors import PenstockError, Unavailable
from shared.retry import Backoff, until_done
from shared.sealing import SealBrokenError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from services.webhooks.deliveries.domain import Delivery, RetrySchedule
    from services.webhooks.delivering.posts import Claim, Post
    from services.webhooks.delivering.targets import Targets
    from services.webhooks.delivering.work import WorkStore
    from services.webhooks.endpoints.domain import Endpoint
    from shared.clock import Clock

log = observability.logger()

_BACKOFF = Backoff(initial=timedelta(milliseconds=50), maximum=timedelta(seconds=2))


class Poster(Protocol):
    """Sends; `services.webhooks.delivering.sender.Sender` is one."""

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """Posts a body; whatever the receiver does is an outcome."""
        ...


class Tally(Protocol):
    """Counts how endpoints fare; `services.webhooks.deliveries.tally.Tally` is one."""

    def note(self, endpoint_id: str, reason: Reason, duration: timedelta) -> None:
        """Counts an attempt that came out."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An attempt that was made.

    Args:
        outcome: How it came out.
        duration: How long that took.
        next_attempt_at: When another follows; None where none does, or where that is not known.
    """

    outcome: Outcome
    duration: timedelta
    next_attempt_at: datetime | None


class Attempts:
    """Makes the attempts that were begun.

    Args:
        poster: Sends.
        store: Keeps the outcomes.
        targets: Knows where POSTs go.
        schedule: When a failed one is tried again whose endpoint has no schedule of its own.
        clock: The time.
        tally: Counts them by endpoint.
    """

    def __init__(
        self,
        poster: Poster,
        *,
        store: WorkStore,
        targets: Targets,
        schedule: RetrySchedule,
        clock: Clock,
        tally: Tally | None = None,
    ) -> None:
        self._poster = poster
        self._store = store
        self._targets = targets
        self._schedule = schedule
        self._tally = tally
        self._clock = clock

    def schedule(self, endpoint: Endpoint | None) -> RetrySchedule:
        """When what goes to an endpoint, or to a callback, is tried again."""
        return self._schedule if endpoint is None or endpoint.retry is None else endpoint.retry

    async def make(self, post: Post, claim: Claim, endpoint: Endpoint | None) -> Made:
        """Makes the attempt that a claim has counted; answers when its outcome is kept. Raises nothing."""
        delivery = post.first
        kind = ids.kind_of(delivery.about)
        known = {"tenant": delivery.tenant, "delivery": delivery.id, "attempt": delivery.attempts, kind: delivery.about}
        if delivery.endpoint_id:  # the one that is called, also where another one is told of
            known["endpoint"] = delivery.endpoint_id
        if post.is_batch:
            known |= {"webhook_batch": post.webhook_id, "events": len(post.members)}
        attributes = {f"penstock.{kind}": delivery.about, "penstock.attempt": delivery.attempts}
        bound = structlog.contextvars.bound_contextvars(**known)
        with bound, observability.span("delivery", traceparent=delivery.traceparent, attributes=attributes):
            began = time.perf_counter()
            outcome = await self._outcome(post, endpoint)
            duration = timedelta(seconds=time.perf_counter() - began)
            return Made(
                outcome=outcome,
                duration=duration,
                next_attempt_at=await self._kept(post, claim, endpoint, outcome, duration),
            )

    async def _outcome(self, post: Post, endpoint: Endpoint | None) -> Outcome:
        try:
            target = self._targets.target(post, endpoint, at=self._clock.now())
            return await self._poster.send(target.url, post.body, target.headers)
        except SealBrokenError as error:  # an operator may still put the key right
            log.error("secret_unreadable", error=str(error))  # noqa: TRY400  told in full
            return Outcome(reason=Reason.SECRET_UNREADABLE)
        except Exception:  # a fault of ours is an outcome too, or the delivery would never end
            log.exception("attempt_broken")
            return Outcome(reason=Reason.INTERNAL)

    async def _kept(
        self, post: Post, claim: Claim, endpoint: Endpoint | None, outcome: Outcome, duration: timedelta
    ) -> datetime | None:
        """Keeps the outcome; answers when another attempt follows."""
        after = settled(post.first, outcome, schedule=self.schedule(endpoint), now=self._clock.now())
        try:
            self._tell(post, outcome, after.state, duration)
            counted = await until_done(
                lambda: self._store.record(
                    replace(post, members=tuple(_like(each, after) for each in post.members)),
                    claim,
                    AttemptRecord(number=post.first.attempts, started_at=claim.at, duration=duration, outcome=outcome),
                ),
                retry_on=(Unavailable,),  # should another replica take the delivery meanwhile, this no longer counts
                backoff=_BACKOFF,
                on_failure=lambda error, _: log.warning("outcome_not_kept_yet", error=str(error)),
            )
        except PenstockError as error:  # its claim runs out, and it is attempted again
            log.error("outcome_not_kept", reason=error.reason, error=error.message)  # noqa: TRY400  ours, and told
            return claim.until
        except Exception:  # the same; one broken delivery ends no other
            log.exception("outcome_not_kept")
            return claim.until
        if not counted:
            log.warning("outcome_outdated", reason=outcome.reason)
            return claim.until
        if after.state is State.PENDING:
            return after.next_attempt_at
        metrics.FINISHED.labels(after.state).inc(len(post.members))
        return None

    def _tell(self, post: Post, outcome: Outcome, state: State, duration: timedelta) -> None:
        metrics.ATTEMPTS.labels(outcome.reason).inc()
        metrics.ATTEMPT_SECONDS.observe(duration.total_seconds())
        if post.first.attempts > 1:
            metrics.RETRIES.inc()
        if state is State.FAILED:
            metrics.EXHAUSTED.labels(outcome.reason).inc(len(post.members))
        if self._tally is not None and post.first.endpoint_id:
            self._tally.note(post.first.endpoint_id, outcome.reason, duration)
        log.info(
            "attempt_made",
            receiver=post.first.receiver,
            reason=outcome.reason,
            status=outcome.status,
            detail=outcome.detail,
            state=state,
            duration_ms=round(duration.total_seconds() * 1000, 2),
            trace_id=observability.current_trace_id(),
        )


def _like(member: Delivery, first: Delivery) -> Delivery:
    """A member as its attempt leaves it, which is how it leaves the first."""
    return replace(
        member,
        state=first.state,
        next_attempt_at=first.next_attempt_at,
        last_reason=first.last_reason,
        last_status=first.last_status,
        finished_at=first.finished_at,
    )
