"""Where auth and the services are told that a request comes from: the client, as far as proxies before are trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.identity import CLIENT_ADDRESS_HEADER
from tests.integration.gateway import envoys
from tests.integration.gateway.conftest import settings_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.gateway.envoys import Envoy
    from tests.integration.gateway.stand_ins import Services

#: What a client may write to look like another one.
FORGED = (
    {"x-forwarded-for": "203.0.113.9"},
    {"X-Forwarded-For": "203.0.113.9, 203.0.113.10"},
    {"x-real-ip": "203.0.113.9"},
    {"forwarded": "for=203.0.113.9"},
    {"true-client-ip": "203.0.113.9"},
    {"x-envoy-external-address": "203.0.113.9"},
    {CLIENT_ADDRESS_HEADER: "203.0.113.9"},
    {CLIENT_ADDRESS_HEADER.title(): "203.0.113.9"},
)


@pytest.fixture(scope="module")
def behind_a_proxy(all_services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Envoy]:
    """An Envoy that one proxy stands before; here, whoever calls is that proxy."""
    settings = settings_for(all_services.address, trusted_hops=1)
    with envoys.running(settings, tmp_path_factory.mktemp("proxied")) as envoy:
        yield envoy


@pytest.mark.parametrize("headers", FORGED)
def test_without_trusted_proxies_only_the_connection_tells(
    envoy: Envoy, services: Services, headers: dict[str, str]
) -> None:
    assert envoy.call("GET", "/api/v1/keys", headers=headers).status == 200
    assert services.source == "127.0.0.1"
    assert services.received[-1].metadata[CLIENT_ADDRESS_HEADER] == "127.0.0.1"


def test_a_trusted_proxy_tells_and_what_a_client_wrote_before_it_does_not(
    behind_a_proxy: Envoy, services: Services
) -> None:
    for written in ("198.51.100.7", "203.0.113.9, 198.51.100.7", "127.0.0.1, 203.0.113.9, 198.51.100.7"):
        assert behind_a_proxy.call("GET", "/api/v1/keys", headers={"x-forwarded-for": written}).status == 200
        assert services.source == "198.51.100.7"
        assert services.received[-1].metadata[CLIENT_ADDRESS_HEADER] == "198.51.100.7"


def test_a_trusted_proxy_that_tells_nothing_is_the_client_itself(behind_a_proxy: Envoy, services: Services) -> None:
    assert behind_a_proxy.call("GET", "/api/v1/keys").status == 200
    assert services.source == "127.0.0.1"
