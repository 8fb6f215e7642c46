"""How a command ends: its exit code, and the line or two that say what to do."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING

import click

from penstock_sdk import ApiError, JobFailed, NoAnswer, NotConfigured, PenstockError, WaitTimeout

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import FrameType

_INTERRUPTING = (signal.SIGTERM, signal.SIGHUP)
_SHOWN_VIOLATIONS = 10


class ExitCode(IntEnum):
    """What the shell is told; `penstock --help` has the same table."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_ALLOWED = 3
    NOT_FOUND = 4
    NO_ANSWER = 5
    TIMED_OUT = 6
    INTERRUPTED = 130
    TERMINATED = 143


#: For the help of all commands together.
MEANINGS = {
    ExitCode.DONE: "done",
    ExitCode.FAILED: "a job failed, or the call was refused for what stands at the other end",
    ExitCode.USAGE: "the command or a field of the request is wrong",
    ExitCode.NOT_ALLOWED: "no key, one that does not work, or one that may not do this",
    ExitCode.NOT_FOUND: "there is no such thing",
    ExitCode.NO_ANSWER: "Penstock was not reached, or away, for as long as it was tried",
    ExitCode.TIMED_OUT: "what was waited for has not come within --timeout",
    ExitCode.INTERRUPTED: "Ctrl-C",
    ExitCode.TERMINATED: "SIGTERM",
}
_BY_STATUS = {
    400: ExitCode.USAGE,
    401: ExitCode.NOT_ALLOWED,
    403: ExitCode.NOT_ALLOWED,
    404: ExitCode.NOT_FOUND,
    413: ExitCode.USAGE,
    422: ExitCode.USAGE,
    429: ExitCode.NO_ANSWER,
    503: ExitCode.NO_ANSWER,
    504: ExitCode.NO_ANSWER,
}
#: Refused with 400 for how things stand; nothing is wrong with how it was asked.
_OF_THE_STATE = frozenset(
    {
        "AUTHORIZATION_REFUSED",
        "CONNECTION_LIMIT_REACHED",
        "CONNECTION_NEEDS_REAUTH",
        "DELIVERY_AT_WORK",
        "ENDPOINT_DISABLED",
        "ENDPOINT_LIMIT_REACHED",
        "JOB_FINISHED",
        "JOB_NOT_FINISHED",
        "JOB_RUNNING",
        "KEY_NOT_ACTIVE",
        "SUBMISSION_GONE",
        "UPLOAD_INCOMPLETE",
    }
)


class Failed(click.ClickException):
    """Ends the command.

    Args:
        message: What is wrong, and what to do.
        code: The exit code.
        hint: One more line.
    """

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED, *, hint: str = "") -> None:
        super().__init__(message)
        self.exit_code = code  # pyright: ignore[reportAttributeAccessIssue]  # click's own subclasses set it so
        self.hint = hint

    def show(self, file: object = None) -> None:  # noqa: ARG002  # click's signature; errors go to stderr here
        """Prints it."""
        click.echo(f"{click.style('penstock:', fg='red', bold=True)} {self.message}", err=True)
        if self.hint:
            click.echo(f"  {self.hint}", err=True)


def failure(error: PenstockError) -> Failed:
    """An error of the SDK as the end of a command."""
    match error:
        case NotConfigured():
            return Failed(str(error), ExitCode.NOT_ALLOWED)
        case NoAnswer():
            return Failed(str(error), ExitCode.NO_ANSWER, hint="penstock whoami says which URL is asked, and why")
        case WaitTimeout():
            return Failed(str(error), ExitCode.TIMED_OUT)
        case JobFailed():
            return Failed(str(error), ExitCode.FAILED, hint=f"penstock jobs get {error.job.id}")
        case ApiError():
            return Failed(words(error), code_of(error), hint=_way_out(error))
        case _:
            return Failed(str(error))


def usage(error: click.UsageError) -> click.ClickException:
    """A mistake on the command line in two lines; the help itself where nothing was asked for."""
    if error.ctx is None or isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error
    return Failed(error.format_message(), ExitCode.USAGE, hint=f"{error.ctx.command_path} --help")


def code_of(error: PenstockError) -> ExitCode:
    """The exit code that stands for an error."""
    if isinstance(error, ApiError):
        known = _BY_STATUS.get(error.status, ExitCode.FAILED)
        return ExitCode.FAILED if error.reason in _OF_THE_STATE else known
    return ExitCode(failure(error).exit_code)


def words(error: ApiError) -> str:
    """What the API says, with the faults of each field where it names several."""
    faults = [f"{each.field}: {each.description}" for each in error.violations]
    if len(faults) <= 1:
        return f"{error.reason}: {error.message}"
    left_out = [f"and {len(faults) - _SHOWN_VIOLATIONS} more"] if len(faults) > _SHOWN_VIOLATIONS else []
    return f"{error.reason}: " + "; ".join([*faults[:_SHOWN_VIOLATIONS], *left_out])


def _way_out(error: ApiError) -> str:
    if code_of(error) is ExitCode.NOT_ALLOWED and error.reason == "UNAUTHENTICATED":
        return f"penstock login takes another key; {error.help_url}"
    return error.help_url


class Terminated(BaseException):
    """The process was asked to end; raised where it stands, so that what it has made is cleared away."""


@contextmanager
def interruptible() -> Generator[None]:
    """Has SIGTERM and SIGHUP raise `Terminated` as Ctrl-C raises KeyboardInterrupt; in the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def raise_(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # as signal has it
        raise Terminated

    before = {number: signal.signal(number, raise_) for number in _INTERRUPTING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
