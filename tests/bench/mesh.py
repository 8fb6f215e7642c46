"""The mesh that is measured: all that `make up` starts, as it starts it, on free ports in a folder of its own.

It differs in two things: the upstream service has one upstream more, `noop`, and tenants may have more unfinished jobs
and make more requests a minute than they ever do here, so that the limits are on and never reached.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from google.protobuf import json_format
from penstock.jobs.v1 import batches_pb2, jobs_pb2

from deploy.local import client_settings, commands, layout, programs
from deploy.local.layout import Options
from deploy.local.stack import Stack
from deploy.local.supervision import Supervisor
from tests.bench.load import NO_END, Call, Load
from tests.bench.noop import METHOD, UPSTREAM
from tests.bench.noop_upstream import MODULE
from tests.identities import Identities

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence

    from deploy.local.layout import Layout
    from deploy.local.programs import Program

_START_TIMEOUT_S = 180.0
_TOKEN_LIFETIME = timedelta(hours=6)
#: Unfinished jobs that a tenant may have here.
MAX_PENDING_JOBS = 1_000_000
#: Requests a minute that a key, and a tenant, may make here.
RATE_LIMIT = 100_000_000
_OPTIONS = Options(
    key_rate_limit=str(RATE_LIMIT), tenant_rate_limit=str(RATE_LIMIT), gateway_address_rate=str(RATE_LIMIT)
)
_SUBMIT_RPC = "/penstock.jobs.v1.JobService/SubmitJob"
_BATCH_RPC = "/penstock.jobs.v1.JobService/SubmitBatch"
_BATCH_TIMEOUT_S = 900.0
_SUBMIT_PATH = "/api/v1/jobs"


class Mesh:
    """The running mesh, as it is loaded.

    Args:
        stack: Running.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._identities = Identities(stack.layout.secrets)

    def key(self, tenant: str) -> str:
        """A new API key of a tenant, which is made."""
        return client_settings.make_key(self.stack, tenant=tenant, name="bench")

    def token(self, tenant: str) -> str:
        """What the gateway would send on for a key of a tenant."""
        return self._identities.mint(tenant, lifetime=_TOKEN_LIFETIME)

    def grpc_submits(
        self, tenants: Iterable[str], *, lanes: int, callers: int, count: int = NO_END, seconds: float
    ) -> Load:
        """Submits by gRPC, straight to intake, with the tokens that the gateway would send on; see `Load`.

        Args:
            lanes: Of each tenant.
        """
        calls = [
            Call(self.token(tenant), _request(lane).SerializeToString()) for tenant in tenants for lane in range(lanes)
        ]
        return Load(
            protocol="grpc",
            address=self.stack.layout.address("intake"),
            path=_SUBMIT_RPC,
            calls=calls,
            callers=callers,
            count=count,
            seconds=seconds,
        )

    def grpc_batches(self, tenants: Iterable[str], *, lanes: int, size: int, callers: int, count: int) -> Load:
        """The same with batches.

        Args:
            lanes: Of each tenant; each batch has jobs of all of them.
            size: Jobs of a batch.
            count: Batches.
        """
        jobs = [_request(number % lanes) for number in range(size)]
        batch = batches_pb2.SubmitBatchRequest(jobs=jobs).SerializeToString()
        calls = [Call(self.token(tenant), batch) for tenant in tenants]
        return Load(
            protocol="grpc",
            address=self.stack.layout.address("intake"),
            path=_BATCH_RPC,
            calls=calls,
            callers=callers,
            count=count,
            seconds=_BATCH_TIMEOUT_S,
        )

    def http_submits(
        self, keys: Iterable[str], *, lanes: int, callers: int, seconds: float, pause_s: float = 0.0
    ) -> Load:
        """Submits by HTTP/JSON through Envoy, by API keys; see `Load`.

        Args:
            lanes: Of each key.
        """
        bodies = [json.dumps(json_format.MessageToDict(_request(lane))).encode() for lane in range(lanes)]
        return Load(
            protocol="http",
            address=self.stack.layout.address("gateway"),
            path=_SUBMIT_PATH,
            calls=[Call(key, body) for key in keys for body in bodies],
            callers=callers,
            seconds=seconds,
            pause_s=pause_s,
        )


@contextmanager
def mesh() -> Generator[Mesh]:
    """Everything, up and ready; it ends with this process, however it ends."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-bench-"))
    stack = Stack(layout.on_free_ports(folder, programs.PORTS, _OPTIONS))
    stack.supervisor = _BenchSupervisor(stack.layout)
    try:
        stack.start(commands.MESH, tied=True)
        stack.wait_until_ready(commands.MESH, timeout_s=_START_TIMEOUT_S)
        client_settings.ensure(stack)  # its own first call: from now on all of it answers
        yield Mesh(stack)
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)


class _BenchSupervisor(Supervisor):
    """Starts two programs otherwise than the table says."""

    def start(self, programs: Sequence[Program], wanted: Iterable[str], *, tied: bool) -> None:
        """See `Supervisor`."""
        super().start([_measured(program) for program in programs], wanted, tied=tied)


def _measured(program: Program) -> Program:
    def command(_: Layout) -> Sequence[str]:
        return (sys.executable, "-m", MODULE)

    def environment(layout: Layout) -> Mapping[str, str]:
        return {**program.environment(layout), "PENSTOCK_MAX_PENDING_JOBS": str(MAX_PENDING_JOBS)}

    if program.name == "upstream":
        return replace(program, command=command)
    return replace(program, environment=environment) if program.name == "intake" else program


def _request(lane: int) -> jobs_pb2.SubmitJobRequest:
    """A job of the lane; without an idempotency key, so that each such request makes a job."""
    request = jobs_pb2.SubmitJobRequest(upstream=UPSTREAM, method=METHOD)
    request.params["url"] = f"https://lane-{lane}.example/"
    return request
