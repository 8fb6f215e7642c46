"""Secrets in any output: whatever one goes through, it is found again in nothing that is kept, shown or answered."""

from __future__ import annotations

import re
import stat
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from deploy.local.programs import PROGRAMS, Tier
from tests.e2e.api import TIMEOUT_S, Api
from tests.e2e.attacks.tenants import made
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.e2e.mesh import Mesh

#: How a token begins that says what ours say (`{"alg":"EdDSA`), in base64.
_TOKEN = re.compile(rb"eyJhbGciOiJFZERTQSIs[\w-]+\.[\w-]+\.[\w-]+")
SERVICES = [program.name for program in PROGRAMS if program.tier is Tier.SERVICES]


@pytest.fixture(scope="module")
def secrets(mesh: Mesh, intruder: Api) -> Mapping[str, str]:
    """Secrets that have been made, shown, used, replaced and refused by now, each by its name."""
    created = made(intruder, "/api/v1/keys", {"name": "kept", "scopes": ["jobs:read", "keys:read"]})
    rotated = made(intruder, f"/api/v1/keys/{created['key']['id']}:rotate", {})
    lapsed = made(intruder, f"/api/v1/keys/{created['key']['id']}:rotate", {"gracePeriod": "0s"})
    held = {
        "a key's first secret": created["secret"],
        "its second one": rotated["secret"],
        "its last one": lapsed["secret"],
        "a key that is none": "psk_live_" + "N0nEx1sT" * 3 + "abcdef",
        "the maker's": str(intruder.key),
        "a callback's": "a-callback-secret-of-one-job-4c2e",
        "a header's that is no text": "a-secret-beside-bytes-9d1c",
        "the tenant's callbacks'": intruder.call("GET", "/api/v1/callbackSecret").json["secret"],
    }
    for name, secret in held.items():
        if secret.startswith("psk_"):
            api = Api(mesh.url, secret)
            api.call("GET", "/api/v1/keys")
            api.call("GET", f"/api/v1/jobs?pageToken={secret}")
            api.call("POST", "/api/v1/jobs", {"upstream": "http", name: secret})
            Api(mesh.url).call("GET", "/api/v1/keys", headers={"X-API-Key": secret, "Authorization": "Bearer other"})
    no_text = held["a header's that is no text"] + "\xff"
    for path in ("/api/v1/keys", "/api/v1/jobs", "/api/v1/upstreams", "/api/v1/queues", "/api/v1/callbackSecret"):
        assert intruder.call("GET", path, headers={"X-Note": no_text, "Cookie": no_text}).status == 200
    job = intruder.submit(
        "http.get",
        {"url": f"{mesh.far_end}/get"},
        callbackUrl="https://client.example/hook",
        callbackSecret=held["a callback's"],
    )
    assert intruder.wait(job["id"])["state"] == "SUCCEEDED"
    return held


def of_the_mesh(mesh: Mesh) -> dict[str, str]:
    """What programs are told in confidence, by its file: keys, the pepper, passwords."""
    files = [path for path in mesh.layout.secrets.iterdir() if path.is_file()]
    lines = {f"{path.name}:{n}": line for path in files for n, line in enumerate(path.read_text().split("\n"))}
    held = {
        name: line.strip()
        for name, line in lines.items()
        if len(line) >= 24 and "-----" not in line and not name.startswith("identity-keys")  # those are public
    }
    assert len({name.partition(":")[0] for name in held}) > len(SERVICES)  # one's key each, and what servers are told
    return held


def found(secrets: Mapping[str, str], text: bytes) -> list[str]:
    """The names of the secrets that stand in a text."""
    return [name for name, secret in secrets.items() if secret.encode() in text]


async def test_no_secret_lies_in_any_store(mesh: Mesh, secrets: Mapping[str, str]) -> None:
    stores = {
        "redis": await mesh.everything_in_redis(),
        "nats": mesh.everything_in_nats(),
        "mongo": await mesh.everything_in_mongo(),
        "objects": b"\n".join(
            path.read_bytes() for path in (mesh.layout.data / "objects").rglob("*") if path.is_file()
        ),
    }
    assert b"'prefix': 'psk_live_" in stores["mongo"], "keys are where this test looks for their secrets"
    for name, text in stores.items():
        assert text, name
        assert found(secrets, text) == [], name
        assert _TOKEN.search(text) is None, name


def test_no_secret_is_logged(mesh: Mesh, secrets: Mapping[str, str]) -> None:
    logs = {path.name: path.read_bytes() for path in mesh.layout.logs.iterdir()}
    assert b"key_refused" in logs["auth.log"], "the refusals are where this test looks for secrets"
    for name, text in logs.items():
        assert found(secrets | of_the_mesh(mesh), text) == [], name
        assert _TOKEN.search(text) is None, name


async def test_no_secret_is_traced(mesh: Mesh, secrets: Mapping[str, str]) -> None:
    spans = await eventually(lambda: str(mesh.collector.spans()).encode())
    assert found(secrets | of_the_mesh(mesh), spans) == []
    assert _TOKEN.search(spans) is None


@pytest.mark.parametrize("program", SERVICES)
def test_no_secret_is_measured(mesh: Mesh, secrets: Mapping[str, str], program: str) -> None:
    with urllib.request.urlopen(
        f"http://{mesh.layout.address(f'{program}_metrics')}/metrics", timeout=TIMEOUT_S
    ) as page:
        text = page.read()
    assert b"penstock_" in text
    assert found(secrets | of_the_mesh(mesh), text) == []
    assert b"intruder" not in text  # nor a tenant: labels are of bounded size


@pytest.mark.parametrize("path", ["config_dump?include_eds", "stats", "clusters", "listeners", "server_info"])
def test_no_secret_is_in_what_envoy_tells_of_itself(mesh: Mesh, secrets: Mapping[str, str], path: str) -> None:
    with urllib.request.urlopen(f"http://{mesh.layout.address('gateway_admin')}/{path}", timeout=TIMEOUT_S) as answer:
        assert found(secrets | of_the_mesh(mesh), answer.read()) == []


def test_no_secret_stands_in_a_command_or_in_its_environment(mesh: Mesh, secrets: Mapping[str, str]) -> None:
    pids = {name: pid for name, pid in mesh.pids.items() if pid}
    assert set(SERVICES) <= set(pids)
    for name, pid in pids.items():
        for part in ("cmdline", "environ"):
            assert found(secrets | of_the_mesh(mesh), Path(f"/proc/{pid}/{part}").read_bytes()) == [], (name, part)


def test_what_is_secret_on_disk_is_its_owners_alone(mesh: Mesh) -> None:
    for path in (mesh.layout.secrets, *mesh.layout.secrets.rglob("*"), mesh.layout.client_settings):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_no_answer_holds_a_secret_but_the_one_that_tells_it(
    mesh: Mesh, intruder: Api, secrets: Mapping[str, str]
) -> None:
    jobs = [job["id"] for job in intruder.call("GET", "/api/v1/jobs").json["jobs"]]
    keys = [key["id"] for key in intruder.call("GET", "/api/v1/keys").json["keys"]]
    paths = [
        *("/api/v1/keys", "/api/v1/jobs", "/api/v1/queues", "/api/v1/queues/http?lanes=100", "/api/v1/upstreams"),
        *(f"/api/v1/jobs/{job}" for job in jobs),
        *(f"/api/v1/jobs/{job}:explain" for job in jobs),
        *(f"/api/v1/keys/{key}" for key in keys),
        *(f"/api/v1/keys/{key}/usage" for key in keys),
        *("/readyz", "/healthz", "/nowhere"),
    ]
    for path in paths:
        answer = intruder.call("GET", path)
        text = f"{answer.headers}{answer.body.decode(errors='replace')}".encode()
        assert found(secrets | of_the_mesh(mesh), text) == [], path
        assert _TOKEN.search(text) is None, path
