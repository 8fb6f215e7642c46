"""The load: calls made by processes of their own, and what came of them."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from deploy.local.layout import ROOT
from tests.bench.tally import percentile

if TYPE_CHECKING:
    from collections.abc import Sequence

#: More calls than any load makes.
NO_END = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Call:
    """One call.

    Args:
        identity: The identity token for gRPC, the API key for HTTP.
        body: The message, or the JSON.
    """

    identity: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What to call, and how often.

    Args:
        protocol: `grpc` or `http`.
        address: `host:port`.
        path: The RPC's full name, or the URL's path.
        calls: Made in turn.
        callers: How many call at a time; each calls again when it is answered.
        count: Calls at most.
        seconds: For how long calls go out at most.
        pause_s: Where more than 0, from one call of a caller to its next, unless the answer takes longer; HTTP alone.
    """

    protocol: str
    address: str
    path: str
    calls: Sequence[Call]
    callers: int
    count: int = NO_END
    seconds: float
    pause_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a load."""

    calls: int
    errors: int
    #: What a few of the errors were.
    samples: tuple[str, ...]
    #: From the first call to the last answer.
    seconds: float
    #: In ascending order.
    latencies_ms: tuple[float, ...]
    #: What the load itself used of the machine.
    cpu_s: float

    @property
    def per_second(self) -> float:
        """Calls that succeeded."""
        return (self.calls - self.errors) / self.seconds

    def latency_ms(self, part: float) -> float:
        """A percentile, by its part of 1."""
        return percentile(self.latencies_ms, part)


class Caller:
    """A process that is ready to make a load's calls; it ends by itself when it has, or with the `with` around it.

    Args:
        load: What to call.
    """

    def __init__(self, load: Load) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="penstock-load-")
        self._answer = Path(self._folder.name) / "answer.json"
        self._process = subprocess.Popen(
            (sys.executable, "-m", "tests.bench.caller"),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._tell(json.dumps(_order(load) | {"answer": str(self._answer)}))
        self._hear("ready")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # when it has answered, there is nothing left to end
        self._process.communicate()
        self._folder.cleanup()

    def start(self) -> None:
        """The first calls go out."""
        self._tell("go")

    def outcome(self) -> Outcome:
        """What came of it, when it is over."""
        self._hear("done")
        values: dict[str, Any] = json.loads(self._answer.read_text(encoding="utf-8"))
        return Outcome(
            calls=values["calls"],
            errors=values["errors"],
            samples=tuple(values["samples"]),
            seconds=values["seconds"],
            latencies_ms=tuple(sorted(values["latencies_ms"])),
            cpu_s=values["cpu_s"],
        )

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self, word: str) -> None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if line != word:
            raise RuntimeError(f"the load said {line!r} and not {word!r}: its process has failed")


def _order(load: Load) -> dict[str, Any]:
    return {
        "protocol": load.protocol,
        "address": load.address,
        "path": load.path,
        "callers": load.callers,
        "count": load.count,
        "seconds": load.seconds,
        "pause_s": load.pause_s,
        "calls": [{"identity": call.identity, "body": base64.b64encode(call.body).decode()} for call in load.calls],
    }
