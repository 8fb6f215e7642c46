"""One mesh for all tests that go through Envoy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.e2e.mesh import Mesh


@pytest.fixture(scope="session")
def mesh(whole_mesh: Mesh) -> Mesh:
    return whole_mesh
