"""The samples of the OpenAPI document, each run as a reader runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from deploy.openapi.document import PATH
from tests.e2e.api import Api

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.e2e.mesh import Mesh

_DOCUMENT = json.loads(PATH.read_text(encoding="utf-8"))
_SAMPLES = [
    pytest.param(operation["operationId"], sample, id=f"{operation['operationId']} {sample['label']}")
    for item in _DOCUMENT["paths"].values()
    for operation in item.values()
    for sample in operation.get("x-codeSamples", ())
]
#: What runs a sample's file, and how its name ends.
_RUN: Mapping[str, tuple[tuple[str, ...], str]] = {
    "curl": (("bash",), ".sh"),
    "Python": ((sys.executable,), ".py"),
    "JavaScript": (("node",), ".mjs"),
}
_JOB = "http-0198c6f2-6d3c-7abc-8def-0123456789ab"
_BATCH = "batch_0198c6f2-6d3c-7abc-8def-0123456789ab"


@pytest.fixture(scope="module")
def real(mesh: Mesh) -> dict[str, dict[str, str]]:
    """What samples name, and what there is in its place, by operation; "" is of all of them."""

    api = Api(mesh.url, mesh.key)
    page = f"{mesh.far_end}/get"
    call = {"upstream": "http", "method": "http.get", "params": {"url": page}}
    ended = api.call("POST", "/api/v1/jobs", call).json["id"]
    waiting = api.call("POST", "/api/v1/jobs", {**call, "notBefore": _tomorrow()}).json["id"]
    batch = api.call("POST", "/api/v1/batches", {"jobs": [call]}).json["id"]
    assert api.call("GET", f"/api/v1/jobs/{ended}:wait").json["state"] == "SUCCEEDED"
    pages = {f"https://example.com/{name}": page for name in ("1", "2", "")}
    return {"": {_JOB: ended, _BATCH: batch, **pages}, "JobService_CancelJob": {_JOB: waiting}}


def _told(operation: str) -> set[str]:
    """The fields that the document has of an operation's answer."""
    (found,) = (
        each for item in _DOCUMENT["paths"].values() for each in item.values() if each["operationId"] == operation
    )
    content = found["responses"]["200"]["content"]
    if "application/json" not in content:
        return {"args", "headers", "origin", "url"}  # the bytes of what was called
    name = content["application/json"]["schema"]["$ref"].rpartition("/")[2]
    return set(_DOCUMENT["components"]["schemas"][name]["properties"])


def _tomorrow() -> str:
    return (datetime.now(UTC) + timedelta(days=1)).isoformat()


@pytest.mark.parametrize(("operation", "sample"), _SAMPLES)
def test_each_sample_does_what_it_shows(
    mesh: Mesh, real: dict[str, dict[str, str]], tmp_path: Path, operation: str, sample: Mapping[str, str]
) -> None:
    source = sample["source"]
    for named, found in (real[""] | real.get(operation, {})).items():
        source = source.replace(named, found)
    command, ending = _RUN[sample["label"]]
    path = tmp_path / f"sample{ending}"
    path.write_text(source, encoding="utf-8")
    environment = {**os.environ, "PENSTOCK_URL": mesh.url, "PENSTOCK_API_KEY": mesh.key}
    done = subprocess.run(
        [*command, str(path)], env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(json.loads(done.stdout)) <= _told(operation)
