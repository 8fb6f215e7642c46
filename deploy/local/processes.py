"""Processes as Linux shows them under /proc: those of a stack, and who holds a port."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from deploy.local.layout import Layout

#: In the environment of every process of a stack: its state folder. By this alone a process is known as ours.
MARKER = "LOCAL_STACK_STATE"
_PROC = Path("/proc")
_LISTEN = "0A"
_POLL_S = 0.05


def of_stack(layout: Layout) -> list[int]:
    """The pids of the stack's processes, supervised or orphaned, this one left out."""
    entry = f"{MARKER}={layout.state}".encode()
    return [pid for pid in _pids() if pid != os.getpid() and entry in _environment(pid) and not _is_dead(pid)]


def name_of(pid: int) -> str:
    """A process's command, or an empty text when it is gone."""
    try:
        return (_PROC / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # it ended, or is not ours to look at
        return ""


def end(layout: Layout, *, grace_s: float) -> None:
    """Ends every process of the stack: asks first, kills what is left after the grace."""
    for number, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 10.0)):
        until = time.monotonic() + patience_s
        _signal(of_stack(layout), number)
        while of_stack(layout) and time.monotonic() < until:
            time.sleep(_POLL_S)


def holder_of(port: int) -> str:
    """Who listens on a port, as far as this user may see it: a name and pid, or an empty text."""
    inodes = set(_listening_inodes(port))
    for pid in _pids():
        if inodes & set(_socket_inodes(pid)):
            return f"{name_of(pid)} (pid {pid})"
    return ""


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:  # it ended by itself
            continue


def _pids() -> Iterator[int]:
    return (int(path.name) for path in _PROC.iterdir() if path.name.isdecimal())


def _environment(pid: int) -> set[bytes]:
    try:
        return set((_PROC / str(pid) / "environ").read_bytes().split(b"\0"))
    except OSError:  # it ended, or is another user's
        return set()


def _is_dead(pid: int) -> bool:
    """Whether the process has ended and only waits for its parent to look."""
    try:
        state = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in {"Z", "X"}


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        for line in (_PROC / "net" / table).read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _socket_inodes(pid: int) -> Iterator[str]:
    try:
        for link in (_PROC / str(pid) / "fd").iterdir():
            target = str(link.readlink())
            if target.startswith("socket:["):
                yield target[len("socket:[") : -1]
    except OSError:  # it ended, or is another user's
        return
