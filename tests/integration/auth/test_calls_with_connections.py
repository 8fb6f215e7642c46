"""Jobs called with connections: a real worker, a real auth, and a provider whose API they call."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from services.auth.__main__ import serve
from services.auth.connections.domain import BearerToken, ReauthPolicy, State
from services.upstream import connections as connections_
from shared.clock import SystemClock
from shared.streams import CONNECTION_CHANGED_SIGNAL
from tests.fakes import far_end as far_end_
from tests.fakes.refreshing import sealed_connection
from tests.integration.auth.refreshing import Shop, shop
from tests.integration.upstream.mesh import Mesh
from tests.integration.upstream.scheduler import SchedulerStandIn
from tests.service import running
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from services.auth.config import Config
    from services.auth.connections.domain import Connection
    from shared.bus import Bus
    from shared.mongo import Client
    from tests.identities import Identities

pytestmark = pytest.mark.usefixtures("no_stalls")


@pytest.fixture
async def scene(config: Config, mongo: Client, bus: Bus, identities: Identities, tmp_path: Path) -> AsyncIterator[Shop]:
    async with shop(config, mongo, bus, identities, tmp_path) as scene:
        yield scene


@pytest.fixture
async def mesh(scene: Shop, bus: Bus, identities: Identities, nats_url: str) -> AsyncIterator[Mesh]:
    scheduler = SchedulerStandIn(identities)
    await scheduler.start()
    async with far_end_.far_end() as far:
        yield Mesh(scheduler, bus, far, identities, nats_url)
    await scheduler.stop()


@asynccontextmanager
async def at_work(scene: Shop, mesh: Mesh) -> AsyncGenerator[None]:
    """A replica of auth, and a worker that asks it."""
    async with running("auth", serve, scene.config) as auth, mesh.running(auth_address=auth):
        yield


async def deleted(scene: Shop, connection: Connection) -> None:
    await scene.store.delete("acme", connection.id, connection.created_at)
    await scene.bus.signal(CONNECTION_CHANGED_SIGNAL, connection.id.encode())


def resource(scene: Shop) -> str:
    return f"{scene.provider.url}/resource"


async def test_a_job_is_called_with_its_connections_token(scene: Shop, mesh: Mesh) -> None:
    connection = await scene.connected()
    async with at_work(scene, mesh):
        attempt = await mesh.outcome(await mesh.scheduler.put("get", resource(scene), connection=connection.id))
        assert json.loads(attempt.result.inline.text) == {"user": "ada", "scope": "read"}
        without = await mesh.outcome(await mesh.scheduler.put("get", resource(scene)))
        assert (without.error.reason, without.error.upstream_status) == ("UPSTREAM_STATUS", 401)


@pytest.mark.parametrize("method", ["get", "post"])
async def test_a_refused_token_is_replaced_within_the_attempt(scene: Shop, mesh: Mesh, method: str) -> None:
    connection = await scene.connected()
    scene.consent.access_tokens.clear()
    async with at_work(scene, mesh):
        attempt = await mesh.outcome(await mesh.scheduler.put(method, resource(scene), connection=connection.id))
    assert attempt.result.inline.status == 200
    assert scene.provider.calls("/resource") == 2
    assert scene.provider.calls("/token") == 1
    assert len(mesh.scheduler.begun) == (method == "post")


@pytest.mark.parametrize("policy", list(ReauthPolicy))
@pytest.mark.parametrize("method", ["get", "post"])
async def test_a_consent_that_was_taken_back_fails_the_jobs_or_has_them_wait(
    scene: Shop, mesh: Mesh, policy: ReauthPolicy, method: str
) -> None:
    connection = await scene.connected(reauth_policy=policy)
    scene.provider.revoke_all()
    async with at_work(scene, mesh):
        called = await mesh.outcome(await mesh.scheduler.put(method, resource(scene), connection=connection.id))
        later = await mesh.outcome(await mesh.scheduler.put(method, resource(scene), connection=connection.id))
    waits = policy is ReauthPolicy.WAIT
    for attempt in (called, later):
        assert attempt.error.reason == "CONNECTION_NEEDS_REAUTH"
        assert (attempt.error.retryable, attempt.uncounted, attempt.outcome_unknown) == (waits, waits, False)
        assert "invalid_grant" in attempt.error.message
    assert (called.error.upstream_status, later.error.upstream_status) == (401, 0)
    assert scene.provider.calls("/resource") == 1
    assert (await scene.record(connection)).state is State.NEEDS_REAUTH


async def test_a_status_that_refuses_a_secret_fails_its_job_and_leaves_the_connection(scene: Shop, mesh: Mesh) -> None:
    host = scene.provider.url.removeprefix("http://")
    connection = await sealed_connection(
        scene.store, scene.vault, BearerToken(token="t0p-s3cret"), SystemClock(), hosts=(host,)
    )
    async with at_work(scene, mesh):
        attempt = await mesh.outcome(await mesh.scheduler.put("get", resource(scene), connection=connection.id))
    assert (attempt.error.reason, attempt.error.upstream_status) == ("UPSTREAM_STATUS", 401)
    assert "t0p-s3cret" not in attempt.error.message
    assert scene.provider.calls("/resource") == 1
    assert (await scene.record(connection)).state is State.ACTIVE


@pytest.mark.parametrize("policy", list(ReauthPolicy))
async def test_a_connection_that_is_deleted_while_its_jobs_are_queued_fails_them(
    scene: Shop, mesh: Mesh, policy: ReauthPolicy
) -> None:
    connection = await scene.connected(reauth_policy=policy)
    async with at_work(scene, mesh):
        await mesh.outcome(await mesh.scheduler.put("get", resource(scene), connection=connection.id))
        await deleted(scene, connection)

        async def refused() -> bool:
            attempt = await mesh.outcome(await mesh.scheduler.put("get", resource(scene), connection=connection.id))
            return attempt.error.reason == "CONNECTION_NOT_FOUND" and not attempt.error.retryable

        await eventually(refused, within=15)


async def test_a_connection_that_is_deleted_between_lease_and_call_fails_the_call(scene: Shop, mesh: Mesh) -> None:
    connection = await scene.connected()
    gone: list[asyncio.Task[None]] = []

    async def delete() -> None:
        await deleted(scene, connection)

    def begin(_: str) -> None:
        scene.provider.held.add("/resource")
        scene.provider.revoke_all()
        gone.append(asyncio.create_task(delete()))

    mesh.scheduler.on_begin = begin
    async with at_work(scene, mesh):
        job = await mesh.scheduler.put("post", resource(scene), connection=connection.id)
        await eventually(lambda: scene.provider.calls("/resource"))
        await gone[0]
        scene.provider.release.set()
        attempt = await mesh.outcome(job)
    assert (attempt.error.reason, attempt.outcome_unknown) == ("CONNECTION_NOT_FOUND", False)


async def test_a_job_waits_for_an_auth_that_is_away_for_a_moment(scene: Shop, mesh: Mesh) -> None:
    connection = await scene.connected()
    async with running("auth", serve, scene.config) as auth:
        address = auth
    async with mesh.running(auth_address=address):
        waited = connections_.LOOKUPS.labels("auth")._value.get()
        job = await mesh.scheduler.put("get", resource(scene), connection=connection.id)
        await eventually(lambda: connections_.LOOKUPS.labels("auth")._value.get() > waited)
        async with running("auth", serve, replace(scene.config, grpc_address=address)):
            attempt = await mesh.outcome(job)
    assert attempt.result.inline.status == 200


async def test_a_job_that_cannot_have_its_credential_costs_no_attempt(
    scene: Shop, mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections_.Connections.__init__.__kwdefaults__, "patience", connections_.PATIENCE / 50)
    connection = await scene.connected()
    async with mesh.running(auth_address="127.0.0.1:1"):
        for method in ("get", "post"):
            attempt = await mesh.outcome(await mesh.scheduler.put(method, resource(scene), connection=connection.id))
            assert (attempt.error.reason, attempt.error.retryable, attempt.uncounted) == ("UNAVAILABLE", True, True)
    assert scene.provider.calls("/resource") == 0


async def test_no_secret_is_in_what_is_logged_or_told(
    scene: Shop, mesh: Mesh, capsys: pytest.CaptureFixture[str]
) -> None:
    connection = await scene.connected()
    async with at_work(scene, mesh):
        for _ in range(2):
            await mesh.outcome(await mesh.scheduler.put("post", resource(scene), connection=connection.id))
            scene.consent.access_tokens.clear()
        other = await scene.connected()
        scene.provider.revoke_all()
        told = await mesh.outcome(await mesh.scheduler.put("post", resource(scene), connection=other.id))
    assert told.error.reason == "CONNECTION_NEEDS_REAUTH"
    tokens = {form.get("refresh_token", "") for _, form in scene.provider.asked} | set(scene.consent.refresh_tokens)
    secrets = tokens | set(scene.provider.clients.values())
    out = capsys.readouterr()
    seen = f"{out.out}{out.err}{await mesh.outcomes()}{await scene.record(connection)!r}"
    assert "connection_refreshed" in seen
    assert not [secret for secret in secrets if secret and secret in seen]
