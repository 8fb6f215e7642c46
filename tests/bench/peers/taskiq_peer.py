"""taskiq with NATS JetStream, as its guide sets it up. Run by `peers` in an environment of its own.

It keeps no results: NATS is where taskiq-nats keeps them, and it would take longer with them.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

from taskiq_nats import PullBasedJetStreamBroker

_CALLERS = 64
_POLL_S = 0.1

broker = PullBasedJetStreamBroker([os.environ["BENCH_NATS_URL"]])


@broker.task(task_name="noop")
async def noop() -> None:
    """Does nothing."""


async def run(jobs: int) -> dict[str, float]:
    """Sends so many and waits until the last is acknowledged, which it is when it has run."""
    await broker.startup()
    began, cpu = time.perf_counter(), time.process_time()
    left = iter(range(jobs))

    async def call() -> None:
        for _ in left:
            await noop.kiq()

    await asyncio.gather(*(call() for _ in range(_CALLERS)))
    sent = time.perf_counter()
    while True:
        consumer = await broker.js.consumer_info(broker.stream_name, broker.durable)
        if not consumer.num_pending and not consumer.num_ack_pending:
            break
        await asyncio.sleep(_POLL_S)
    ended = time.perf_counter()
    await broker.shutdown()
    return {"submit_s": sent - began, "seconds": ended - began, "cpu_s": time.process_time() - cpu}


if __name__ == "__main__":
    from taskiq_peer import run as run_as_module  # so that it is the broker's own module that the workers load

    sys.stdout.write(json.dumps(asyncio.run(run_as_module(int(sys.argv[1])))) + "\n")
