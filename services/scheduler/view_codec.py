"""Rules as the scripts take them, and what the scripts show of a queue: JSON."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from services.scheduler.domain import State
from services.scheduler.limits import Budget, Pause, Rate, Suspension
from services.scheduler.scripts import milliseconds
from services.scheduler.views import BreakerView, BudgetUse, Explanation, Hold, HoldKind, LaneView, QueueView

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.scheduler.limits import BreakerPolicy, Rules


def dump_rules(rules: Rules) -> tuple[str, str]:
    """Limits and breaker, and the weights."""
    limits = rules.limits
    values = {
        "limits": {
            "upstream": _budget(limits.upstream),
            "classes": {name: _budget(budget) for name, budget in limits.classes.items()},
            "lane": _budget(limits.lane),
            "lane_classes": {name: _budget(budget) for name, budget in limits.lane_classes.items()},
        },
        "breaker": _breaker(rules.breaker),
    }
    return _dump(values), _dump(dict(rules.weights))


def read_explanation(values: Mapping[str, Any]) -> Explanation:
    """Why a job waits."""
    holds = [
        Hold(
            kind=HoldKind(hold["kind"]),
            scope=hold["scope"],
            until_ms=int(hold["until"]),
            limit=hold["limit"],
            window_ms=hold["window"],
            text=hold["text"],
        )
        for hold in json.loads(values["holds"])
    ]
    return Explanation(
        job_id=values["id"],
        state=State(values["state"]),
        leased=values["leased"],
        worker=values["worker"],
        lane=values["lane"],
        holds=tuple(holds),
        ahead_in_lane=values["ahead"],
        waiting_of_tenant=values["waiting"],
        lanes_of_tenant=values["lanes"],
        tenants=values["tenants"],
        share=values["share"],
        drain_rate=values["drain_rate"],
        now_ms=values["now"],
    )


def read_view(
    values: Mapping[str, Any], pauses: Sequence[bytes], suspensions: Sequence[bytes], *, tenant: str
) -> QueueView:
    """How a queue stands.

    Args:
        values: As the script wrote them.
        pauses: By turns what is paused, and how.
        suspensions: By turns which tenant or lane is suspended, and how.
        tenant: Whose pauses, with those of all, and whose suspension are shown; empty for everyone's.
    """
    found = [_read_pause(what, how) for what, how in zip(pauses[::2], pauses[1::2], strict=True)]
    high, normal, low = values["by_priority"]
    return QueueView(
        ready=high + normal + low - values["delayed"],
        delayed=values["delayed"],
        leased=values["leased"],
        by_priority=(high, normal, low),
        oldest_ready_ms=values["oldest"],
        drain_rate=values["drain_rate"],
        tenants=values["tenants"],
        budgets=_read_uses(values["budgets"]),
        breaker=_read_breaker(values.get("breaker")),
        pauses=tuple(
            sorted(
                (pause for pause in found if not tenant or pause.tenant in {"", tenant}),
                key=lambda pause: (pause.tenant, pause.lane),
            )
        ),
        suspensions=tuple(
            suspension for suspension in read_suspensions(suspensions) if not tenant or suspension.tenant == tenant
        ),
        lanes=tuple(
            LaneView(
                tenant=lane["tenant"],
                lane=lane["lane"],
                waiting=lane["waiting"],
                budgets=_read_uses(lane["budgets"]),
                breaker=_read_breaker(lane.get("breaker")),
            )
            for lane in json.loads(values["lanes"])
        ),
    )


def read_suspensions(texts: Sequence[bytes]) -> list[Suspension]:
    """Suspensions, in order.

    Args:
        texts: By turns what is suspended, and how.
    """
    found = [_read_suspension(what, how) for what, how in zip(texts[::2], texts[1::2], strict=True)]
    return sorted(found, key=lambda suspension: (suspension.tenant, suspension.lane))


def _budget(budget: Budget) -> dict[str, Any]:
    return {
        "rates": [{"calls": rate.calls, "window": milliseconds(rate.window)} for rate in budget.rates],
        "concurrency": budget.concurrency,
    }


def _breaker(policy: BreakerPolicy) -> dict[str, Any]:
    return {
        "throttles": policy.throttles,
        "throttle_pause": milliseconds(policy.throttle_pause),
        "failure_ratio": policy.failure_ratio,
        "min_calls": policy.min_calls,
        "window": milliseconds(policy.window),
        "failure_pause": milliseconds(policy.failure_pause),
        "max_pause": milliseconds(policy.max_pause),
        "upstream": policy.upstream,
    }


def _read_uses(text: str) -> tuple[BudgetUse, ...]:
    return tuple(
        BudgetUse(
            scope=use["scope"],
            budget=Budget(
                rates=tuple(
                    Rate(calls=rate["calls"], window=timedelta(milliseconds=rate["window"]))
                    for rate in json.loads(use["rates"])
                ),
                concurrency=use["concurrency"],
            ),
            used=tuple(json.loads(use["used"])),
            running=use["running"],
            remaining=use["remaining"] if use["remaining"] >= 0 else None,
            resets_at_ms=int(use["reset"]),
        )
        for use in json.loads(text)
    )


def _read_breaker(values: Mapping[str, Any] | None) -> BreakerView | None:
    if values is None:
        return None
    return BreakerView(
        half_open=values["half_open"], until_ms=int(values["until"]), opened=values["opened"], cause=values["cause"]
    )


def _read_pause(what: bytes, how: bytes) -> Pause:
    tenant, _, lane = what.decode().partition(":")
    values = json.loads(how)
    return Pause(tenant=tenant, lane=lane, reason=values["reason"], paused_at_ms=int(values["at"]))


def _read_suspension(what: bytes, how: bytes) -> Suspension:
    tenant, _, lane = what.decode().partition(":")
    values = json.loads(how)
    return Suspension(
        tenant=tenant,
        lane=lane,
        reason=values["reason"],
        suspended_at_ms=int(values["at"]),
        revision=int(values.get("revision", 0)),
    )


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)  # the same rules are the same text
