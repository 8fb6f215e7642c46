"""Amazon's driver: a session that has read what it knows of a service from its files, and not on the event loop."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

from aiobotocore.session import get_session
from botocore.loaders import create_loader


async def session_for(service: str) -> Any:
    """A session whose clients of this service are made without a stall.

    Args:
        service: As the driver calls it, such as `s3` or `kms`.
    """
    return await asyncio.to_thread(_session, service)


async def common_session_for(service: str) -> Any:
    """The one session of this process for clients of this service that are each given their keys.

    Args:
        service: As the driver calls it.
    """
    return await asyncio.to_thread(_common_session, service)


@functools.cache
def _common_session(service: str) -> Any:
    """Made once: it costs as much as the client."""
    return _session(service)


def _session(service: str) -> Any:
    session = get_session()
    session.register_component("data_loader", _loader(service))
    return session


@functools.cache
def _loader(service: str) -> Any:
    """What the driver knows of a service: read once, for every client."""
    loader = create_loader()
    for data in ("service-2", "endpoint-rule-set-1"):
        loader.load_service_model(service, data)
    loader.load_data("endpoints")
    return loader
