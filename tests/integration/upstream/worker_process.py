"""The service as a process of its own, to be measured and to be killed."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from shared.objects import ObjectSettings
    from tests.integration.upstream.mesh import Mesh


@dataclass(frozen=True, slots=True)
class WorkerProcess:
    """A running one."""

    process: asyncio.subprocess.Process

    def kill(self) -> None:
        """Ends it by SIGKILL."""
        self.process.kill()

    @property
    def memory_bytes(self) -> int:
        """What it has in memory now."""
        return self._status("VmRSS")

    @property
    def peak_memory_bytes(self) -> int:
        """The most that it ever had, by the kernel's own account."""
        return self._status("VmHWM")

    def _status(self, name: str) -> int:
        lines = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


@asynccontextmanager
async def worker_process(mesh: Mesh, objects: ObjectSettings, log: Path) -> AsyncGenerator[WorkerProcess]:
    """Runs one that takes its leases from the mesh's scheduler; at the end it is killed."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    environment = others | {
        "PENSTOCK_GRPC_ADDRESS": "127.0.0.1:0",
        "PENSTOCK_IDENTITY_KEYS_FILE": str(mesh.identities.keys_file),
        "PENSTOCK_SERVICE_KEY_FILE": str(mesh.identities.private_key_file("upstream")),
        "PENSTOCK_NATS_URL": mesh.nats_url,
        "PENSTOCK_REDIS_URL": mesh.redis_url,
        "PENSTOCK_SCHEDULER_ADDRESS": mesh.scheduler.address,
        "PENSTOCK_AUTH_ADDRESS": mesh.scheduler.address,
        "PENSTOCK_ENVIRONMENT": "test",
        "PENSTOCK_ALLOW_LOOPBACK": "true",
        "PENSTOCK_OBJECTS_URL": objects.url,
        "PENSTOCK_OBJECTS_ACCESS_KEY": objects.access_key.reveal(),
        "PENSTOCK_OBJECTS_SECRET_KEY": objects.secret_key.reveal(),
    }
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.upstream"), env=environment, stdout=output, stderr=output
        )
    try:
        yield WorkerProcess(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
