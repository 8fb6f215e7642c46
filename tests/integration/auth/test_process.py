"""Auth as an operator starts it: a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.integration.auth.conftest import Auth, identity_of
from tests.integration.auth.test_revocation import make_key
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from services.auth.store import MongoStore
    from shared.bus import Bus
    from tests.identities import Identities

CANARY = "canary-e0c7a5c1b3d94f0b8a6d"


@pytest.fixture
def environment(
    mongo_url: str, redis_url: str, nats_url: str, identities: Identities, tmp_path: Path
) -> dict[str, str]:
    """All of auth's settings; those that are secret hold the canary."""
    pepper = tmp_path / "pepper"
    pepper.write_text(CANARY * 2, encoding="utf-8")
    others = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    return others | {
        "PENSTOCK_GRPC_ADDRESS": "127.0.0.1:0",
        "PENSTOCK_IDENTITY_KEYS_FILE": str(identities.keys_file),
        "PENSTOCK_SERVICE_KEY_FILE": str(identities.private_key_file("auth")),
        "PENSTOCK_MONGO_URL": f"{mongo_url}&appName={CANARY}",
        "PENSTOCK_REDIS_URL": f"{redis_url}?client_name={CANARY}",
        "PENSTOCK_NATS_URL": nats_url,
        "PENSTOCK_KEY_PEPPER_FILE": str(pepper),
        "PENSTOCK_SEALING_KEY_FILE": str(identities.signing_seal_file),
        "PENSTOCK_MASTER_KEYS_FILE": str(identities.master_keys_file),
        "PENSTOCK_LOG_LEVEL": "debug",
    }


@asynccontextmanager
async def started(environment: dict[str, str], log: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The process, and the address that its log says it answers at."""
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.auth"), env=environment, stderr=stderr
        )

    def port() -> int | None:
        assert process.returncode is None, log.read_text(encoding="utf-8")
        return next((entry["port"] for entry in entries(log) if entry["event"] == "server_started"), None)

    try:
        yield process, f"127.0.0.1:{await eventually(port, within=120, what='the start of auth')}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def entries(log: Path) -> list[dict[str, object]]:
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


async def test_it_serves_tells_no_secret_and_ends_when_told_to(
    environment: dict[str, str], identities: Identities, store: MongoStore, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    async with started(environment, log) as (process, address):
        auth = Auth(address, identities)
        made = await make_key(auth, identities)
        token = identity_of(await auth.check(made.secret))
        assert token is not None
        identity_of(await auth.check(made.secret[:-1]))
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(150):
            assert await process.wait() == 0
    logged = log.read_text(encoding="utf-8")
    events = {entry["event"] for entry in entries(log)}
    assert {"key_created", "key_refused", "rpc_answered", "server_drained"} <= events
    passwords = [urlsplit(environment[f"PENSTOCK_{server}_URL"]).password for server in ("MONGO", "REDIS", "NATS")]
    for secret in (CANARY, made.secret[len(made.key.prefix) :], token, *passwords):
        assert secret
        assert secret not in logged


async def test_it_shows_its_settings_without_their_secrets(environment: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.auth", "--print-config"), env=environment, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(150):
        out, _ = await process.communicate()
    shown = out.decode()
    assert process.returncode == 0
    assert "PENSTOCK_MONGO_URL=***" in shown
    assert "PENSTOCK_LOG_LEVEL=debug" in shown
    assert CANARY not in shown
    assert "PRIVATE KEY" not in shown


async def test_it_does_not_start_with_a_key_of_its_own_that_nobody_would_believe(
    environment: dict[str, str], identities: Identities
) -> None:
    strange = environment | {"PENSTOCK_SERVICE_KEY_FILE": str(identities.private_key_file("intake"))}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.auth"), env=strange, stderr=asyncio.subprocess.PIPE
    )
    _, stderr = await process.communicate()
    assert process.returncode == 2
    assert stderr.decode() == (
        "auth: the public half of the private key of auth is not in the set of identity keys; "
        "PENSTOCK_SERVICE_KEY is the private key, PENSTOCK_IDENTITY_KEYS_FILE the set of public ones\n"
    )


async def test_a_change_that_was_answered_is_in_the_audit_once_though_its_process_is_killed_at_that_moment(
    environment: dict[str, str], identities: Identities, store: MongoStore, bus: Bus, tmp_path: Path
) -> None:
    keys: list[str] = []
    for number in range(3):
        async with started(environment, tmp_path / f"log-{number}") as (process, address):
            made = await make_key(Auth(address, identities), identities)
            process.kill()
            await process.wait()
        keys.append(made.key.id)
    async with started(environment, tmp_path / "log") as (_, address):
        admin = identities.mint("acme")

        async def each_once() -> bool:
            entries = await Auth(address, identities).audit(admin)
            return [entry.target.id for entry in entries] == keys[::-1]

        await eventually(each_once, within=150, what="every entry, once")
