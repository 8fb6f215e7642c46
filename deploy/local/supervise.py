"""supervisord, in the foreground: `python -m deploy.local.supervise <settings> [--tied]`.

Tied, it ends when the process that started it does, however that ends: no test leaves a stack behind.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from supervisor import supervisord

#: Of prctl(2): the signal that this process gets when its parent dies.
_PR_SET_PDEATHSIG = 1


def _tie_to_parent(parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before it was watched
        raise SystemExit(1)


if __name__ == "__main__":
    settings, *tied_to = sys.argv[1:]
    if tied_to:
        _tie_to_parent(int(tied_to[0]))
    supervisord.main(["--nodaemon", "--configuration", settings])
