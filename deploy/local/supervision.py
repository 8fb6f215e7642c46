"""supervisord: its settings from the table of programs, its start, and what it is asked and told over its socket."""

from __future__ import annotations

import http.client
import os
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from supervisor.xmlrpc import SupervisorTransport

from deploy.local import processes
from deploy.local.errors import SupervisorError
from deploy.local.layout import BIN, ROOT
from deploy.local.programs import PROGRAMS, Program, Tier

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from deploy.local.layout import Layout

#: A program that dies is started again for as long as the stack runs, each time a second later than the last.
_START_RETRIES = 1_000_000
_START_TIMEOUT_S = 15.0
_POLL_S = 0.05
#: What a stack's processes take over from the environment that it is started in.
_INHERITED = ("HOME", "TMPDIR", "USER")

_SETTINGS = """\
[supervisord]
nodaemon=true
silent=true
directory={root}
logfile={logs}/supervisord.log
logfile_maxbytes=5MB
logfile_backups=1
pidfile={state}/supervisord.pid
childlogdir={logs}
umask=077

[unix_http_server]
file={socket}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""

_PROGRAM = """
[program:{name}]
command={command}
environment={environment}
autostart={autostart}
autorestart=true
startsecs=1
startretries={retries}
stopsignal={stop_signal}
stopwaitsecs={stop_wait_s}
killasgroup=true
stdout_logfile={log}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
redirect_stderr=true
"""

_GROUP = """
[group:{name}]
programs={programs}
priority={priority}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How one program stands."""

    name: str
    state: str
    pid: int
    uptime_s: int
    #: When it was started last, in Unix seconds; 0 before.
    started_at: int

    @property
    def is_up(self) -> bool:
        """Whether its process lives; in its first second it is `STARTING`, however ready it may be."""
        return self.state in {"RUNNING", "STARTING"}


class Supervisor:
    """The supervisord of one stack.

    Args:
        layout: Whose.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    @property
    def log(self) -> Path:
        """What supervisord says beside its own log, such as a mistake in its settings."""
        return self._layout.log("supervisord-start")

    def start(self, programs: Sequence[Program], wanted: Iterable[str], *, tied: bool) -> None:
        """Starts supervisord, which starts the wanted programs.

        Args:
            programs: All that it shall know.
            wanted: The names of those to start now.
            tied: Whether it ends with this process.

        Raises:
            SupervisorError: It did not come up.
        """
        settings = self._layout.state / "supervisord.conf"
        settings.write_text(self._settings(programs, set(wanted)), encoding="utf-8")
        with self.log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603  our own command
                (
                    *(sys.executable, "-m", "deploy.local.supervise", str(settings)),
                    *((str(os.getpid()),) if tied else ()),
                ),
                cwd=ROOT,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C here is ours to answer
            )
        until = time.monotonic() + _START_TIMEOUT_S
        while not self.is_running():
            if process.poll() is not None or time.monotonic() > until:
                raise SupervisorError(f"supervisord did not start; see {self.log}")
            time.sleep(_POLL_S)

    def environment(self) -> dict[str, str]:
        """What every process of the stack finds in its environment: nothing of the user's own settings."""
        kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return {
            "PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            processes.MARKER: str(self._layout.state),
            **kept,
        }

    def is_running(self) -> bool:
        """Whether it answers."""
        try:
            self._call("getState")
        except SupervisorError:
            return False
        return True

    def statuses(self) -> list[Status]:
        """How every program stands, in the order of the table."""
        answer = cast("list[dict[str, Any]]", self._call("getAllProcessInfo"))
        known = {info["name"]: _status(info) for info in answer}
        return [known[program.name] for program in PROGRAMS if program.name in known]

    def start_program(self, program: Program) -> None:
        """Starts a program if it does not run."""
        try:
            self._call("startProcess", _full_name(program), False)  # noqa: FBT003  the protocol knows no names
        except SupervisorError as error:
            if "ALREADY_STARTED" not in str(error):
                raise

    def stop_program(self, program: Program) -> None:
        """Stops a program if it runs, and waits until it has ended."""
        try:
            self._call("stopProcess", _full_name(program))
        except SupervisorError as error:
            if "NOT_RUNNING" not in str(error):
                raise

    def shut_down(self) -> None:
        """Tells it to stop every program, the last tier first, and then to end; answers at once."""
        self._call("shutdown")

    def _call(self, method: str, *arguments: object) -> object:
        transport = SupervisorTransport(None, None, f"unix://{self._layout.control_socket}")
        proxy = xmlrpc.client.ServerProxy("http://localhost", transport=cast("xmlrpc.client.Transport", transport))
        try:
            return getattr(proxy.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            raise SupervisorError(str(fault.faultString)) from fault
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            raise SupervisorError("supervisord does not answer") from error
        finally:
            transport.close()

    def _settings(self, programs: Sequence[Program], wanted: set[str]) -> str:
        layout = self._layout
        parts = [
            _SETTINGS.format(
                root=_escaped(str(ROOT)),
                logs=_escaped(str(layout.logs)),
                state=_escaped(str(layout.state)),
                socket=_escaped(str(layout.control_socket)),
            )
        ]
        parts += [
            _PROGRAM.format(
                name=program.name,
                command=_escaped(shlex.join(program.command(layout))),
                environment=_environment(program.environment(layout)),
                autostart=str(program.name in wanted).lower(),
                retries=_START_RETRIES,
                stop_signal=program.stop_signal,
                stop_wait_s=program.stop_wait_s,
                log=_escaped(str(layout.log(program.name))),
            )
            for program in programs
        ]
        for tier in Tier:
            names = [program.name for program in programs if program.tier is tier]
            if names:
                parts.append(_GROUP.format(name=_group(tier), programs=",".join(names), priority=tier.value))
        return "".join(parts)


def _group(tier: Tier) -> str:
    return tier.name.lower()


def _full_name(program: Program) -> str:
    return f"{_group(program.tier)}:{program.name}"


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _environment(variables: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in variables.items())


def _status(info: Mapping[str, Any]) -> Status:
    running = info["statename"] == "RUNNING"
    return Status(
        name=info["name"],
        state=info["statename"],
        pid=info["pid"],
        uptime_s=max(0, info["now"] - info["start"]) if running else 0,
        started_at=info["start"],
    )
