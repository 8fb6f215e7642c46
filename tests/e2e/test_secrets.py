"""A secret that goes through the mesh is found again nowhere: not in logs, errors, traces, settings or stores."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.local.programs import PROGRAMS, Tier
from tests.e2e.api import Api
from tests.waiting import eventually

if TYPE_CHECKING:
    from deploy.local.programs import Program
    from tests.e2e.mesh import Mesh

REPOSITORY = Path(__file__).parents[2]
CANARY = "canary-7f3a91c2e5d84b60-canary"
SERVICES = [program for program in PROGRAMS if program.tier is Tier.SERVICES]


async def test_secrets_of_callers_are_in_no_log_error_or_trace(mesh: Mesh) -> None:
    api = Api(mesh.url, mesh.key)
    made = api.call("POST", "/api/v1/keys", {"name": "canary", "scopes": ["jobs:read"]}).json
    secret = made["secret"]
    guess = "psk_live_" + "c4n4ry" * 5
    answers = [
        Api(mesh.url, secret).call("GET", "/api/v1/keys"),  # refused for its scopes
        Api(mesh.url, guess).call("GET", "/api/v1/keys"),
        Api(mesh.url, CANARY).call("GET", "/api/v1/keys"),
        api.call("GET", f"/api/v1/keys?pageToken={CANARY}"),
        api.call(
            "POST",
            "/api/v1/jobs",
            {
                "upstream": "http",
                "method": "http.get",
                "params": {"url": "http://10.0.0.1/", "headers": {"Authorization": CANARY}},
                "callbackUrl": "http://10.0.0.1/",
                "callbackSecret": CANARY,
            },
        ),
    ]
    assert [answer.status for answer in answers] == [403, 401, 401, 400, 400]
    job = api.submit(
        "http.post",
        {"url": f"{mesh.far_end}/status/500?token={CANARY}", "headers": {"X-Token": CANARY}, "text": CANARY},
        callbackUrl="https://client.example/hook",
        callbackSecret=CANARY,
    )
    ended = api.wait(job["id"])
    assert ended["state"] == "FAILED"
    assert CANARY not in str(ended)
    api.call("DELETE", f"/api/v1/keys/{made['key']['id']}")
    await eventually(lambda: mesh.collector.spans(job["traceId"]))

    for answer in answers:
        assert CANARY not in answer.body.decode()
        assert secret not in answer.body.decode()
    logs = {path.name: path.read_text(errors="replace") for path in mesh.layout.logs.iterdir()}
    assert "rpc_answered" in logs["intake.log"], "the logs are where this test looks for them"
    for name, text in logs.items():
        for canary in (CANARY, secret, guess, mesh.key):
            assert canary not in text, f"a secret is in {name}"
    spans = str(mesh.collector.spans())
    assert all(canary not in spans for canary in (CANARY, secret, guess, mesh.key))


async def test_a_callback_secret_lies_sealed_in_redis_and_nats(mesh: Mesh) -> None:
    api = Api(mesh.url, mesh.key)
    job = api.submit(
        "http.get",
        {"url": f"{mesh.far_end}/get"},
        callbackUrl="https://client.example/hook",
        callbackSecret="sealed-" + CANARY,
    )
    api.wait(job["id"])
    assert job["id"].encode() in await mesh.everything_in_redis()
    assert ("sealed-" + CANARY).encode() not in await mesh.everything_in_redis()
    assert job["id"].encode() in mesh.everything_in_nats()
    assert ("sealed-" + CANARY).encode() not in mesh.everything_in_nats()


@pytest.mark.parametrize("program", SERVICES, ids=lambda program: program.name)
def test_the_settings_are_shown_without_their_secrets(mesh: Mesh, program: Program) -> None:
    environment = dict(program.environment(mesh.layout))
    shown = subprocess.run(
        [sys.executable, "-m", f"services.{program.name}", "--print-config"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), **environment},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "PENSTOCK_SERVICE_KEY=***" in shown
    held = [
        Path(path).read_text().strip()
        for name, path in environment.items()
        if name.endswith("_FILE") and "IDENTITY" not in name
    ]
    assert held
    assert not any(secret in shown for secret in held)
