"""One stack for all pages and samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs.stack import docs_stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.docs.stack import DocsStack


@pytest.fixture(scope="session")
def stack() -> Iterator[DocsStack]:
    with docs_stack() as running:
        yield running
