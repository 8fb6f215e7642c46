"""NATS: a service publishes and hears what is its own, and the server refuses it everything else."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import nats
import nats.errors
import pytest

from deploy.access import nats as access
from deploy.access.rights import SERVICES, of
from tests.integration.access.pairs import EVERY_SERVICE, every_pair
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from deploy.access.rights import Service
    from deploy.local.stack import Stack
    from shared.bus import Bus

#: What would end the log, or other services' places in it, or show all there is.
WRECKING = (
    *("$JS.API.STREAM.DELETE.JOBS", "$JS.API.STREAM.PURGE.JOBS", "$JS.API.STREAM.MSG.DELETE.JOBS"),
    *("$JS.API.CONSUMER.DELETE.JOBS.history", "$JS.API.CONSUMER.PAUSE.JOBS.history"),
    *("$JS.API.STREAM.LIST", "$JS.API.STREAM.CREATE.OTHER", "$JS.API.STREAM.SNAPSHOT.JOBS", "$SYS.REQ.SERVER.PING"),
    *("$JS.API.CONSUMER.CREATE.JOBS", "_INBOX.somebody.x"),
)
#: What nobody may publish.
LAST = "last.of.all"
OVERHEARING = (">", "*.*.*", "jobs.>", "attempts.*", "notices.*", "_INBOX.>", "$JS.>", "$KV.>", "$SYS.>", "signal.>")


def example(pattern: str) -> str:
    """A subject that the pattern stands for."""
    return pattern.replace("*", "http").replace(">", "x")


def published(service: Service) -> set[str]:
    return {example(pattern) for pattern in access.publishes(service)}


def heard(service: Service) -> set[str]:
    return {example(pattern) for pattern in access.hears(service)}


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[tuple[nats.NATS, list[str]]]:
    """A connection, and what the server says of it."""
    told: list[str] = []

    async def tell(error: Exception) -> None:
        told.append(str(error))

    client = await nats.connect(url, error_cb=tell, allow_reconnect=False)
    try:
        yield client, told
    finally:
        await client.close()


async def refused(
    stack: Stack, service: Service, *, publishing: Iterable[str] = (), hearing: Iterable[str] = ()
) -> set[str]:
    """What of this the server refuses the service, in small letters, as the driver has it."""
    async with connected(stack.layout.url_file("nats", service.name).read_text().strip()) as (client, told):
        for subject in publishing:
            await client.publish(subject, b"{}")
        for subject in hearing:
            await client.subscribe(subject)
        await client.publish(LAST)
        await eventually(lambda: any(LAST in text for text in told), what="the server's word on all of that")
        parts = [text.split('"') for text in told]
    assert all(part[0].startswith("nats: permissions violation for ") for part in parts), told
    return {part[1] for part in parts} - {LAST}


def small(subjects: Iterable[str]) -> set[str]:
    return {subject.lower() for subject in subjects}


@every_pair("nats")
async def test_what_another_publishes_and_asks_is_refused(
    servers: Stack, bus: Bus, service: Service, other: Service
) -> None:
    foreign = published(other) - published(service)
    assert await refused(servers, service, publishing=foreign) == small(foreign)


@every_pair("nats")
async def test_what_another_hears_is_refused(servers: Stack, service: Service, other: Service) -> None:
    foreign = heard(other) - heard(service)
    assert await refused(servers, service, hearing=foreign) == small(foreign)


@EVERY_SERVICE
async def test_a_service_may_do_all_that_its_row_says(servers: Stack, bus: Bus, service: Service) -> None:
    assert await refused(servers, service, publishing=published(service), hearing=heard(service)) == set()


@EVERY_SERVICE
async def test_no_service_may_wreck_what_all_share_or_overhear_it(servers: Stack, bus: Bus, service: Service) -> None:
    assert await refused(servers, service, publishing=WRECKING, hearing=OVERHEARING) == small((*WRECKING, *OVERHEARING))


async def test_consumers_with_names_are_their_services_alone(servers: Stack, bus: Bus) -> None:
    """Also for those who may name their own as they like."""
    for service in SERVICES:
        taken = {
            f"$JS.API.CONSUMER.{verb}.{stream}.{name}"
            for other in SERVICES
            if other is not service
            for stream, names in other.nats.consumes.items()
            for name in names
            if name != "*"
            for verb in ("CREATE", "DURABLE.CREATE", "MSG.NEXT", "DELETE")
        }
        assert taken
        assert await refused(servers, service, publishing=taken) == small(taken)


async def test_history_can_neither_hear_nor_speak_as_auth(servers: Stack, bus: Bus) -> None:
    history = of("history")
    signals = ["signal.auth.changed", "signal.auth.revoked", "_INBOX.auth.x"]
    assert await refused(servers, history, publishing=signals, hearing=signals) == small(signals)


async def test_nobody_comes_in_without_a_name_and_a_password(servers: Stack) -> None:
    address = servers.layout.address("nats")
    stolen = servers.layout.password("nats", "history")
    for login in ("", "auth@", "auth:guess@", f"auth:{stolen}@", f"nobody:{stolen}@"):
        with pytest.raises(nats.errors.Error, match="Authorization Violation"):
            async with connected(f"nats://{login}{address}"):
                pass
