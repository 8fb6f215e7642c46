"""The upstream service with one connector more: `python -m tests.bench.noop_upstream`.

Everything else is the service's own, wired by its own `serve`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.upstream import __main__ as upstream
from services.upstream.config import Config
from services.upstream.connectors import every_connector
from shared.lifecycle import run
from tests.bench.noop import NoopConnector

if TYPE_CHECKING:
    from services.upstream.connector import Connector

MODULE = "tests.bench.noop_upstream"


def _with_noop(*arguments: Any) -> tuple[Connector, ...]:
    return (*every_connector(*arguments), NoopConnector())


if __name__ == "__main__":
    upstream.every_connector = _with_noop
    run("upstream", Config, upstream.serve)
