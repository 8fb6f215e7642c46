"""The checker: whether what clients were told, what the far end saw and what history holds can all be true."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

TERMINAL = frozenset({"SUCCEEDED", "FAILED", "OUTCOME_UNKNOWN", "CANCELED", "EXPIRED"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a client was told of a job: an answer with status 200."""

    #: The job's number, by which clients and the far end know it.
    number: int
    job_id: str
    state: str
    revision: int


@dataclass(slots=True, kw_only=True)
class Story:
    """All that was seen of a run."""

    #: Every number that was submitted, and whether it was a POST and asked for a callback.
    submitted: Mapping[int, Submitted]
    told: Sequence[Told]
    #: History's jobs, as ListJobs gave them, of every tenant.
    history: Sequence[dict[str, Any]]
    #: Calls that the far end saw, by number.
    calls: Mapping[int, int]
    #: Callbacks that were taken, by job id: the states they told.
    callbacks: Mapping[str, Sequence[str]]
    #: The numbers of the jobs of each accepted batch, in order.
    batches: Mapping[str, Sequence[int]] = field(default_factory=dict)
    #: Callbacks that told of a batch's end, by its id: the counts they told.
    batch_ends: Mapping[str, Sequence[Mapping[str, int]]] = field(default_factory=dict)
    #: Terminal events in the log, by job id: the revisions they had.
    ends: Mapping[str, Iterable[int]] = field(default_factory=dict)
    #: Fences under which an attempt was begun, by the log, by job id.
    fences: Mapping[str, Iterable[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """One job as its client asked for it."""

    post: bool
    callback: bool


def contradictions(story: Story) -> list[str]:
    """What cannot be true of a mesh that keeps its word; empty when all can."""
    found: list[str] = []
    id_of: dict[int, str] = {}
    for told in story.told:
        known = id_of.setdefault(told.number, told.job_id)
        if known != told.job_id:
            found.append(f"job {told.number} was accepted as {known} and as {told.job_id}")
    found += [f"job {number} was never accepted" for number in story.submitted if number not in id_of]
    ends = {job["id"]: job for job in story.history}
    counts = Counter(job["id"] for job in story.history)
    found += [f"{job_id} is in history {count} times" for job_id, count in counts.items() if count > 1]
    found += [f"{job_id} is in history, and no client was told of it" for job_id in set(ends) - set(id_of.values())]
    for number, job_id in id_of.items():
        end = ends.get(job_id)
        if end is None:
            found.append(f"{job_id} was accepted, and is not in history")
        else:
            found += _of_one(number, end, story)
    for batch_id, numbers in story.batches.items():
        found += _of_batch(batch_id, [ends.get(id_of.get(number, ""), {}) for number in numbers], story)
    found += [each for told in story.told if told.job_id in ends for each in _of_answer(told, ends[told.job_id])]
    return found


def _of_one(number: int, end: Mapping[str, Any], story: Story) -> list[str]:
    """What is wrong with one job's end."""
    found: list[str] = []
    job_id, state = end["id"], end["state"]
    if state not in TERMINAL:
        found.append(f"{job_id} is {state} and will not end")
    revisions = set(story.ends.get(job_id, ()))
    if len(revisions) != 1:
        found.append(f"{job_id} has {len(revisions)} ends in the log: {sorted(revisions)}")
    elif revisions != {int(end["revision"])}:
        found.append(f"{job_id} ended with revision {revisions}, and history holds {end['revision']}")
    return found + _of_calls(number, end, story) + _of_callbacks(number, end, story)


def _of_calls(number: int, end: Mapping[str, Any], story: Story) -> list[str]:
    """What is wrong with the calls made for one job.

    An attempt is one fence in the log, and is there before its call goes out. A scheduler that dies between the mark
    that a POST may begin and that entry leaves a counted attempt without one; its job ends OUTCOME_UNKNOWN, uncalled.
    """
    found: list[str] = []
    job_id, state, attempts = end["id"], end["state"], int(end.get("attempt", 0))
    post, calls, fences = story.submitted[number].post, story.calls.get(number, 0), set(story.fences.get(job_id, ()))
    if state == "SUCCEEDED" and calls == 0:
        found.append(f"{job_id} succeeded, and the far end saw no call")
    if state == "OUTCOME_UNKNOWN" and not post:
        found.append(f"{job_id} is idempotent, and its outcome is unknown")
    if post and calls > len(fences):
        found.append(f"{job_id} is a POST begun under {sorted(fences)}, and the far end saw {calls} calls")
    uncalled = 1 if state == "OUTCOME_UNKNOWN" else 0
    if post and not attempts - uncalled <= len(fences) <= attempts:
        found.append(f"{job_id} is {state} and counts {attempts} attempts, and its fences are {sorted(fences)}")
    return found


def _of_callbacks(number: int, end: Mapping[str, Any], story: Story) -> list[str]:
    """What is wrong with one job's callbacks."""
    job_id, state = end["id"], end["state"]
    callbacks = story.callbacks.get(job_id, ())
    found = [f"a callback of {job_id} told {told}, and it ended {state}" for told in callbacks if told != state]
    if story.submitted[number].callback and not callbacks:
        found.append(f"the callback of {job_id} never arrived")
    if not story.submitted[number].callback and callbacks:
        found.append(f"{job_id} asked for no callback, and one came")
    return found


def _of_batch(batch_id: str, ends: Sequence[Mapping[str, Any]], story: Story) -> list[str]:
    """What is wrong with one batch: its jobs' ends, and what was told of its own."""
    found = [f"{end.get('id')} is not of {batch_id}" for end in ends if end.get("batchId") != batch_id]
    counts = {_camel(state): count for state, count in Counter(end.get("state", "") for end in ends).items()}
    told = story.batch_ends.get(batch_id, ())
    found += [f"a callback of {batch_id} told {each}, and it ended {counts}" for each in told if each != counts]
    return found if told else [*found, f"the callback of {batch_id} never arrived"]


def _camel(state: str) -> str:
    first, *others = state.lower().split("_")
    return first + "".join(part.title() for part in others)


def _of_answer(told: Told, end: Mapping[str, Any]) -> list[str]:
    """What is wrong with one answer, seen from the end."""
    if told.revision > int(end["revision"]):
        return [f"a client was told revision {told.revision} of {told.job_id}, which ended with {end['revision']}"]
    if told.state in TERMINAL and told.state != end["state"]:
        return [f"a client was told that {told.job_id} is {told.state}, and it ended {end['state']}"]
    if told.revision == int(end["revision"]) and told.state != end["state"]:
        return [f"revision {told.revision} of {told.job_id} is {told.state} to a client and {end['state']} to history"]
    return []
