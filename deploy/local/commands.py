"""What the commands do: up, down, status, logs, restart, archive-read, backup, restore, reset, ports, and others."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from deploy.local import backups as backups_
from deploy.local import client_settings, identity_keys, layout, programs, queues, readiness
from deploy.local.console import Progress, table
from deploy.local.errors import StackError
from deploy.local.programs import PROGRAMS, Program, Tier
from deploy.local.stack import Stack
from shared.permissions import Scope

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path
    from types import FrameType

#: 20 s is the mark on an idle machine; this is for the slow and the busy ones.
_READY_TIMEOUT_S = 90.0
_LOG_LINES = "50"
#: Everything but the demo's far end.
MESH = programs.of_tiers(Tier.SERVERS, Tier.SERVICES, Tier.GATEWAY)


def existing(state: Path) -> Stack:
    """The stack in this folder, with the ports it was started on."""
    known = layout.remembered(state, programs.PORTS)
    return Stack(known or layout.chosen(state, programs.PORTS, os.environ))


def up(state: Path) -> bool:
    """Brings the mesh up unless it is, and says where it answers; whether it was this call that did.

    Raises:
        StackError: It cannot be brought up; nothing is left running.
    """
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(state), _ended_by_signals():
        stack = existing(state)
        began = time.monotonic()
        was_running = stack.is_running()
        try:
            if not was_running:
                stack = Stack(layout.chosen(state, programs.PORTS, os.environ))
                stack.start(MESH)
            _wait(stack)
            settings = client_settings.ensure(stack)
        except BaseException:
            if not was_running:
                _stop_undisturbed(stack)
            raise
    print("Penstock is up." if was_running else f"Penstock is up after {time.monotonic() - began:.1f} s.")
    print(f"  URL      {settings[client_settings.URL]}")
    print(f"  API key  {settings[client_settings.API_KEY]}")
    print(f"  written to {stack.layout.client_settings}; `make down` stops it", flush=True)
    return not was_running


def down(state: Path) -> None:
    """Stops everything of the stack in this folder."""
    if not state.exists():
        print("Penstock is not up.")
        return
    with _alone(state):
        stack = existing(state)
        was_running = stack.is_running()
        stack.stop()
    print("Penstock is down." if was_running else "Penstock was not up; nothing is left of it.")


def status(state: Path) -> bool:
    """Prints how every program stands, and what readiness hangs on; whether all is well."""
    stack = existing(state)
    if not stack.is_running():
        print("Penstock is not up; `make up` starts it.")
        return False
    rows: list[tuple[str, ...]] = []
    well = True
    by_name = {program.name: program for program in PROGRAMS}
    for entry in stack.supervisor.statuses():
        program = by_name[entry.name]
        ports = " ".join(f"{name}={stack.layout.ports[name]}" for name in program.ports)
        wanted = program in MESH
        well &= entry.is_up or not wanted
        rows.append((entry.name, entry.state.lower(), str(entry.pid or "-"), _duration(entry.uptime_s), ports))
    print(table(("program", "state", "pid", "up for", "ports"), rows))
    print()
    ready, parts = readiness.ready_parts(stack.layout)
    print(f"ready: {'yes' if ready else 'no'}  ({stack.layout.url}/readyz)")
    for name, answer in parts.items():
        print(f"  {name}: {answer}")
    standing = queues.rows(stack.layout, client_settings.read(stack).get(client_settings.API_KEY, ""))
    if standing:
        print("\n" + table(queues.HEADER, standing))
    return well and ready


def logs(state: Path, name: str | None) -> None:
    """Follows one program's log, or names all there are."""
    stack = existing(state)
    if name is None:
        print("Logs, each followed by `make logs s=<name>`:")
        for program in PROGRAMS:
            if stack.layout.log(program.name).exists():
                print(f"  {program.name:<10} {stack.layout.log(program.name)}")
        return
    path = stack.layout.log(_named(name).name)
    sys.stdout.flush()
    os.execvp("tail", ("tail", "-n", _LOG_LINES, "-F", str(path)))  # noqa: S606, S607  the system's own


def restart(state: Path, name: str) -> None:
    """Stops one program, starts it again, Envoy with its files built anew, and waits until the mesh is ready.

    Raises:
        StackError: There is no such program, the stack is not up, or it does not become ready again.
    """
    program = _named(name)
    stack = existing(state)
    if not stack.is_running():
        raise StackError("Penstock is not up; `make up` starts it")
    stack.supervisor.stop_program(program)
    stack.start_also(program)
    _wait(stack)
    print(f"{name} runs again, and Penstock is ready.")


def rotate_identity(state: Path, issuer: str, *, at_once: bool) -> None:
    """Gives one service another key pair to sign with, and starts it again with it where the stack is up.

    Raises:
        StackError: It has none, or does not become ready again.
    """
    stack = existing(state)
    with _alone(state):
        identity_keys.rotate(stack.layout.secrets, issuer, at_once=at_once)
    until = "is believed no more" if at_once else "is believed until the next rotation"
    print(f"{issuer} has another key to sign with; what it signed with the one before {until}.")
    if stack.is_running():
        restart(state, issuer)


def operator_key(state: Path) -> None:
    """Makes a key that may do everything, and prints it alone.

    Raises:
        StackError: The stack is not up, or the key could not be made.
    """
    stack = existing(state)
    if not stack.is_running():
        raise StackError("Penstock is not up; `make up` starts it")
    print(client_settings.make_key(stack, tenant="operators", name="operator", scopes=tuple(sorted(Scope))))


def archive_read(state: Path, tenant: str, day: str, *, keep_going: bool) -> bool:
    """Prints what is archived of a tenant's jobs that ended on a day; answers whether all of it could be read."""
    stack = existing(state)
    history = _named("history")
    command = (sys.executable, "-m", "services.history.retention.read", "--tenant", tenant, "--day", day)
    ended = subprocess.run(  # noqa: S603  our own command
        (*command, *(("--keep-going",) if keep_going else ())),
        cwd=layout.ROOT,
        env=stack.supervisor.environment() | dict(history.environment(stack.layout)),
        check=False,
    )
    return not ended.returncode


def rebuild_history(state: Path) -> bool:
    """Makes history anew from the log, as the servers' operator; answers whether it came to that."""
    stack = existing(state)
    urls = {"PENSTOCK_MONGO_URL": stack.layout.mongo_url, "PENSTOCK_NATS_URL": stack.layout.nats_url}
    own = {
        name: text
        for name, text in _named("history").environment(stack.layout).items()
        if name.removesuffix("_FILE") not in urls
    }
    ended = subprocess.run(
        (sys.executable, "-m", "services.history.rebuild"),
        cwd=layout.ROOT,
        env=stack.supervisor.environment() | own | urls,
        check=False,
    )
    return not ended.returncode


def reset(state: Path, *, sure: bool) -> None:
    """Stops the stack and removes all of its state.

    Raises:
        StackError: The answer was not yes.
    """
    if not state.exists():
        print(f"There is no {state}.")
        return
    if not sure:
        print(f"This stops Penstock and deletes {state} with all jobs, keys and logs. Type yes: ", end="", flush=True)
        if sys.stdin.readline().strip() != "yes":
            raise StackError("nothing was deleted")
    down(state)
    shutil.rmtree(state)
    print(f"{state} is gone.")


def backup(state: Path, *command: str) -> None:
    """Runs a command of `deploy.backup` on a stack that is up.

    Raises:
        StackError: The stack is not up, or it failed.
    """
    stack = existing(state)
    if not stack.is_running():
        raise StackError("Penstock is not up; `make up` starts it, and its object store, where backups lie")
    backups_.run(stack, *command)


def restore(state: Path, name: str, *, sure: bool) -> None:
    """Puts a backup in the place of all that the stack's servers hold, but for the object store.

    Raises:
        StackError: The answer was not yes, there is no such backup, or it could not be restored.
    """
    backup(state, "verify", name)
    if not sure:
        print("This stops Penstock, and puts the backup in the place of all jobs, keys and history. Type yes: ", end="")
        sys.stdout.flush()
        if sys.stdin.readline().strip() != "yes":
            raise StackError("nothing was changed")
    with _alone(state), _ended_by_signals():
        stack = existing(state)
        began = time.monotonic()
        stack.stop()
        aside = backups_.empty(stack)
        backups_.restore(stack, name, timeout_s=_READY_TIMEOUT_S)
    print(f"Penstock is up with the backup {name} after {time.monotonic() - began:.1f} s.")
    print(f"  what its servers held before is in {stack.layout.data / aside}; delete it when all is well")


def ports(state: Path) -> None:
    """Prints every port, and the setting that moves it."""
    ours = existing(state).layout.ports
    rows = [(name, str(ours[name]), str(default), layout.setting_of(name)) for name, default in programs.PORTS.items()]
    print(table(("port", "now", "default", "moved by"), rows))


def _named(name: str) -> Program:
    for program in PROGRAMS:
        if program.name == name:
            return program
    raise StackError(f"there is no program {name!r}; there are {', '.join(program.name for program in PROGRAMS)}")


def _wait(stack: Stack) -> None:
    progress = Progress()
    try:
        stack.wait_until_ready(
            MESH, timeout_s=_READY_TIMEOUT_S, report=lambda text: progress.show(f"waiting for {text}")
        )
    finally:
        progress.clear()


@contextmanager
def _alone(state: Path) -> Generator[None]:
    """Holds the folder against other commands, which wait; the lock ends with the process."""
    with (state / "lock").open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another command is at work on this stack; waiting for it", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _ended_by_signals() -> Generator[None]:
    """Lets a command clear up when it is told to end, also where its shell has it ignore Ctrl-C (in the background)."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop_undisturbed(stack: Stack) -> None:
    """Stops everything, whatever signals come meanwhile."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    if stack.is_running():
        print("stopping what was started", file=sys.stderr, flush=True)
    try:
        stack.stop()
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _duration(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
