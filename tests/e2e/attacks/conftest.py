"""Who attacks, and who is attacked."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc
import pytest

from tests.e2e.api import Api
from tests.e2e.attacks import tenants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.attacks.tenants import Tenant
    from tests.e2e.mesh import Mesh


@pytest.fixture(scope="session")
def gateway(mesh: Mesh) -> Iterator[grpc.Channel]:
    """A channel to Envoy."""
    with grpc.insecure_channel(mesh.grpc_address) as channel:
        yield channel


@pytest.fixture(scope="session")
def victim(mesh: Mesh, gateway: grpc.Channel) -> Iterator[Tenant]:
    """A tenant with one of everything."""
    with furnished(mesh, "victim", gateway) as tenant:
        yield tenant


@pytest.fixture(scope="session")
def attacker(mesh: Mesh, gateway: grpc.Channel) -> Iterator[Tenant]:
    """An admin of another tenant, which has the same."""
    with furnished(mesh, "attacker", gateway) as tenant:
        yield tenant


@pytest.fixture(scope="session")
def intruder(mesh: Mesh) -> Api:
    """An admin of a third tenant, for attacks that need no victim."""
    return Api(mesh.url, mesh.new_key("intruder"))


@contextmanager
def furnished(mesh: Mesh, name: str, channel: grpc.Channel) -> Iterator[Tenant]:
    """The tenant; what it has waiting is canceled at the end."""
    with ThreadPoolExecutor(1) as thread:  # a loop of its own, whatever loop the test runs
        tenant = thread.submit(asyncio.run, tenants.furnished(mesh, name, channel)).result()
    yield tenant
    for job in tenant.api.call("GET", "/api/v1/jobs?state=QUEUED&pageSize=500").json["jobs"]:
        tenant.api.call("POST", f"/api/v1/jobs/{job['id']}:cancel", {})
