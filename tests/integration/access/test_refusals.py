"""What a service makes of a refusal: it says so in its log, and goes on as soon as somebody has mended it."""

from __future__ import annotations

import asyncio
import configparser
from typing import TYPE_CHECKING

import pytest
import structlog
from supervisor.datatypes import dict_of_key_value_pairs

from deploy.access.rights import OPERATOR
from shared import bus as bus_
from shared import kv, mongo
from shared.config import Secret
from shared.errors import Unavailable
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping
    from typing import Any

    from deploy.local.stack import Stack

    Lines = list[MutableMapping[str, Any]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What was logged."""
    with structlog.testing.capture_logs() as captured:
        yield captured


def url_of(stack: Stack, server: str, service: str) -> Secret:
    return Secret(stack.layout.url_file(server, service).read_text().strip())


async def test_a_subject_that_nats_refuses_is_told(servers: Stack, lines: Lines) -> None:
    bus = await bus_.connect(url_of(servers, "nats", "history"), "history")
    try:
        await bus.signal("signal.auth.changed", b"psk_live_x")
        (line,) = await eventually(lambda: [line for line in lines if line["event"] == "nats_forbidden"])
    finally:
        await bus.close()
    assert line["user"] == "history"
    assert line["error"] == 'nats: permissions violation for publish to "signal.auth.changed"'
    assert line["log_level"] == "error"


async def test_a_password_that_nats_does_not_know_is_told_once_and_tried_again(servers: Stack, lines: Lines) -> None:
    address = servers.layout.address("nats")
    connecting = asyncio.create_task(bus_.connect(Secret(f"nats://history:guess@{address}"), "history"))
    try:
        log = servers.layout.log("nats")
        before = log.read_text().count('authentication error - User "history"')
        await eventually(lambda: log.read_text().count('authentication error - User "history"') >= before + 3)
    finally:
        # before Python 3.12 what the driver waits by may lose a cancel
        await eventually(lambda: connecting.done() or not connecting.cancel())
    assert [line["event"] for line in lines if line["event"].startswith("nats_")] == ["nats_refused"]
    assert "guess" not in str(lines)


async def test_a_password_that_redis_does_not_know_is_told(servers: Stack, lines: Lines) -> None:
    address = servers.layout.address("redis")
    with pytest.raises(Unavailable, match="Redis refuses this service") as refused:
        await kv.connect(Secret(f"redis://auth:guess@{address}/0"))
    assert refused.value.metadata == {"dependency": "redis"}
    assert [line["event"] for line in lines] == ["redis_refused"]
    assert "guess" not in str(lines)


async def test_a_password_that_mongodb_does_not_know_may_be_mended(servers: Stack, lines: Lines) -> None:
    """As at the first start of all: the service may be there before its user."""
    address = servers.layout.address("mongo")
    url = Secret(f"mongodb://late:late@{address}/?replicaSet=penstock&authSource=late")
    with pytest.raises(Unavailable, match="MongoDB refuses this service"):
        await mongo.connect(url)
    assert [(line["event"], line["error"]) for line in lines] == [("mongodb_refused", "Authentication failed.")]
    operator = await mongo.connect(Secret(servers.layout.mongo_url))
    try:
        await operator.late.command("createUser", "late", pwd="late", roles=["readWrite"])
        await mongo.close(await mongo.connect(url))
    finally:
        await operator.late.command("dropUser", "late")
        await mongo.close(operator)


async def test_what_mongodb_refuses_is_told_without_its_values(servers: Stack, lines: Lines) -> None:
    client = await mongo.connect(url_of(servers, "mongo", "history"))
    try:
        with pytest.raises(Unavailable, match="MongoDB refuses this service") as refused:
            async with mongo.translated():
                await client.auth["keys"].insert_one({"digest": "canary"})
    finally:
        await mongo.close(client)
    assert [line["event"] for line in lines] == ["mongodb_refused"]
    assert 'not authorized on auth to execute command { insert: "keys"' in lines[0]["error"]
    assert "canary" not in str(lines) + str(refused.value)


def test_passwords_stand_in_files_that_their_owner_alone_reads(servers: Stack) -> None:
    secrets = servers.layout.secrets
    passwords = {path.read_text().strip() for path in secrets.glob("*-password")}
    assert len(passwords) == len(list(secrets.glob("*-password"))) > len({OPERATOR})
    told = [
        servers.layout.state / "supervisord.conf",
        servers.layout.state / "redis.conf",
        *servers.layout.logs.iterdir(),
    ]
    for path in told:
        text = path.read_text(errors="replace")
        assert not [password for password in passwords if password in text], path.name
    files = [servers.layout.state / "nats.conf", *(path for path in secrets.rglob("*") if path.is_file())]
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o600"}


def test_a_service_is_told_where_to_read_its_own_urls_and_no_others(servers: Stack) -> None:
    settings = configparser.RawConfigParser()
    settings.read(servers.layout.state / "supervisord.conf")
    environments = {
        section.removeprefix("program:"): dict_of_key_value_pairs(settings[section]["environment"])
        for section in settings.sections()
        if section.startswith("program:")
    }
    urls = {name: path for name, path in environments["history"].items() if name.endswith("_URL_FILE")}
    assert urls == {
        "PENSTOCK_NATS_URL_FILE": str(servers.layout.url_file("nats", "history")),
        "PENSTOCK_MONGO_URL_FILE": str(servers.layout.url_file("mongo", "history")),
    }
    assert OPERATOR not in str(environments)
