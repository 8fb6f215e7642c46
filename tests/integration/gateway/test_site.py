"""`/readyz`: the site process behind Envoy, before services that come and go."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from deploy.local import layout
from tests.integration.gateway import envoys
from tests.integration.gateway.conftest import settings_for
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.gateway.envoys import Envoy
    from tests.integration.gateway.stand_ins import Services


@pytest.fixture(scope="module")
def site(all_services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Envoy]:
    """Envoy and the site; `away` names a service that does not answer."""
    free = layout.on_free_ports(layout.ROOT, {"site": 0, "away": 0})
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")},
        "PENSTOCK_SITE_ADDRESS": free.address("site"),
        "PENSTOCK_SITE_SERVICES": f"intake={all_services.address},away={free.address('away')}",
    }
    process = subprocess.Popen([sys.executable, "-m", "gateway.site"], cwd=layout.ROOT, env=environment)
    try:
        settings = settings_for(all_services.address, site_address=free.address("site"))
        with envoys.running(settings, tmp_path_factory.mktemp("site")) as envoy:
            yield envoy
    finally:
        process.terminate()
        assert process.wait(10) in {0, -15}


async def _readyz(site: Envoy) -> Any:
    async def answer() -> Any:
        found = site.call("GET", "/readyz", key=None)
        assert "services" in found.json
        return found

    return await eventually(answer, what="the site")


async def test_each_service_and_dependency_is_named(site: Envoy, services: Services) -> None:
    answer = await _readyz(site)
    assert answer.status == 503
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["retry-after"] == "1"
    assert answer.json == {
        "status": "not ready",
        "services": {
            "intake": {"ready": True, "dependencies": {"redis": True}},
            "away": {"ready": False, "dependencies": {}, "error": "is not reachable"},
        },
    }
    assert services.checks == 0


async def test_a_lost_dependency_is_named(site: Envoy, all_services: Services) -> None:
    assert all_services.health is not None
    all_services.dependencies["redis"] = False
    try:
        await all_services.health.check_dependencies()
        answer = await _readyz(site)
        assert answer.json["services"]["intake"] == {"ready": False, "dependencies": {"redis": False}}
    finally:
        all_services.dependencies["redis"] = True
        await all_services.health.check_dependencies()


async def test_the_site_answers_head(site: Envoy) -> None:
    await _readyz(site)
    answer = site.call("HEAD", "/readyz", key=None)
    assert (answer.status, answer.body) == (503, b"")
