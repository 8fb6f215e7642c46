"""One Envoy for all tests of the gateway, before services that answer as each test asks."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from deploy.local import layout
from gateway import GatewaySettings
from tests.integration.gateway import envoys, stand_ins

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.identities import Identities
    from tests.integration.gateway.envoys import Envoy
    from tests.integration.gateway.stand_ins import Services


@pytest.fixture(scope="package")
def all_services(identities: Identities) -> Iterator[Services]:
    with stand_ins.running(identities) as services:
        yield services


@pytest.fixture(scope="package")
def envoy(all_services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Envoy]:
    folder = tmp_path_factory.mktemp("gateway")
    with envoys.running(settings_for(all_services.address), folder) as envoy:
        yield envoy


@pytest.fixture(scope="package")
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


@pytest.fixture
def services(all_services: Services) -> Iterator[Services]:
    """The services, with nothing received."""
    all_services.reset()
    yield all_services
    all_services.reset()


def settings_for(address: str, **changes: object) -> GatewaySettings:
    """Settings on free ports before one address of all services."""
    free = layout.on_free_ports(layout.ROOT, {"gateway": 0, "admin": 0, "nowhere": 0})
    values: dict[str, object] = {
        "address": free.address("gateway"),
        "admin_address": free.address("admin"),
        "auth_address": address,
        "intake_address": address,
        "scheduler_address": address,
        "upstream_address": address,
        "history_address": address,
        "site_address": free.address("nowhere"),
        "cors_origins": ("https://console.example",),
        "address_rate": 0,  # tests flood, all from one address
        **changes,
    }
    return GatewaySettings(**values)  # type: ignore[arg-type]  the fields' types are checked by their tests
