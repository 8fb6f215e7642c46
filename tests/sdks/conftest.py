"""A tenant whose jobs can be told apart, and the gateway at which things go wrong before its mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sdks.runs import going_wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.docs.stack import DocsStack
    from tests.sdks.faulty_gateway import FaultyGateway
    from tests.sdks.runs import Tenant


@pytest.fixture
def tenant_and_gateway(stack: DocsStack) -> Iterator[tuple[Tenant, FaultyGateway]]:
    with going_wrong(stack) as both:
        yield both


@pytest.fixture
def tenant(tenant_and_gateway: tuple[Tenant, FaultyGateway]) -> Tenant:
    """Whose jobs the test's client submits; nobody else's are among them."""
    return tenant_and_gateway[0]


@pytest.fixture
def gateway(tenant_and_gateway: tuple[Tenant, FaultyGateway]) -> FaultyGateway:
    """Before the mesh, and before what links lead to."""
    return tenant_and_gateway[1]
