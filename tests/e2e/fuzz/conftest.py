"""One tenant for all that is fuzzed, of which nothing is kept but what was accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from shared import kv
from shared.config import Secret
from tests.e2e.fuzz.line import TENANT, Line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.mesh import Mesh


@pytest.fixture(scope="session")
def line(mesh: Mesh) -> Iterator[Line]:
    line = Line(mesh, mesh.new_key(TENANT))
    yield line
    if line.connection is not None:
        line.connection.close()


@pytest.fixture(scope="session")
def channel(mesh: Mesh) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(mesh.grpc_address) as channel:
        yield channel


@pytest.fixture(autouse=True)
async def nothing_but_the_accepted_is_stored(mesh: Mesh, line: Line) -> Any:
    jobs, before = len(line.jobs), mesh.submitted()
    yield
    assert mesh.submitted() - before == len(line.jobs) - jobs
    client = await kv.connect(Secret(mesh.layout.redis_url))
    names = [
        name.decode().removeprefix(f"{{intake:{TENANT}}}:") for name in await client.keys(f"{{intake:{TENANT}}}:*")
    ]
    await kv.close(client)
    kept: dict[str, set[str]] = {kind: set() for kind in ("job", "batch", "upload", "key")}
    for name in names:
        kind, parted, rest = name.partition(":")
        if parted:
            kept[kind].add(rest)
    assert kept == {"job": line.jobs, "batch": line.batches, "upload": line.uploads, "key": line.keys}
    assert {name for name in names if ":" not in name} <= {"pending", "drained", "ended", "sizes"}
