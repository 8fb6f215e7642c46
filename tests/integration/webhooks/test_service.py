"""What the service answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from penstock.webhooks.v1 import webhooks_pb2, webhooks_pb2_grpc
from standardwebhooks import Webhook

from tests.service import channel
from tests.verifying import verify_v1a

if TYPE_CHECKING:
    from shared.lifecycle import Process
    from tests.integration.webhooks.conftest import Mesh

pytestmark = pytest.mark.usefixtures("uncounted", "no_stalls")


async def ask(process: Process, token: str | None) -> webhooks_pb2.CallbackSecret:
    async with channel(f"127.0.0.1:{process.port}", token) as connection:
        stub = cast("Any", webhooks_pb2_grpc.CallbackSecretServiceStub(connection))
        return await stub.GetCallbackSecret(webhooks_pb2.GetCallbackSecretRequest(), timeout=5)


async def test_a_tenants_secret_is_its_own_and_the_same_in_every_replica(mesh: Mesh) -> None:
    async with mesh.running() as one, mesh.running() as other:
        acme = await ask(one, mesh.identities.mint("acme"))
        assert acme.secret.startswith("whsec_")
        assert acme.public_key.startswith("whpk_")
        assert await ask(other, mesh.identities.mint("acme")) == acme
        globex = await ask(one, mesh.identities.mint("globex"))
        assert globex.secret != acme.secret
        assert globex.public_key != acme.public_key


@pytest.mark.parametrize("own", ["", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
async def test_a_callback_verifies_with_its_secret_and_with_its_tenants_public_key(mesh: Mesh, own: str) -> None:
    async with mesh.running() as process:
        tenants = await ask(process, mesh.identities.mint("acme"))
        job_id = await mesh.finished_job(secret=own)
        await mesh.delivered(job_id)
    [received] = mesh.receiver.of_job(job_id)
    assert Webhook(own or tenants.secret).verify(received.body, dict(received.headers))["type"] == "job.succeeded"
    assert verify_v1a(tenants.public_key, received.headers, received.body)


@pytest.mark.parametrize(
    ("scopes", "code"),
    [(("jobs:read",), grpc.StatusCode.PERMISSION_DENIED), (None, grpc.StatusCode.UNAUTHENTICATED)],
)
async def test_the_secret_is_shown_to_nobody_else(
    mesh: Mesh, scopes: tuple[str, ...] | None, code: grpc.StatusCode
) -> None:
    token = mesh.identities.mint("acme", scopes) if scopes is not None else None
    async with mesh.running() as process:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask(process, token)
    assert refused.value.code() is code
