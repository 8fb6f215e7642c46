"""The bootstrap command, as a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from services.auth import bootstrap as bootstrap_
from services.auth.audit_filter import AuditFilter
from services.auth.audit_store import MongoAuditStore
from services.auth.config import BootstrapConfig
from services.auth.domain import KeySecret
from services.auth.orders import KeyOrder
from services.auth.store import MongoStore
from shared.clock import SystemClock
from shared.config import Secret
from shared.errors import Unavailable
from shared.permissions import ADMIN_SCOPES, Scope
from tests.integration.auth.conftest import identity_of

if TYPE_CHECKING:
    from shared.mongo import Client
    from tests.identities import Identities
    from tests.integration.auth.conftest import Auth


@pytest.fixture
def environment(mongo_url: str, identities: Identities) -> dict[str, str]:
    """All that the command needs."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    return others | {
        "PENSTOCK_MONGO_URL": mongo_url,
        "PENSTOCK_KEY_PEPPER_FILE": str(identities.key_pepper_file),
        "PENSTOCK_SEALING_KEY_FILE": str(identities.signing_seal_file),
    }


async def bootstrap(environment: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    """Runs the command; its status, what it printed, and what it logged."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.auth.bootstrap", *arguments),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(150):
        out, errors = await process.communicate()
    return process.returncode or 0, out.decode(), errors.decode()


async def test_it_makes_a_tenant_and_prints_the_secret_of_its_key_alone(
    environment: dict[str, str], mongo: Client
) -> None:
    code, out, errors = await bootstrap(environment, "--tenant", "dev", "--name", "laptop")
    assert code == 0, errors
    secret = KeySecret.parse(out.removesuffix("\n"))
    assert secret is not None
    found = await MongoStore(mongo).find_key(secret.prefix)
    assert found is not None
    assert found.tenant is not None
    assert (found.key.tenant, found.key.name, found.tenant.name) == ("dev", "laptop", "dev")
    assert found.key.scopes == ADMIN_SCOPES
    assert secret.reveal() not in errors


async def test_what_it_makes_stands_in_the_audit(environment: dict[str, str], mongo: Client) -> None:
    for name in ("one", "two"):
        await bootstrap(environment, "--tenant", "dev", "--name", name)
    keys = await MongoStore(mongo).keys("dev", limit=10)
    entries = await MongoAuditStore(mongo).list("dev", AuditFilter(), after=None, limit=10)
    assert [(entry.target.kind, entry.target.id) for entry in entries] == [
        *(("key", key.id) for key in keys),
        ("tenant", "dev"),
    ]
    assert {(entry.actor.id, entry.action, entry.outcome) for entry in entries} == {
        ("auth.bootstrap", "auth.bootstrap", "OK")
    }


async def test_its_key_opens_the_gateway(auth: Auth, environment: dict[str, str], identities: Identities) -> None:
    _, out, _ = await bootstrap(environment, "--tenant", "dev", "--name", "laptop", "--operator")
    token = identity_of(await auth.check(out.strip()))
    assert token is not None
    assert identities.verifier().verify(token).scopes == frozenset(Scope)


async def test_run_again_it_makes_another_key_of_the_same_tenant(environment: dict[str, str], mongo: Client) -> None:
    first = await bootstrap(environment, "--tenant", "dev", "--name", "one", "--scopes", "jobs:read")
    tenant = await MongoStore(mongo).tenant("dev")
    second = await bootstrap(environment, "--tenant", "dev", "--name", "two", "--scopes", "jobs:read, jobs:write")
    assert first[1] != second[1]
    keys = await MongoStore(mongo).keys("dev", limit=10)
    assert [(key.name, sorted(key.scopes)) for key in keys] == [
        ("two", ["jobs:read", "jobs:write"]),
        ("one", ["jobs:read"]),
    ]
    assert await MongoStore(mongo).tenant("dev") == tenant


async def test_wrong_arguments_are_named_and_nothing_is_made(environment: dict[str, str], mongo: Client) -> None:
    wrong = ("--tenant", "Not A Slug", "--name", "", "--scopes", "jobs:read,nonsense")
    code, out, errors = await bootstrap(environment, *wrong)
    assert (code, out) == (1, "")
    assert all(f"{path}: " in errors for path in ("name", "scopes[1]", "tenant"))
    assert "Traceback" not in errors
    assert "auth" not in await mongo.list_database_names()


async def test_it_gives_up_on_a_database_that_does_not_come(identities: Identities) -> None:
    config = BootstrapConfig(
        mongo_url=Secret("mongodb://127.0.0.1:1/"),
        key_pepper=Secret(identities.key_pepper_file.read_text()),
        sealing_key=Secret(identities.signing_seal_file.read_text().strip()),
    )
    order = KeyOrder(tenant="dev", name="laptop", scopes=("jobs:read",))
    with pytest.raises(Unavailable, match="PENSTOCK_MONGO_URL"):
        await bootstrap_.bootstrap(config, order, clock=SystemClock(), patience=timedelta(milliseconds=300))


async def test_without_its_settings_it_says_which_are_missing(environment: dict[str, str]) -> None:
    del environment["PENSTOCK_MONGO_URL"]
    code, out, errors = await bootstrap(environment, "--tenant", "dev", "--name", "x")
    assert (code, out) == (2, "")
    assert "PENSTOCK_MONGO_URL is not set" in errors
