"""The secrets of endpoints: what they sign, how they are rotated and tried, and that nobody reads them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.integration.webhooks.endpoint_api import (
    CANARY,
    SECRET,
    URL,
    Api,
    Headers,
    api_at,
    refused,
)
from tests.integration.webhooks.receiver import Answer
from tests.verifying import verify_v1a
from tests.waiting import eventually

if TYPE_CHECKING:
    from shared.mongo import Client
    from tests.integration.webhooks.conftest import Mesh
    from tests.integration.webhooks.receiver import Received

pytestmark = pytest.mark.usefixtures("no_stalls")


def verified(received: Received, secret: str) -> bool:
    """Whether the standard's own library takes it."""
    try:
        Webhook(secret).verify(received.body, dict(received.headers))
    except WebhookVerificationError:
        return False
    return True


async def test_old_and_new_secrets_sign_while_the_grace_lasts(api: Api, mesh: Mesh) -> None:
    created = await api.create(f"{mesh.receiver.url}/hook", secret=SECRET)
    made = created.endpoint
    assert created.secret.secret == SECRET
    before = datetime.now(UTC)
    rotated = await api.rotate(made.id)
    assert rotated.secret != SECRET
    grace = rotated.previous_expires_at.ToDatetime(tzinfo=UTC) - before
    assert timedelta(hours=23) < grace < timedelta(hours=25)
    assert await api.secret(made.id) == rotated
    assert list((await api.get(made.id)).public_keys) == [rotated.public_key, created.secret.public_key]
    await api.test(made.id)
    at_once = await api.rotate(made.id, grace=timedelta())
    assert not at_once.HasField("previous_expires_at")
    await api.test(made.id)
    during, after = mesh.receiver.at("/hook")
    for secret in (created.secret, rotated):
        assert verified(during, secret.secret)
        assert verify_v1a(secret.public_key, during.headers, during.body)
        assert not verified(after, secret.secret)
        assert not verify_v1a(secret.public_key, after.headers, after.body)
    assert verified(after, at_once.secret)
    assert verify_v1a(at_once.public_key, after.headers, after.body)
    assert list((await api.get(made.id)).public_keys) == [at_once.public_key]


async def test_a_test_sends_an_example_and_tells_what_the_receiver_has_said(api: Api, mesh: Mesh) -> None:
    headers = Headers(values={"X-Key": CANARY})
    created = await api.create(f"{mesh.receiver.url}/hook", headers=headers, enabled=False)
    mesh.receiver.answers["/hook"].append(Answer(status=503, headers={"x-said": "no"}, size=20_000))
    answer = await api.test(created.endpoint.id, "batch.finished")
    [received] = mesh.receiver.at("/hook")
    assert received.webhook_id == answer.webhook_id
    assert answer.webhook_id.startswith("test_")
    assert received.headers["x-key"] == CANARY
    assert received.message["type"] == "batch.finished"
    assert verified(received, created.secret.secret)
    attempt = answer.attempt
    assert (attempt.number, attempt.reason, attempt.status) == (1, "RECEIVER_STATUS", 503)
    assert attempt.response_headers["x-said"] == "no"
    assert (attempt.response_body, attempt.response_truncated) == (b"x" * 16_384, True)
    assert attempt.duration.ToTimedelta() > timedelta()
    assert (await api.test(created.endpoint.id)).attempt.reason == "OK"
    assert mesh.receiver.at("/hook")[1].message["type"] == "job.succeeded"
    assert not (await api.get(created.endpoint.id)).HasField("failing_since")


async def test_a_test_ends_in_time_and_a_410_disables_nothing(mesh: Mesh) -> None:
    async with mesh.running(attempt_timeout=timedelta(seconds=1)) as process, api_at(process, mesh.identities) as api:
        made = (await api.create(f"{mesh.receiver.url}/hook")).endpoint
        mesh.receiver.answers["/hook"] += [Answer(held=True), Answer(status=410)]
        assert (await api.test(made.id)).attempt.reason == "RECEIVER_TIMEOUT"
        assert (await api.test(made.id)).attempt.reason == "RECEIVER_GONE"
        assert await api.get(made.id) == made


async def _is_true(value: object) -> bool:
    return bool(value)


async def test_no_secret_is_in_the_database_the_log_or_what_is_shown(
    mesh: Mesh, mongo: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    async with mesh.running() as process, api_at(process, mesh.identities) as api:
        headers = Headers(values={"authorization": f"Bearer {CANARY}"})
        created = await api.create(f"{mesh.receiver.url}/hook", headers=headers, secret=SECRET)
        made = created.endpoint
        rotated = await api.rotate(made.id)
        shown = [made, await api.get(made.id), await api.update(made.id, description="x"), await api.enable(made.id)]
        await api.test(made.id)
        [job] = await mesh.ended_jobs()
        await eventually(lambda: _is_true(mesh.receiver.of_job(job)), what="the delivery")
        await refused(api.create(headers=headers, secret=f"{SECRET}x", url="http://10.0.0.1"))
        shown.append(await api.delete((await api.create(f"{URL}/2", headers=headers, secret=SECRET)).endpoint.id))
    secrets = [CANARY, SECRET, rotated.secret]
    keys = [base64.b64decode(secret.removeprefix("whsec_")) for secret in secrets[1:]]
    logged = capsys.readouterr()
    for secret in secrets:
        assert secret not in f"{shown}{logged.out}{logged.err}"
    dumped = 0
    for name in await mongo.list_database_names():
        for collection in await mongo[name].list_collection_names():
            if collection.startswith(("system.", "replset.")):  # the server's own, which nobody may read
                continue
            async for raw in mongo[name][collection].find_raw_batches({}):
                dumped += len(raw)
                for text in (*(secret.encode() for secret in secrets), *keys):
                    assert text not in raw, f"in {name}.{collection}"
                assert CANARY.encode() not in raw, f"in {name}.{collection}"
    assert dumped > 1000
