"""A stack: its programs started, waited for, and stopped without remainder."""

from __future__ import annotations

import http.client
import time
from typing import TYPE_CHECKING

from pymongo.errors import PyMongoError

from deploy.local import keys, processes, users
from deploy.local.errors import StackError, SupervisorError
from deploy.local.layout import is_free, setting_of
from deploy.local.programs import PROGRAMS, Program
from deploy.local.supervision import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from deploy.local.layout import Layout

_POLL_S = 0.1
#: A program that has died this often while it was waited for will not come up.
_DEATHS = 3
_TAIL_LINES = 15
_TAIL_BYTES = 16 * 1024
#: Longer than the drain of one tier, and the stop of the servers after it.
_STOP_TIMEOUT_S = 75.0


class Stack:
    """One mesh on this machine.

    Args:
        layout: Its folder and ports.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.supervisor = Supervisor(layout)

    def start(self, programs: Sequence[Program], *, tied: bool = False) -> None:
        """Starts programs, all at once: each waits for what it needs by itself.

        Args:
            programs: Those to start; the rest of the table can be started later.
            tied: Whether the stack ends with this process.

        Raises:
            StackError: A port is taken, or something did not start.
        """
        processes.end(self.layout, grace_s=5.0)  # of a supervisord that was killed
        self._refuse_taken_ports(programs)
        self.layout.make_folders()
        self.layout.remember()
        keys.make_secrets(self.layout.secrets)
        users.make(self.layout)
        for program in programs:
            program.prepare(self.layout)
        try:
            self.supervisor.start(PROGRAMS, (program.name for program in programs), tied=tied)
        except SupervisorError as error:
            raise StackError(str(error)) from error

    def start_also(self, program: Program) -> None:
        """Starts one more program of a running stack, if it does not run.

        Raises:
            StackError: Its port is taken.
        """
        status = next(status for status in self.supervisor.statuses() if status.name == program.name)
        if not status.is_up:
            self._refuse_taken_ports([program])
            program.prepare(self.layout)
            self.supervisor.start_program(program)

    def wait_until_ready(
        self, programs: Iterable[Program], *, timeout_s: float, report: Callable[[str], None] = lambda _: None
    ) -> None:
        """Waits until every program with a check of its own answers.

        Args:
            programs: For which ones.
            timeout_s: For how long at most.
            report: Is told what is not ready yet, again and again.

        Raises:
            StackError: One dies again and again, or does not answer in time; its log's end is in the message.
        """
        until = time.monotonic() + timeout_s
        pending = {program: "not asked yet" for program in programs if program.check is not None}
        deaths = _Deaths()
        while True:
            for program in tuple(pending):
                reason = _try(program, self.layout)
                if reason is None:
                    del pending[program]
                else:
                    pending[program] = reason
            if not pending:
                return
            dead = deaths.look(self.supervisor)
            if dead is not None:
                raise StackError(f"{dead} dies again and again. {self._tail(dead)}")
            waiting = "; ".join(f"{program.name}: {reason}" for program, reason in pending.items())
            if time.monotonic() > until:
                first = next(iter(pending))
                raise StackError(f"not ready after {timeout_s:.0f} s: {waiting}. {self._tail(first.name)}")
            report(waiting)
            time.sleep(_POLL_S)

    def is_running(self) -> bool:
        """Whether its supervisord runs."""
        return self.supervisor.is_running()

    def stop(self) -> None:
        """Stops everything, and returns when nothing is left of it; what does not end when asked is killed."""
        try:
            self.supervisor.shut_down()
        except SupervisorError:  # it does not run, or was killed; its children are found by their environment
            processes.end(self.layout, grace_s=5.0)
        else:
            until = time.monotonic() + _STOP_TIMEOUT_S
            while processes.of_stack(self.layout) and time.monotonic() < until:
                time.sleep(_POLL_S)
            processes.end(self.layout, grace_s=1.0)
        for program in PROGRAMS:
            program.clear(self.layout)

    def _refuse_taken_ports(self, programs: Sequence[Program]) -> None:
        mistakes: list[str] = []
        for name in (name for program in programs for name in program.ports):
            port = self.layout.ports[name]
            if not is_free(port):
                holder = processes.holder_of(port) or "another program"
                mistakes.append(f"port {port} ({name}) is taken by {holder}; {setting_of(name)}=<port> moves it")
        if mistakes:
            raise StackError("\n".join(mistakes))

    def _tail(self, program: str) -> str:
        path = self.layout.log(program)
        try:
            text = path.read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
        except FileNotFoundError:
            return "It has written no log."
        return "\n".join((f"The end of {path}:", *(f"  {line}" for line in text.splitlines()[-_TAIL_LINES:])))


class _Deaths:
    """Counts how often each program died while one looked."""

    def __init__(self) -> None:
        self._starts: dict[str, set[int]] = {}

    def look(self, supervisor: Supervisor) -> str | None:
        """A program that has died too often, or None."""
        for status in supervisor.statuses():
            if status.state in {"BACKOFF", "EXITED", "FATAL"}:
                starts = self._starts.setdefault(status.name, set())
                starts.add(status.started_at)
                if len(starts) >= _DEATHS or status.state == "FATAL":
                    return status.name
        return None


def _try(program: Program, layout: Layout) -> str | None:
    """None when the program answers, else why not."""
    try:
        if program.check is not None:
            program.check(layout)
    except PyMongoError:  # told to whoever waits; the driver's own words fill a screen
        return "does not answer"
    except OSError as error:  # told to whoever waits
        return error.strerror or str(error) or type(error).__name__
    except http.client.HTTPException as error:  # something else may answer there
        return f"does not speak HTTP ({type(error).__name__})"
    return None
