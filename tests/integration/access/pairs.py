"""Every service beside every other, so that a new row of the table is tested without a word."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from deploy.access.rights import SERVICES

if TYPE_CHECKING:
    from deploy.access.rights import Service

EVERY_SERVICE = pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)


def every_pair(server: str) -> pytest.MarkDecorator:
    """Each service that has rights on this server as `other`, with each one that is not it as `service`."""
    pairs: list[tuple[Service, Service]] = [
        (service, other) for service, other in permutations(SERVICES, 2) if getattr(other, server) is not None
    ]
    assert pairs
    return pytest.mark.parametrize(("service", "other"), pairs, ids=lambda service: service.name)


def every_user(server: str) -> pytest.MarkDecorator:
    """Each service that has rights on this server."""
    users = [service for service in SERVICES if getattr(service, server) is not None]
    assert users
    return pytest.mark.parametrize("service", users, ids=lambda service: service.name)


def every_stranger(server: str) -> pytest.MarkDecorator:
    """Each service that has none."""
    strangers = [service for service in SERVICES if getattr(service, server) is None]
    assert strangers
    return pytest.mark.parametrize("service", strangers, ids=lambda service: service.name)
