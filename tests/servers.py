"""The real servers of a test run: the local stack's own table, on free ports in a folder of their own."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.local import layout, programs
from deploy.local.programs import Tier
from deploy.local.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

_START_TIMEOUT_S = 120.0
#: The program of the object store: the slowest to start, and wanted by few tests, which wait for it themselves.
OBJECTS = "objects"


@contextmanager
def servers() -> Iterator[Stack]:
    """NATS, Redis, MongoDB and, sooner or later, the object store; they end with this process, however it ends."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-test-"))
    stack = Stack(layout.on_free_ports(folder, programs.PORTS))
    wanted = programs.of_tiers(Tier.SERVERS)
    try:
        stack.start(wanted, tied=True)
        stack.wait_until_ready([program for program in wanted if program.name != OBJECTS], timeout_s=_START_TIMEOUT_S)
        yield stack
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)


def wait_for_objects(stack: Stack) -> None:
    """Waits for the object store."""
    wanted = [program for program in programs.PROGRAMS if program.name == OBJECTS]
    stack.wait_until_ready(wanted, timeout_s=_START_TIMEOUT_S)
