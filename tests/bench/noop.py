"""The upstream `noop`: its calls do nothing, so that what is measured is the mesh and not a far end."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from services.upstream.domain import Kind, Method, Success, Upstream
from services.upstream.limits import Budget, Limits, Rate

if TYPE_CHECKING:
    from services.upstream.connector import CallRequest
    from services.upstream.domain import Outcome

UPSTREAM = "noop"
METHOD = "noop.read"
_MINUTE = timedelta(minutes=1)
#: Every budget there is, each checked for every lease, and none ever reached.
_HIGH = Budget(rates=(Rate(calls=100_000_000, window=_MINUTE),), concurrency=100_000)
_HIGH_BY_CLASS = {Kind.READ: _HIGH}


class NoopConnector:
    """Answers at once."""

    upstream = Upstream(
        name=UPSTREAM,
        title="Nothing",
        lane_param="url",
        limits=Limits(upstream=_HIGH, classes=_HIGH_BY_CLASS, lane=_HIGH, lane_classes=_HIGH_BY_CLASS),
        methods=(
            Method(
                name=METHOD,
                title="Do nothing",
                kind=Kind.READ,
                idempotent=True,
                timeout=timedelta(seconds=30),
                params_schema={
                    "type": "object",
                    "properties": {"url": {"type": "string"}},
                    "required": ["url"],
                    "additionalProperties": False,
                },
            ),
        ),
    )

    targets = ()

    async def call(self, request: CallRequest) -> Outcome:
        """Does nothing."""
        del request
        return Success(status=200)
