"""The TypeScript SDK: by itself, then before a whole mesh with everything going wrong in between that may."""

from __future__ import annotations

import asyncio
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from deploy.local import client_settings
from deploy.local.layout import ROOT
from tests.sdks.faults import PASSING, Kind
from tests.sdks.runs import NUMBER, Runs, far_end

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.docs.stack import DocsStack
    from tests.sdks.faulty_gateway import FaultyGateway
    from tests.sdks.runs import Tenant

_TIMEOUT_S = 240
_SDK = ROOT / "sdks" / "typescript"


async def ran(folder: str, **environment: str) -> str:
    """What the tests of a folder print; bringing the mesh up has built them."""
    return await asyncio.to_thread(_ran, folder, environment)


def _ran(folder: str, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        ("node", "--test", f"build/{folder}/"),
        cwd=_SDK,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


async def alone(tenant: Tenant, gateway: FaultyGateway, folder: Path) -> None:
    del tenant, gateway, folder
    assert "# fail 0" in await ran("unit")


async def before_a_mesh(tenant: Tenant, gateway: FaultyGateway, folder: Path) -> None:
    del folder
    run = "typescript"
    printed = await ran(
        "live",
        PENSTOCK_URL=gateway.url,
        PENSTOCK_API_KEY=tenant.settings[client_settings.API_KEY],
        PENSTOCK_LIVE_RUN=run,
        PENSTOCK_LIVE_FAR_END=far_end(run),
    )
    assert "# skipped 0" in printed
    numbers = [each["metadata"][NUMBER] for each in tenant.jobs(run)]
    assert len(numbers) >= 100
    await tenant.check(run, set(numbers))
    assert set(PASSING[Kind.CALL]) - set(gateway.done) == set()


@pytest.fixture(scope="module")
def runs(stack: DocsStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    runs = Runs(stack, tmp_path_factory.mktemp("typescript"))
    runs.begin("alone", alone)
    runs.begin("before a mesh", before_a_mesh)
    yield runs
    runs.close()


def test_its_own_tests_pass(runs: Runs) -> None:
    runs.end("alone")


def test_it_loses_no_job_and_makes_none_twice(runs: Runs) -> None:
    runs.end("before a mesh")
