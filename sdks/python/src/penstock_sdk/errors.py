"""The tree of errors.

    PenstockError
    ├── NotConfigured       no URL or no API key is known, or a profile cannot be read
    ├── InvalidUse          an argument that no call could be made of (also a ValueError)
    ├── NoAnswer            no connection, one that broke, or no answer in time
    │   └── UnexpectedAnswer    an answer that is none of Penstock's: a proxy's page, or a URL that leads elsewhere
    ├── WaitTimeout         what was waited for has not ended in time; it goes on
    ├── ApiError            Penstock has refused a call; a class of its own for each reason in `penstock_sdk.reasons`
    └── JobFailed           a job has ended without success; a class of its own for each reason too

No message holds an API key or the content of a request.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penstock_sdk.models import Job


class PenstockError(Exception):
    """Whatever the SDK raises.

    Attributes:
        tries: How often the call was tried before this was raised; 0 where none was made.
        took_s: How long that took, in seconds.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.tries = 0
        self.took_s = 0.0

    def __str__(self) -> str:
        if self.tries > 1:
            return f"{self.described} (given up after {self.tries} tries in {self.took_s:.1f} s)"
        return self.described

    def __reduce__(self) -> tuple[Any, ...]:
        return _revived, (type(self), self.args), self.__dict__

    @property
    def described(self) -> str:
        """What went wrong, without how often it was tried."""
        return self.message


class NotConfigured(PenstockError):
    """No URL or no API key is known, or a profile cannot be read."""


class InvalidUse(PenstockError, ValueError):
    """An argument that no call could be made of."""


class NoAnswer(PenstockError):
    """No connection, one that broke, or no answer in time.

    Args:
        problem: What happened, in words.
        verb: The request's HTTP method.
        url: Where it went.
        sent: Whether the request may have arrived; False says that it surely has not.
        late: Whether it was waited for in vain, with nothing broken.
    """

    def __init__(self, problem: str, *, verb: str, url: str, sent: bool, late: bool = False) -> None:
        super().__init__(f"{verb} {url}: {problem}")
        self.verb = verb
        self.url = url
        self.sent = sent
        self.late = late


class UnexpectedAnswer(NoAnswer):
    """An answer that is none of Penstock's: a proxy's page, or a URL that leads elsewhere.

    Args:
        problem: What is wrong with it, in words.
        verb: The request's HTTP method.
        url: Where it went.
        status: The answer's HTTP status.
        content_type: Its `Content-Type`; empty where it had none.
        retry_after_s: The pause that it asks for, in seconds; None where it asks for none.
    """

    def __init__(
        self, problem: str, *, verb: str, url: str, status: int, content_type: str, retry_after_s: float | None = None
    ) -> None:
        super().__init__(problem, verb=verb, url=url, sent=True)
        self.status = status
        self.content_type = content_type
        self.retry_after_s = retry_after_s


class WaitTimeout(PenstockError):
    """What was waited for has not ended in time; it goes on.

    Args:
        waited_for: The id of the job or batch.
        timeout_s: How long it was waited for, in seconds.
        state: How it stood when it was last seen, in words; empty where it never was.
    """

    def __init__(self, waited_for: str, *, timeout_s: float, state: str = "") -> None:
        seen = f"; it stood at {state}" if state else ""
        super().__init__(
            f"{waited_for} has not ended within {timeout_s:g} s{seen}. It goes on: wait again, or cancel it"
        )
        self.waited_for = waited_for
        self.timeout_s = timeout_s
        self.state = state


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A wrong field of a request.

    Args:
        field: Its path, such as `jobs[3].params.url`.
        description: What is wrong with it.
    """

    field: str
    description: str


class ApiError(PenstockError):
    """Penstock has refused a call.

    Args:
        message: For people: what was wrong, with which value, and what to do.
        reason: What programs branch on, unless they catch its class; a name of `penstock.errors.v1.ErrorReason`.
        status: The HTTP status.
        violations: Each wrong field.
        metadata: The values that the message speaks of.
        help_url: The page on the reason: what it means and what to do.
        retry_after_s: The pause that Penstock asks for, in seconds; None where it asks for none.
        request_id: The answer's `X-Request-Id`, by which its operator finds the call.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        status: int,
        violations: Sequence[Violation] = (),
        metadata: Mapping[str, str] = MappingProxyType({}),
        help_url: str = "",
        retry_after_s: float | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status
        self.violations = tuple(violations)
        self.metadata = dict(metadata)
        self.help_url = help_url
        self.retry_after_s = retry_after_s
        self.request_id = request_id

    @property
    def described(self) -> str:
        """Reason, status and message, every wrong field, and by which id the call is found."""
        parts = [f"{self.reason} ({self.status}): {self.message}"]
        parts += [
            f"{each.field}: {each.description}" for each in self.violations if each.description not in self.message
        ]
        if self.request_id:
            parts.append(f"request {self.request_id}")
        return "; ".join(parts)


class JobFailed(PenstockError):
    """A job has ended without success.

    Args:
        job: As it ended.
    """

    def __init__(self, job: Job) -> None:
        told = f": {job.error.reason}: {job.error.message}" if job.error else ""
        super().__init__(f"job {job.id} ended as {job.state}{told}")
        self.job = job
        self.reason = job.error.reason if job.error else ""

    @property
    def retryable(self) -> bool:
        """Whether the same once more could succeed, by `jobs.retry`."""
        return self.job.error is not None and self.job.error.retryable


def _revived(kind: type[PenstockError], args: tuple[Any, ...]) -> PenstockError:
    """An error as it was, for `pickle`; without calling its constructor, whose arguments are not kept."""
    error = kind.__new__(kind)
    error.args = args
    return error
