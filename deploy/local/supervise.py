"""supervisord, in the foreground: `python -m deploy.local.supervise <settings> [--tied]`.

Tied, it ends when the process that started it does, however that ends: no test leaves a stack behind.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

from supervisor import supervisord

#: Of prctl(2): the signal that this process gets when its parent dies.
_PR_SET_PDEATHSIG = 1
#: More than Envoy takes connections; where the machine allows fewer, it takes fewer too.
_OPEN_FILES = 65_536


def _tie_to_parent(parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before it was watched
        raise SystemExit(1)


def _allow_open_files() -> None:
    """For every program of the stack: a shell's own limit is often 1,024, and a client that waits is an open file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    settings, *tied_to = sys.argv[1:]
    _allow_open_files()
    if tied_to:
        _tie_to_parent(int(tied_to[0]))
    supervisord.main(["--nodaemon", "--configuration", settings])
