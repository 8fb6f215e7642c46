"""The rows `deliveries_per_s`: events of jobs that have ended, delivered to endpoints at a real receiver.

The jobs end while the webhooks service is stopped, so that what is timed is its own work and not the jobs': it takes
the events in, stores a delivery for each endpoint, and posts it signed. What a bare client does in the same run beside
it, with the same number of bodies of the same size at the same receiver, says what the machine could do.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, cast

import grpc
from penstock.webhooks.v1 import endpoints_pb2, endpoints_pb2_grpc

from deploy.local import programs
from deploy.local.layout import HOST, ROOT
from shared.identity import IDENTITY_HEADER
from tests.bench.census import Census
from tests.bench.cpu import Usage
from tests.bench.load import Caller

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.bench.mesh import Mesh

_TENANT = "deliveries"
_SERVICE = "webhooks"
_CALLERS = 64
_LANES = 10
#: Posts of the bare client at a time; more make it no faster.
_AT_ONCE = 64
_TIMEOUT_S = 900.0
_CALL_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What came of it.

    Args:
        deliveries: How many, each counted once.
        posts: That came for them.
        seconds: From the first that came to the last.
        bare_seconds: The same of the bare client.
        cpu_s: By program, until the last; the start of the service is part of its own.
        bytes_each: Of a body.
    """

    deliveries: int
    endpoints: int
    posts: float
    seconds: float
    bare_seconds: float
    cpu_s: Mapping[str, float]
    bytes_each: float

    @property
    def per_second(self) -> float:
        """Deliveries."""
        return self.deliveries / self.seconds

    @property
    def cpu_s_per_1000(self) -> Mapping[str, float]:
        """By program."""
        return {name: seconds * 1000 / self.deliveries for name, seconds in self.cpu_s.items()}

    @property
    def bare_per_second(self) -> float:
        """Posts of the bare client."""
        return self.deliveries / self.bare_seconds


def measure(mesh: Mesh, *, jobs: int, endpoints: int) -> Delivered:
    """Has so many jobs told to so many endpoints.

    Args:
        mesh: Running.
        jobs: Of one tenant.
        endpoints: Each of which takes them all.
    """
    program = next(each for each in programs.PROGRAMS if each.name == _SERVICE)
    with _Receiver() as receiver:
        for number in range(endpoints):
            _make_endpoint(mesh, f"{receiver.url}/{number}")
        mesh.stack.supervisor.stop_program(program)
        load = mesh.grpc_submits([_TENANT], lanes=_LANES, callers=_CALLERS, count=jobs, seconds=_TIMEOUT_S)
        with Caller(load) as caller:
            caller.start()
            if (submits := caller.outcome()).errors:
                raise RuntimeError(f"{submits.errors} of {submits.calls} submits failed: {submits.samples}")
        Census(mesh.stack.layout, [_TENANT]).wait_for(jobs, timeout_s=_TIMEOUT_S)
        mesh.stack.supervisor.start_program(program)
        usage = Usage(mesh.stack)
        ours = receiver.wait_for(jobs * endpoints)
        used = usage.by_program()
        bare = _bare(receiver, jobs * endpoints, round(ours["bytes_each"]))
    return Delivered(
        deliveries=jobs * endpoints,
        endpoints=endpoints,
        posts=ours["posts"],
        seconds=ours["seconds"],
        bare_seconds=bare["seconds"],
        cpu_s={**used, "receiver": ours["cpu_s"]},
        bytes_each=ours["bytes_each"],
    )


def _make_endpoint(mesh: Mesh, url: str) -> None:
    with grpc.insecure_channel(mesh.stack.layout.address(_SERVICE)) as channel:
        stub = cast("Any", endpoints_pb2_grpc.EndpointServiceStub(channel))
        request = endpoints_pb2.CreateEndpointRequest(url=url)
        stub.CreateEndpoint(request, metadata=[(IDENTITY_HEADER, mesh.token(_TENANT))], timeout=_CALL_TIMEOUT_S)


def _bare(receiver: _Receiver, count: int, size: int) -> Mapping[str, float]:
    numbers = map(str, (count, size, _AT_ONCE))
    command = (sys.executable, "-m", "tests.bench.bare_client", f"{receiver.url}/bare", *numbers)
    subprocess.run(command, cwd=ROOT, check=True, timeout=_TIMEOUT_S)
    return receiver.wait_for(count)


class _Receiver:
    """The process of `tests.bench.receiver`; it ends with the `with` around it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            (sys.executable, "-m", "tests.bench.receiver"),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = f"http://{HOST}:{self._heard()}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def wait_for(self, messages: int) -> Mapping[str, float]:
        """What so many different messages were, when they have come."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{messages}\n")
        self._process.stdin.flush()
        return json.loads(self._heard())

    def _heard(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError("the receiver's process has failed")
        return line
