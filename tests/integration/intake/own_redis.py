"""A Redis that a test may kill, bring back from what was on its disk a while ago, or bring back empty."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from deploy.local.layout import BIN, is_free
from shared import kv
from shared.config import Secret
from shared.errors import Unavailable
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

#: Runs a command that dies with this process (prctl(2), PR_SET_PDEATHSIG). Not by `preexec_fn`: a fork of a process in
#: which gRPC runs may never come to its exec.
_TIED = (
    sys.executable,
    "-c",
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])",
)


class OwnRedis:
    """One server on one port, each write on disk before it is answered.

    Args:
        folder: Empty; for its files.
        port: Free.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._data = folder / "data"
        self._copy = folder / "copy"
        self.port = port
        self.url = Secret(f"redis://127.0.0.1:{port}/0")
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Starts it on what its disk holds."""
        await eventually(lambda: is_free(self.port), what="the port of the server that was killed")
        self._data.mkdir(exist_ok=True)
        self._process = subprocess.Popen(  # noqa: ASYNC220  it returns at once
            [
                *_TIED,
                BIN / "redis-server",
                *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", self._data, "--save", ""),
                *("--appendonly", "yes", "--appendfsync", "always", "--repl-diskless-sync-delay", "0"),
            ],
            stdout=subprocess.DEVNULL,
        )
        await eventually(self._answers, what="an answer of Redis")

    def kill(self) -> None:
        """Kills it; what was not on disk is lost."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def remember(self) -> None:
        """Copies what is on its disk."""
        shutil.copytree(self._data, self._copy)

    async def restart(self, *, with_copy: bool = False) -> None:
        """Kills it and starts it again: empty, or with what was on its disk when it was copied."""
        self.kill()
        shutil.rmtree(self._data)
        if with_copy:
            shutil.copytree(self._copy, self._data)
        await self.start()

    async def connect(self) -> kv.Client:
        """A connection past any wire."""
        return await kv.connect(self.url)

    async def _answers(self) -> bool:
        try:
            await kv.close(await self.connect())
        except Unavailable:
            return False
        return True
