"""What the demo's jobs must have come to; each check answers with what is not so."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deploy.local.demo.client import Batch, Job
    from deploy.local.demo.receiver import Receiver

PRIORITIES = ("HIGH", "NORMAL", "LOW")


@dataclass(frozen=True, slots=True)
class Expectation:
    """How jobs of one kind must end."""

    kind: str
    state: str
    attempts: int


def mistakes_of_plain(job: Job) -> list[str]:
    """It succeeded at once, and the far end saw what was sent."""
    mistakes = _unlike(job, Expectation("plain", "SUCCEEDED", 1))
    if echoed(job, "x") != "1":
        mistakes.append(f"plain: {job['id']} must have the far end's echo of x=1, and has {job.get('result')}")
    return mistakes


def mistakes_of_failed(job: Job) -> list[str]:
    """It failed for good at the third attempt, and tells the upstream's status."""
    mistakes = _unlike(job, Expectation("503", "FAILED", 3))
    if job.get("error", {}).get("upstreamStatus") != 503:  # noqa: PLR2004  the status asked for
        mistakes.append(f"503: {job['id']} must tell the upstream's status 503, and tells {job.get('error')}")
    return mistakes


def mistakes_of_many(jobs: Sequence[Job]) -> list[str]:
    """Each succeeded at once, with its own result and priority."""
    mistakes: list[str] = []
    for number, job in enumerate(jobs):
        priority = PRIORITIES[number % len(PRIORITIES)]
        mistakes += _unlike(job, Expectation(f"job {number}", "SUCCEEDED", 1))
        if echoed(job, "n") != str(number):
            mistakes.append(f"job {number}: {job['id']} has another job's result: n={echoed(job, 'n')}")
        if job.get("priority") != priority:
            mistakes.append(
                f"job {number}: {job['id']} has priority {job.get('priority')}; it was sent with {priority}"
            )
    if len({job["id"] for job in jobs}) != len(jobs):
        mistakes.append(f"{len(jobs)} jobs must have {len(jobs)} different ids")
    return mistakes


def mistakes_of_callback(job: Job, receiver: Receiver) -> list[str]:
    """The receiver refused twice and then took it: three attempts of one message, each with a signature of its own."""
    mistakes = _unlike(job, Expectation("callback", "SUCCEEDED", 1))
    mistakes += [f"callback: {reason}" for reason in receiver.disbelieved]
    if len(receiver.messages) != receiver.refusals + 1:
        mistakes.append(f"callback: {len(receiver.messages)} attempts came; it must be {receiver.refusals + 1}")
    if len({message.webhook_id for message in receiver.messages}) > 1:
        mistakes.append("callback: the attempts have different ids")
    told = [message.payload["data"] for message in receiver.messages]
    mistakes += [f"callback: it told {each['state']} of {each['id']}" for each in told if each != job]
    return mistakes


def mistakes_of_batch(accepted: Batch, again: Batch, ended: Batch, receiver: Receiver) -> list[str]:
    """Submitted twice, it is one batch; all of its jobs succeeded, and its end was told as it is shown."""
    mistakes = [f"batch: {reason}" for reason in receiver.disbelieved]
    if again["id"] != accepted["id"]:
        mistakes.append(f"batch: {accepted['id']} was submitted again, and became {again['id']}")
    if ended["counts"] != {"succeeded": accepted["size"]}:
        mistakes.append(
            f"batch: {ended['id']} has {ended['counts']}; all of its {accepted['size']} must have succeeded"
        )
    told = [message.payload["data"] for message in receiver.messages]
    shown = {name: value for name, value in ended.items() if name != "jobs"}
    return mistakes + [f"batch: its callback told {each}, and it is {shown}" for each in told if each != shown]


def mistakes_of_history(listed: Sequence[Job], jobs: Sequence[Job]) -> list[str]:
    """History holds every job of the demo once, as it ended."""
    mistakes: list[str] = []
    for job in jobs:
        states = [each["state"] for each in listed if each["id"] == job["id"]]
        if states != [job["state"]]:
            mistakes.append(f"history: {job['id']} ended {job['state']}, and history lists {states}")
    return mistakes


def echoed(job: Job, argument: str) -> str | None:
    """What httpbin says the argument was."""
    body = job.get("result", {}).get("inline", {}).get("text", "")
    try:
        return json.loads(body)["args"].get(argument)
    except (ValueError, KeyError, TypeError):  # no echo; the caller says so
        return None


def error_of(job: Job) -> str:
    """Why a job did not succeed, in short."""
    error = job.get("error", {})
    return f"{error.get('reason')}, HTTP {error.get('upstreamStatus')}"


def _unlike(job: Job, expected: Expectation) -> list[str]:
    state, attempts = job["state"], job.get("attempt", 0)
    if (state, attempts) == (expected.state, expected.attempts):
        return []
    told = f"{expected.kind}: {job['id']} is {state} after {attempts} attempts ({error_of(job)})"
    return [f"{told}; it must be {expected.state} after {expected.attempts}"]
