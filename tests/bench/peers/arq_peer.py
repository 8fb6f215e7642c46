"""arq with Redis, as its guide sets it up. Run by `peers` in an environment of its own."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any, ClassVar

from arq import create_pool
from arq.connections import RedisSettings
from arq.constants import default_queue_name

_SETTINGS = RedisSettings.from_dsn(os.environ["BENCH_REDIS_URL"])
_CALLERS = 64
_POLL_S = 0.1


async def noop(context: dict[Any, Any]) -> None:
    """Does nothing."""
    del context


class WorkerSettings:
    """What `arq` starts; jobs at a time as many as Penstock's worker has."""

    functions: ClassVar[list[Any]] = [noop]
    redis_settings = _SETTINGS
    max_jobs = 64


async def run(jobs: int) -> dict[str, float]:
    """Sends so many and waits until the last has left the queue, which it does when its result is there."""
    pool = await create_pool(_SETTINGS)
    began, cpu = time.perf_counter(), time.process_time()
    left = iter(range(jobs))

    async def call() -> None:
        for _ in left:
            await pool.enqueue_job("noop")

    await asyncio.gather(*(call() for _ in range(_CALLERS)))
    sent = time.perf_counter()
    while await pool.zcard(default_queue_name):  # noqa: ASYNC110  arq has no event for it
        await asyncio.sleep(_POLL_S)
    return {"submit_s": sent - began, "seconds": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(run(int(sys.argv[1])))) + "\n")
