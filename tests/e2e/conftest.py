"""One mesh for all tests that go through Envoy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e import mesh as mesh_

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.mesh import Mesh


@pytest.fixture(scope="session")
def mesh() -> Iterator[Mesh]:
    """Its services have their own users on every server; after all tests none of them has been refused anything."""
    with mesh_.mesh() as running:
        yield running
        assert running.refusals() == []
