"""What `map` knows without asking: how jobs are cut into batches, and which of them a refusal is about."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from penstock_sdk import encoding
from penstock_sdk.errors import InvalidUse, Violation
from penstock_sdk.results import failure_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from penstock_sdk.errors import ApiError, PenstockError
    from penstock_sdk.models import Job

#: Jobs of a batch at most, as docs/api.md has it.
MAX_JOBS = 100
#: A batch's JSON at most: bodies may have 10 MiB, and what is around the jobs is little.
MAX_BYTES = 8 << 20
#: Keys have 255 characters at most, and the number of a job takes its part.
_MAX_NAME_CHARACTERS = 200
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_JOB_PATH = re.compile(r"jobs\[(?P<position>[0-9]+)\]\.?(?P<field>.*)", re.DOTALL)


class Journal(Protocol):
    """Remembers which batch was made under which key: for restarts after more than the 24 hours that keys hold."""

    def batch_of(self, key: str, /) -> str | None:
        """The batch that was accepted under a key; None where none is known."""
        ...

    def accepted(self, key: str, batch_id: str, /) -> None:
        """Notes a batch as soon as it is accepted."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one request.

    Args:
        index: Its place among the requests, from 0.
        request: As it was given.
        job: As it ended; None where it was refused, or is not known any more.
        error: None where the job has SUCCEEDED; else why not: JobFailed, or the ApiError that refused it.
    """

    index: int
    request: Any = field(repr=False)
    job: Job | None
    error: PenstockError | None

    @classmethod
    def of(cls, asked: Asked, job: Job) -> Outcome:
        """The outcome of a job that has ended."""
        return cls(index=asked.index, request=asked.request, job=job, error=failure_of(job))

    @classmethod
    def refused(cls, asked: Asked, error: PenstockError, *, job: Job | None = None) -> Outcome:
        """The outcome of a request of which no job was made, or none is known any more."""
        return cls(index=asked.index, request=asked.request, job=job, error=error)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: its place, as it was given, and the JSON that it is."""

    index: int
    request: Any
    json: Mapping[str, Any]
    bytes: int

    @classmethod
    def of(cls, index: int, request: Any) -> Asked:
        """A request as it is sent.

        Raises:
            InvalidUse: It is no request for a job.
        """
        encoded = encoding.encode(request)
        if not isinstance(encoded, Mapping):
            raise InvalidUse(
                f"job {index} is a {type(request).__name__}, and has to be an object with upstream, method and params"
            )
        size = len(json.dumps(encoded, ensure_ascii=False).encode())
        return cls(index=index, request=request, json=encoded, bytes=size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A batch to submit.

    Args:
        key: That of all its requests, whichever of them are left.
        asked: Those that are left.
        left_out: The positions of the others, which were found faulty.
    """

    key: str
    asked: Mapping[int, Asked]
    left_out: tuple[int, ...] = ()

    @classmethod
    def of(cls, key: str, asked: Sequence[Asked]) -> Planned:
        """All of a batch, as it was cut."""
        return cls(key=key, asked=dict(enumerate(asked)))

    def without(self, positions: Collection[int]) -> Planned:
        """The rest of it, under the same key."""
        rest = {at: each for at, each in self.asked.items() if at not in positions}
        return replace(self, asked=rest, left_out=(*self.left_out, *positions))


@dataclass(slots=True, kw_only=True)
class OpenBatch:
    """A batch of which jobs are unfinished.

    Args:
        id: Its id.
        asked: What its unfinished jobs were asked for by, by their ids.
        jobs: These jobs as they were last seen, in their order.
        looked_at: When that was.
    """

    id: str
    asked: dict[str, Asked] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    looked_at: float = 0.0

    def pop(self, job_id: str) -> Asked:
        """Takes out a job that is waited for no more; answers with what it was asked for by."""
        del self.jobs[job_id]
        return self.asked.pop(job_id)


def checked_name(name: str) -> str:
    """A name as keys can begin with.

    Raises:
        InvalidUse: It is none.
    """
    if not _VISIBLE.fullmatch(name) or len(name) > _MAX_NAME_CHARACTERS:
        raise InvalidUse(
            f"name is {name[:60]!r}, and has to be 1 to {_MAX_NAME_CHARACTERS} visible ASCII characters: import-7"
        )
    return name


def key_of(name: str, first: Asked) -> str:
    """The idempotency key of the batch that begins with a request: the same whenever the same requests are mapped."""
    return f"{name}-{first.index:06}"


def faults_of(error: ApiError, *, jobs: int) -> Mapping[int, ApiError]:
    """Which requests a refused batch was refused for, by their positions in it, and each one's own error.

    An answer tells 32 faults in full; the requests that have others are found when the rest is sent again. A refusal
    that names none is about all of them.
    """
    told: dict[int, list[Violation]] = {}
    for violation in error.violations:
        if (path := _JOB_PATH.fullmatch(violation.field)) and int(path["position"]) < jobs:
            told.setdefault(int(path["position"]), []).append(
                Violation(field=path["field"], description=violation.description)
            )
    if told:
        return {position: _own(error, violations) for position, violations in told.items()}
    named = [int(each) for each in error.metadata.get("faulty_jobs", "").split(",") if each.isdecimal()]
    return {position: error for position in named if position < jobs} or dict.fromkeys(range(jobs), error)


def _own(error: ApiError, violations: Sequence[Violation]) -> ApiError:
    return type(error)(
        "; ".join(f"{each.field}: {each.description}" for each in violations),
        reason=error.reason,
        status=error.status,
        violations=tuple(violations),
        metadata={name: text for name, text in error.metadata.items() if name != "faulty_jobs"},
        help_url=error.help_url,
        request_id=error.request_id,
    )
