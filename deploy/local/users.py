"""The users of the stack's servers: a password for each at each server, and what a service is told of them.

A service finds a server's URL in a file, so that its password is neither in its environment nor in the supervisor's
settings.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from deploy.access import backup
from deploy.access.rights import OPERATOR, SERVICES, of
from deploy.local.private_files import write_private

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from deploy.access.rights import Service
    from deploy.local.layout import Layout

#: The servers that are told users and passwords, as `deploy.access.rights.Service` names them.
SERVERS = ("nats", "redis", "mongo", "objects")
_PASSWORD_BYTES = 32


def make(layout: Layout) -> None:
    """Makes the passwords that are not there yet, and writes down what services are told, with the ports of now."""
    for server in SERVERS:
        for user in (OPERATOR, backup.USER, *(service.name for service in SERVICES if server in _servers_of(service))):
            path = layout.password_file(server, user)
            if not path.exists():  # of letters that stand for themselves in URLs and in every server's settings
                write_private(path, secrets.token_urlsafe(_PASSWORD_BYTES) + "\n")
    for service in SERVICES:
        for server, url in _urls(layout, service).items():
            write_private(layout.url_file(server, service.name), url + "\n")


def settings(layout: Layout, name: str) -> Mapping[str, str]:
    """What a service is told of the servers that it uses.

    Args:
        layout: Of the stack.
        name: The service's.
    """
    files = {
        f"PENSTOCK_{server.upper()}_URL_FILE": str(layout.url_file(server, name))
        for server in _servers_of(of(name))
        if server != "objects"
    }
    if of(name).objects is None:
        return files
    return {
        **files,
        "PENSTOCK_OBJECTS_URL": layout.objects_url,
        "PENSTOCK_OBJECTS_ACCESS_KEY": name,
        "PENSTOCK_OBJECTS_SECRET_KEY_FILE": str(layout.password_file("objects", name)),
        # The store keeps its bucket's rules, and leaves it to a worker of its own to go by them; none runs here.
        "PENSTOCK_OBJECTS_SWEEP_INTERVAL": "1h",
    }


def _urls(layout: Layout, service: Service) -> Mapping[str, str]:
    urls = {"nats": layout.nats_url_of(service.name)}
    if service.redis is not None:
        urls["redis"] = layout.redis_url_of(service.name)
    if service.mongo is not None:
        urls["mongo"] = layout.mongo_url_of(service.name, service.mongo.database)
    return urls


def _servers_of(service: Service) -> Iterator[str]:
    return (server for server in SERVERS if getattr(service, server) is not None)
