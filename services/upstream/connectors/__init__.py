"""The connectors: one file of code an upstream, beside it its data, and the one list of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.upstream.connectors import flickr
from services.upstream.connectors.http import HttpConnector
from services.upstream.urls import check_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from yarl import URL

    from services.upstream.connector import Connector
    from services.upstream.http_client import HttpClient
    from shared.clock import Clock


def every_connector(
    client: HttpClient, clock: Clock, urls: Mapping[str, Mapping[str, URL]] | None = None
) -> tuple[Connector, ...]:
    """Every upstream that can be called; a new one is added here, and nowhere else.

    Args:
        client: Makes the exchanges.
        clock: For the dates of `Retry-After`.
        urls: Where an operator has targets called instead, by upstream and target.

    Raises:
        ConfigError: They name what there is not.
        DataError: The file of an upstream holds mistakes.
    """
    urls = urls or {}
    connectors = (HttpConnector(client, clock), flickr.connector(client, clock, urls.get("flickr", {})))
    check_names(urls, connectors)
    return connectors
