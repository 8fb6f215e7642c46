"""A process that makes calls: told what on its standard input, answers with what came of them.

`python -m tests.bench.caller` reads one line of JSON, connects, says `ready`, makes its calls at the next line, writes
how they ended to the file that it was told of, and says `done`. It is a process of its own so that it has a core of its
own where there is one.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import itertools
import json
import resource
import sys
from pathlib import Path
from typing import Any

import uvloop

from tests.bench import http1, http2
from tests.bench.tally import Tally

#: Callers that share one HTTP/2 connection at most.
_CALLERS_PER_CONNECTION = 125


async def _make(order: dict[str, Any]) -> dict[str, Any]:
    tally = Tally(order["count"], order["seconds"])
    connections = await (_http2 if order["protocol"] == "grpc" else _http1)(order, tally)
    _say("ready")
    sys.stdin.readline()
    gc.disable()  # a pause of the load would be taken for one of the mesh
    before = _cpu_s()
    tally.start()
    for connection in connections:
        connection.start()
    await tally.over.wait()
    return {
        "calls": tally.ended,
        "errors": tally.errors,
        "samples": tally.samples,
        "seconds": tally.finished - tally.began,
        "latencies_ms": [round(latency, 2) for latency in tally.latencies_ms],
        "cpu_s": _cpu_s() - before,
    }


async def _http2(order: dict[str, Any], tally: Tally) -> list[http2.Http2Connection]:
    authority: str = order["address"]
    host, _, port = authority.rpartition(":")
    calls = [
        (
            http2.header_block(order["path"], authority, call["identity"]),
            http2.message(base64.b64decode(call["body"])),
        )
        for call in order["calls"]
    ]
    number = -(-order["callers"] // _CALLERS_PER_CONNECTION)
    shares = [order["callers"] // number + (each < order["callers"] % number) for each in range(number)]
    loop = asyncio.get_running_loop()
    made: list[http2.Http2Connection] = []
    for index, share in enumerate(shares):
        turned = calls[index:] + calls[:index]
        _, connection = await loop.create_connection(
            lambda turned=turned, share=share: http2.Http2Connection(tally, turned, share), host, int(port)
        )
        made.append(connection)
    return made


async def _http1(order: dict[str, Any], tally: Tally) -> list[http1.Http1Connection]:
    authority: str = order["address"]
    host, _, port = authority.rpartition(":")
    requests = itertools.cycle(
        http1.post(order["path"], authority, call["identity"], base64.b64decode(call["body"]))
        for call in order["calls"]
    )
    loop = asyncio.get_running_loop()
    made: list[http1.Http1Connection] = []
    for number in range(order["callers"]):
        pace = http1.Pace(order["pause_s"], first_after_s=order["pause_s"] * number / order["callers"])
        _, connection = await loop.create_connection(
            lambda pace=pace: http1.Http1Connection(tally, requests, pace), host, int(port)
        )
        made.append(connection)
    return made


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a connection is a file
    _order = json.loads(sys.stdin.readline())
    _answer = uvloop.run(_make(_order))
    Path(_order["answer"]).write_text(json.dumps(_answer), encoding="utf-8")
    _say("done")
