"""How the queues stand, for `make status`: their depth by the scheduler's metrics, the rest by QueueService."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families

from deploy.local import trust

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deploy.local.layout import Layout

_TIMEOUT_S = 1.0
#: Longer than the scheduler takes to look at every queue.
_API_TIMEOUT_S = 5.0
HEADER = ("queue", "ready", "delayed", "leased", "ended/s", "held back")


def rows(layout: Layout, key: str) -> list[tuple[str, ...]]:
    """A row for each queue; none while the scheduler is away.

    Args:
        layout: Of the stack.
        key: An API key, which sees its tenant's pauses and those of all; empty for none.
    """
    shown = _shown(layout, key)
    return [
        (upstream, states["ready"], states["delayed"], states["leased"], *_rest(shown.get(upstream)))
        for upstream, states in sorted(_depths(layout).items())
    ]


def _depths(layout: Layout) -> dict[str, dict[str, str]]:
    """Jobs of all tenants, by upstream and state."""
    url = f"http://{layout.address('scheduler_metrics')}/metrics"
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
    except OSError:  # the scheduler is away, which is told already
        return {}
    depths: dict[str, dict[str, str]] = {}
    for family in families:
        if family.name == "penstock_scheduler_queue_jobs":
            for sample in family.samples:
                depths.setdefault(sample.labels["upstream"], {})[sample.labels["state"]] = f"{sample.value:.0f}"
    return depths


def _shown(layout: Layout, key: str) -> Mapping[str, Any]:
    """What QueueService answers, by upstream."""
    request = urllib.request.Request(  # noqa: S310  our own address
        f"{layout.url}/api/v1/queues?pageSize=500", headers={"Authorization": f"Bearer {key}"}
    )
    try:
        trusted = trust.context(layout)
        with urllib.request.urlopen(request, timeout=_API_TIMEOUT_S, context=trusted) as answer:  # noqa: S310  the same
            return {queue["upstream"]: queue for queue in json.load(answer)["queues"]}
    except (OSError, ValueError, KeyError):  # the depths are told without it
        return {}


def _rest(queue: Mapping[str, Any] | None) -> tuple[str, str]:
    """How fast it moves, and what holds all of it back."""
    if queue is None:
        return "?", "?"
    if queue.get("recovering"):
        return "-", "it is being rebuilt"
    holds = [_pause(pause) for pause in queue.get("pauses", ())]
    if "breaker" in queue:
        holds.append(f"breaker {queue['breaker']['state'].lower()} until {queue['breaker'].get('until', '?')}")
    return f"{queue.get('drainRate', 0):.3g}", "; ".join(holds) or "-"


def _pause(pause: Mapping[str, str]) -> str:
    whose = " ".join(part for part in (pause.get("tenant"), pause.get("lane")) if part) or "all tenants"
    return f"paused: {whose}" + (f" ({pause['reason']})" if pause.get("reason") else "")
