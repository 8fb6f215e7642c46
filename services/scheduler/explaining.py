"""Why a job waits, in words and in protos."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from penstock.jobs.v1 import jobs_pb2

from services.scheduler.domain import DEFAULT_LANE, State
from services.scheduler.events import timestamp
from services.scheduler.views import HoldKind

if TYPE_CHECKING:
    from services.scheduler.views import Explanation, Hold

_KINDS = {
    HoldKind.NOT_BEFORE: jobs_pb2.Hold.NOT_BEFORE,
    HoldKind.PAUSED: jobs_pb2.Hold.PAUSED,
    HoldKind.SUSPENDED: jobs_pb2.Hold.SUSPENDED,
    HoldKind.NEEDS_REAUTH: jobs_pb2.Hold.NEEDS_REAUTH,
    HoldKind.BREAKER: jobs_pb2.Hold.BREAKER,
    HoldKind.RATE: jobs_pb2.Hold.RATE,
    HoldKind.CONCURRENCY: jobs_pb2.Hold.CONCURRENCY,
    HoldKind.QUOTA: jobs_pb2.Hold.QUOTA,
}
_PAUSED = {
    "upstream": "the queue is paused for all tenants",
    "tenant": "the tenant's jobs are paused",
    "lane": "the job's lane is paused",
}
#: Until somebody ends them, the widest first.
_OPEN_ENDED = (HoldKind.SUSPENDED, HoldKind.PAUSED, HoldKind.NEEDS_REAUTH)
_CAUSES = {"throttled": "it asked for fewer calls", "failing": "it fails"}
#: No job waits longer: a longer estimate says that none can be made.
_LONGEST_WAIT = timedelta(days=7)


def message_of(explanation: Explanation) -> jobs_pb2.JobExplanation:
    """The answer to why a job waits."""
    holds = sorted(explanation.holds, key=_length, reverse=True)
    return jobs_pb2.JobExplanation(
        job_id=explanation.job_id,
        state=jobs_pb2.Job.State.ValueType(explanation.state),
        summary=_summary(explanation, holds),
        holds=[
            jobs_pb2.Hold(
                kind=_KINDS[hold.kind],
                scope=hold.scope,
                until=timestamp(hold.until_ms),
                message=_because(explanation, hold),
            )
            for hold in holds
        ],
        place=jobs_pb2.Place(
            lane=explanation.lane,
            ahead_in_lane=explanation.ahead_in_lane,
            waiting_of_tenant=explanation.waiting_of_tenant,
            lanes_of_tenant=explanation.lanes_of_tenant,
            tenants=explanation.tenants,
            share=explanation.share,
        ),
        estimated_start_at=timestamp(_estimate_ms(explanation)),
    )


def recovering(job_id: str) -> jobs_pb2.JobExplanation:
    """The answer while the queue is being rebuilt, when nothing else is known."""
    because = "the queue is being rebuilt after a loss, and no job is called before that is done"
    return jobs_pb2.JobExplanation(
        job_id=job_id,
        summary=because,
        holds=[jobs_pb2.Hold(kind=jobs_pb2.Hold.RECOVERY, scope="upstream", message=because)],
    )


def _length(hold: Hold) -> tuple[int, int]:
    """What holds for longer is greater: a pause lasts until somebody ends it, a call under way ends in seconds."""
    if hold.kind in _OPEN_ENDED:
        return (2, len(_OPEN_ENDED) - _OPEN_ENDED.index(hold.kind))
    return (1, hold.until_ms) if hold.until_ms else (0, 0)


def _waits(explanation: Explanation) -> bool:
    return not explanation.leased and not explanation.state.terminal


def _summary(explanation: Explanation, holds: list[Hold]) -> str:
    if explanation.state.terminal:
        return f"it has ended as {explanation.state.name}"
    if explanation.leased:
        return "it does not wait: an attempt is under way"
    if not holds:
        return f"nothing holds it back but its turn: {_turn(explanation)}"
    more = len(holds) - 1
    others = "" if not more else f"; {'one more thing holds' if more == 1 else f'{more} more things hold'} it back"
    return _because(explanation, holds[0]) + others


def _turn(explanation: Explanation) -> str:
    ahead = explanation.ahead_in_lane
    before = (
        "it is the next one of its lane" if not ahead else f"{_count(ahead, 'job')} of its lane {_is(ahead)} before it"
    )
    lanes, tenants = max(1, explanation.lanes_of_tenant), max(1, explanation.tenants)
    return f"{before}, {_count(lanes, 'lane')} of its tenant and {_count(tenants, 'tenant')} take turns"


def _because(explanation: Explanation, hold: Hold) -> str:
    """Why the job is held, as a part of a sentence."""
    return _REASONS[hold.kind](explanation, hold)


def _not_before(explanation: Explanation, hold: Hold) -> str:
    until = _time(hold.until_ms)
    if explanation.state is State.RETRYING:
        return f"the job's last attempt failed, and it is tried again from {until} on"
    return f"the job is not to be called before {until}"


def _paused(_: Explanation, hold: Hold) -> str:
    return _PAUSED[hold.scope] + (f": {hold.text}" if hold.text else "")


def _suspended(_: Explanation, hold: Hold) -> str:
    return "the tenant is suspended" + (f": {hold.text}" if hold.text else "")


def _needs_reauth(_: Explanation, hold: Hold) -> str:
    return "the job's connection needs to be authorized anew" + (f": {hold.text}" if hold.text else "")


def _rate(explanation: Explanation, hold: Hold) -> str:
    budget = f"{_calls(explanation, hold, hold.limit)} may begin in any {hold.window_ms / 1000:g} s"
    return f"{budget}, and there is room from {_time(hold.until_ms)} on"


def _concurrency(explanation: Explanation, hold: Hold) -> str:
    return f"{_calls(explanation, hold, hold.limit)} may be under way at a time, and there is room when one ends"


def _quota(explanation: Explanation, hold: Hold) -> str:
    return (
        f"the upstream allows no more {_calls(explanation, hold)} before {_time(hold.until_ms)}: its quota is used up"
    )


def _open_breaker(explanation: Explanation, hold: Hold) -> str:
    whose = "the upstream" if hold.scope == "upstream" else f"the upstream for the lane {explanation.lane}"
    cause = _CAUSES.get(hold.text, hold.text)
    if hold.until_ms <= explanation.now_ms:
        return (
            f"calls are held back from {whose} until one that was let through has shown that it has recovered ({cause})"
        )
    return f"calls are held back from {whose} until {_time(hold.until_ms)} ({cause})"


_REASONS = {
    HoldKind.NOT_BEFORE: _not_before,
    HoldKind.PAUSED: _paused,
    HoldKind.SUSPENDED: _suspended,
    HoldKind.NEEDS_REAUTH: _needs_reauth,
    HoldKind.BREAKER: _open_breaker,
    HoldKind.RATE: _rate,
    HoldKind.CONCURRENCY: _concurrency,
    HoldKind.QUOTA: _quota,
}


def _calls(explanation: Explanation, hold: Hold, number: int | None = None) -> str:
    """The calls of a budget, and how many of them."""
    scope, _, method_class = hold.scope.partition(":")
    what = f"{method_class} call" if method_class else "call"
    if scope == "upstream":
        whose = "of all tenants"
    elif explanation.lane == DEFAULT_LANE:
        whose = "without a connection"
    else:
        whose = f"of the lane {explanation.lane}"
    return f"{f'{what}s' if number is None else _count(number, what)} {whose}"


def _estimate_ms(explanation: Explanation) -> int:
    """When the job may start; 0 where that cannot be told.

    What has ended of late is parted as the turns are: by the tenant's share, and evenly among its lanes.
    """
    if not _waits(explanation) or any(hold.kind in _OPEN_ENDED for hold in explanation.holds):
        return 0
    earliest_ms = max([explanation.now_ms, *(hold.until_ms for hold in explanation.holds)])
    before = min(
        explanation.ahead_in_lane * max(1, explanation.lanes_of_tenant), max(0, explanation.waiting_of_tenant - 1)
    )
    if any(hold.kind is HoldKind.CONCURRENCY for hold in explanation.holds):
        before += 1  # a call has to end first
    if not before:
        return earliest_ms
    pace = explanation.drain_rate * explanation.share
    wait_s = before / pace if pace > 0 else math.inf
    if wait_s > _LONGEST_WAIT.total_seconds():
        return 0
    return max(earliest_ms, explanation.now_ms + math.ceil(wait_s * 1000))


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _is(number: int) -> str:
    return "is" if number == 1 else "are"
