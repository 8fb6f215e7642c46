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

_START_TIMEOUT_S = 60.0


@contextmanager
def servers() -> Iterator[Stack]:
    """NATS, Redis and MongoDB; they end with this process, however it ends."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-test-"))
    stack = Stack(layout.on_free_ports(folder, programs.PORTS))
    wanted = programs.of_tiers(Tier.SERVERS)
    try:
        stack.start(wanted, tied=True)
        stack.wait_until_ready(wanted, timeout_s=_START_TIMEOUT_S)
        yield stack
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)
