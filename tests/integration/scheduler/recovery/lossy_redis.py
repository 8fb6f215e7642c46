"""A Redis of a test's own, which can be killed, and can lose its last writes or all of them."""

from __future__ import annotations

import asyncio
import shutil
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from deploy.local.layout import BIN, HOST
from shared import kv
from shared.config import Secret
from shared.errors import Unavailable
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path


class LossyRedis:
    """A server with the settings of ours.

    Args:
        folder: For its file.
        port: A free one.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._server: asyncio.subprocess.Process | None = None
        self.url = Secret(f"redis://{HOST}:{port}/0")

    @property
    def size(self) -> int:
        """How much has been written down: what `restart` can be told to keep."""
        return self._file.stat().st_size

    async def start(self) -> None:
        """Starts it, and returns when it answers."""
        self._server = await asyncio.create_subprocess_exec(
            str(BIN / "redis-server"),
            *("--bind", HOST, "--port", str(self._port), "--dir", str(self._folder), "--save", ""),
            *("--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0"),
            stdout=asyncio.subprocess.DEVNULL,
        )
        await eventually(self._answers, what="Redis")

    async def kill(self) -> None:
        """Kills it, as a power cut would."""
        if self._server is not None and self._server.returncode is None:
            self._server.send_signal(signal.SIGKILL)
            await self._server.wait()

    async def restart(self, *, keep: int | None = None) -> None:
        """Kills it and starts it again.

        Args:
            keep: How much of what it has written down is left, or a little less; None for all of it.
        """
        await self.kill()
        if keep == 0:
            self._file.unlink()
        elif keep is not None:
            with self._file.open("r+b") as file:
                file.truncate(_last_whole(self._file.read_bytes(), keep))
        await self.start()

    async def end(self) -> None:
        """Ends it for good."""
        await self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _file(self) -> Path:
        return self._folder / "appendonly.aof"

    async def _answers(self) -> bool:
        with suppress(Unavailable):
            await kv.close(await kv.connect(self.url))
            return True
        return False


def _last_whole(written: bytes, limit: int) -> int:
    """Where the last transaction within the limit ends.

    A server that finds half of one leaves it out and does not run it; but Redis 6.2 forgets to remove it from its file,
    and runs that half after all when it is started once more.
    """
    position = whole = 0
    in_transaction = False
    while position < len(written):
        end = written.index(b"\r\n", position)
        parts: list[bytes] = []
        for _ in range(int(written[position + 1 : end])):
            start = written.index(b"\r\n", end + 2) + 2
            size = int(written[end + 3 : start - 2])
            parts.append(written[start : start + size])
            end = start + size
        position = end + 2
        if position > limit:
            break
        in_transaction = parts[0].upper() == b"MULTI" or (in_transaction and parts[0].upper() != b"EXEC")
        if not in_transaction:
            whole = position
    return whole
