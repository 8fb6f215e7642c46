"""One Envoy for all tests of the gateway, before services that answer as each test asks."""

from __future__ import annotations

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
        **changes,
    }
    return GatewaySettings(**values)  # type: ignore[arg-type]  the fields' types are checked by their tests
