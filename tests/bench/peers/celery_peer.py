"""Celery with Redis as broker and for results, as its guide sets it up. Run by `peers` in an environment of its own."""

from __future__ import annotations

import json
import os
import sys
import time

import redis
from celery import Celery

_URL = os.environ["BENCH_REDIS_URL"]
_POLL_S = 0.1
_ASKED = 200

app = Celery("celery_peer", broker=_URL, backend=_URL)


@app.task
def noop() -> None:
    """Does nothing."""


def run(jobs: int) -> dict[str, float]:
    """Sends so many and waits until the result of each is there."""
    began, cpu = time.perf_counter(), time.process_time()
    results = [noop.delay() for _ in range(jobs)]
    sent = time.perf_counter()
    client = redis.Redis.from_url(_URL)
    keys = [app.backend.get_key_for_task(result.id) for result in results]
    while keys:  # a few at a time, the oldest first: asking is to cost next to nothing
        if client.exists(*keys[:_ASKED]) == len(keys[:_ASKED]):
            del keys[:_ASKED]
        else:
            time.sleep(_POLL_S)
    return {"submit_s": sent - began, "seconds": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}


if __name__ == "__main__":
    from celery_peer import run as run_as_module  # so that the task has the name that the workers know it by

    sys.stdout.write(json.dumps(run_as_module(int(sys.argv[1]))) + "\n")
