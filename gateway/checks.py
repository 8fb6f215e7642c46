"""What is wrong with the gateway's settings, as far as Envoy would not say it, or not so that it helps."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from gateway import tls
from gateway.settings import PREFIX

if TYPE_CHECKING:
    from gateway.settings import GatewaySettings


def mistakes(settings: GatewaySettings) -> list[str]:
    """Each names the setting, its value and the way out."""
    return [*_of_admin(settings), *_of_address_limit(settings), *tls.mistakes(settings)]


def _of_admin(settings: GatewaySettings) -> list[str]:
    if _is_loopback(settings.admin_address):
        return []
    mistake = (
        f"{PREFIX}ADMIN_ADDRESS is {settings.admin_address!r}; whoever reaches it can stop Envoy, so it takes an "
        "address of this machine's loopback, such as 127.0.0.1:18001; others may read its figures at "
        f"{PREFIX}METRICS_ADDRESS"
    )
    return [mistake]


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address.rpartition(":")[0].strip("[]")).is_loopback
    except ValueError:  # a name, which may lead anywhere tomorrow
        return False


def _of_address_limit(settings: GatewaySettings) -> list[str]:
    numbers = {"ADDRESS_RATE": settings.address_rate, "ADDRESS_BURST": settings.address_burst}
    return [
        f"{PREFIX}{name} is {number}; it takes a number of requests, 0 or more"
        for name, number in numbers.items()
        if number < 0
    ]
