"""The connectors: one file an upstream, and the one list of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.upstream.connectors.http import HttpConnector

if TYPE_CHECKING:
    from services.upstream.connector import Connector
    from services.upstream.http_client import HttpClient
    from shared.clock import Clock


def every_connector(client: HttpClient, clock: Clock) -> tuple[Connector, ...]:
    """Every upstream that can be called; a new one is added here, and nowhere else."""
    return (HttpConnector(client, clock),)
