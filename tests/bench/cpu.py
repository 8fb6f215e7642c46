"""What processes use of the machine, as Linux counts it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from deploy.local.stack import Stack

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def used_s(pid: int) -> float:
    """The processor time that a process has used so far, in seconds: its own and the kernel's for it."""
    return parse_used_s(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace"))


def parse_used_s(stat: str) -> float:
    """The same from the text of `/proc/<pid>/stat` (proc(5)): fields 14 and 15; the name before may hold anything."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def used_by_sessions_s(sessions: Collection[int]) -> float:
    """The same of every process in these sessions (setsid(2)), each named by the process that began it."""
    used = 0.0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            stat = path.read_text(encoding="utf-8", errors="replace")
        except OSError:  # it has ended meanwhile
            continue
        if int(stat.rpartition(")")[2].split()[3]) in sessions:
            used += parse_used_s(stat)
    return used


def resident_bytes(pid: int) -> int:
    """The memory that a process has in use, as `/proc/<pid>/status` (proc(5)) tells it."""
    return parse_resident_bytes(Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace"))


def parse_resident_bytes(status: str) -> int:
    """The same from the text of that file."""
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))


class Usage:
    """What each program of a stack uses from now on.

    Args:
        stack: Running.
    """

    def __init__(self, stack: Stack) -> None:
        #: Of its processes, by the program's name.
        self.pids = {status.name: status.pid for status in stack.supervisor.statuses() if status.is_up}
        self._before = {name: used_s(pid) for name, pid in self.pids.items()}

    def by_program(self) -> Mapping[str, float]:
        """Seconds of processor time by the program's name."""
        return {name: used_s(pid) - self._before[name] for name, pid in self.pids.items()}
