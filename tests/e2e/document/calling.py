"""Calls every operation of the document as schemathesis sees fit, and gathers what came of it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import schemathesis
from schemathesis import hooks
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.engine import events, from_schema

from tests.e2e.document import left_out

if TYPE_CHECKING:
    from schemathesis import Case, HookContext
    from schemathesis.core.failures import Failure
    from schemathesis.core.transport import Response

#: s; one that is not answered by then has failed. Who waits for a job or an operation is told to wait for less.
_TIMEOUT_S = 10
_WAIT = "0.05s"
_WAITING = frozenset({"JobService_WaitJob", "Operations_WaitOperation"})
#: Random cases of each operation, of good data and as many of bad: in a short run, and in one that goes on for minutes.
_FEW_EXAMPLES = 1
_EXAMPLES = 3


@dataclass(slots=True)
class Outcome:
    """What came of calling the operations."""

    #: By operation, how often each status was answered.
    statuses: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    #: By what is wrong, the first request that showed it.
    faults: dict[str, str] = field(default_factory=dict)

    @property
    def calls(self) -> int:
        """How many there were."""
        return sum(statuses.total() for statuses in self.statuses.values())

    def report(self) -> str:
        """A line for each operation: its calls, and the statuses seen."""
        lines = [
            f"{statuses.total():>6}  {operation}  "
            + ", ".join(f"{count} of {status}" for status, count in sorted(statuses.items()))
            for operation, statuses in sorted(self.statuses.items())
        ]
        return "\n".join([*lines, f"{self.calls:>6}  calls of {len(lines)} operations, {len(self.faults)} faults"])


def call_all(document: dict[str, Any], *, url: str, key: str, key_id: str, seed: int, minutes: float = 0) -> Outcome:
    """Calls every operation.

    Args:
        document: The API's, in OpenAPI.
        url: Where it is served.
        key: An admin's, of a tenant that nobody else needs.
        key_id: The key's own id, of which it is not to be robbed.
        seed: The same one makes the same calls.
        minutes: How long to go on, with all the cases besides that the schemas suggest; 0 for a short run.
    """
    schema = schemathesis.openapi.from_dict(document, config=_config(url=url, key=key, seed=seed, minutes=minutes))

    @schema.hook
    def filter_failure(context: HookContext, failure: Failure, case: Case, response: Response) -> bool:
        return not (_is_read_too(failure) or _is_excused(response, _id(case)))

    def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
        if case.path_parameters.get("key_id") == key_id:
            case.path_parameters["key_id"] = key_id[:-1]
        if _id(case) in _WAITING:
            case.query.setdefault("timeout", _WAIT)

    outcome = Outcome()
    schemathesis.hook(before_call)
    try:
        for event in from_schema(schema).execute():
            if isinstance(event, events.ScenarioFinished):
                _take_down(event, outcome)
            elif isinstance(event, events.NonFatalError):
                outcome.faults[f"{event.label}: {event.value}"] = ""
            elif isinstance(event, events.FatalError):
                raise event.exception
    finally:
        hooks.unregister(before_call)
    return outcome


def _config(*, url: str, key: str, seed: int, minutes: float) -> SchemathesisConfig:
    settings: dict[str, Any] = {
        "seed": seed,
        **({"max-time": round(minutes * 60)} if minutes else {}),
        "base-url": url,
        "headers": {"Authorization": f"Bearer {key}"},
        "request-timeout": _TIMEOUT_S,
        "continue-on-failure": True,
        "suppress-health-check": ["all"],
        "generation": {
            "mode": "all",
            "max-examples": _EXAMPLES if minutes else _FEW_EXAMPLES,
            "no-shrink": True,
            "database": "none",
            "with-security-parameters": False,
        },
        "phases": {
            "coverage": {"enabled": bool(minutes), "unexpected-methods": list(left_out.UNEXPECTED_METHODS)},
            "stateful": {"enabled": False},
        },
        "checks": {name: {"enabled": False} for name in left_out.CHECKS},
        "operations": [
            {
                "include-operation-id": operation,
                "generation": {"mode": "negative"},
                "phases": {"examples": {"enabled": False}},
            }
            for operation in left_out.WRONG_DATA_ALONE
        ],
    }
    return SchemathesisConfig.from_dict(settings)


def _id(case: Case) -> str:
    return case.operation.definition.raw.get("operationId", "")


def _is_read_too(failure: Failure) -> bool:
    """Whether it is that a value was taken in a form which the document tells in words alone."""
    return isinstance(failure, AcceptedNegativeData) and left_out.READ_TOO in failure.message.lower()


def _is_excused(response: Response, operation: str) -> bool:
    """Whether a failure of a check is none of Penstock's."""
    if response.status_code != 503:
        return False
    reason = json.loads(response.content)["error"]["details"][0]["reason"]
    return reason in left_out.EXCUSED and (reason != "UNAVAILABLE" or operation in left_out.PROVIDERS_ASKED)


def _take_down(event: events.ScenarioFinished, outcome: Outcome) -> None:
    recorder = event.recorder
    for interaction in recorder.interactions.values():
        outcome.statuses[recorder.label][interaction.response.status_code if interaction.response else 0] += 1
    for checks in recorder.checks.values():
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                fault = f"{recorder.label}: {failure.title}: {failure.message}"
                outcome.faults.setdefault(fault, check.failure_info.code_sample)
