"""The document of the API holds: whatever it lets a client send is answered as it says.

`make api-fuzz` goes on for longer.
"""

from __future__ import annotations

import json
import os
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.api import Api
from tests.e2e.document import left_out
from tests.e2e.document.calling import call_all

if TYPE_CHECKING:
    from tests.e2e.mesh import Mesh

#: Nobody else has anything to do with it.
TENANT = "documented"
#: As `make api-fuzz` has them.
_MINUTES = float(os.environ.get("API_FUZZ_MINUTES") or 0)
_SEED = int(os.environ.get("API_FUZZ_SEED") or 1)


@pytest.fixture(scope="module")
def document(mesh: Mesh) -> dict[str, Any]:
    with urllib.request.urlopen(f"{mesh.url}/openapi.json", timeout=10) as answer:
        return json.load(answer)


def test_what_is_left_out_is_in_the_document(document: dict[str, Any]) -> None:
    known = {operation["operationId"] for path in document["paths"].values() for operation in path.values()}
    named = {*left_out.WRONG_DATA_ALONE, *left_out.OPERATORS_ALONE, *left_out.PROVIDERS_ASKED}
    assert named - known == set()


@pytest.mark.timeout(300 + 120 * _MINUTES)
def test_every_operation_answers_as_the_document_says(
    mesh: Mesh, document: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    key = mesh.new_key(TENANT)
    (own,) = Api(mesh.url, key).call("GET", "/api/v1/keys").json["keys"]
    outcome = call_all(document, url=mesh.url, key=key, key_id=own["id"], seed=_SEED, minutes=_MINUTES)
    with capsys.disabled():
        print(f"\n{outcome.report()}, seed {_SEED}")  # noqa: T201  who runs it is to see what was called
    assert outcome.faults == {}
    assert outcome.statuses.keys() == {
        f"{verb.upper()} {path}" for path, operations in document["paths"].items() for verb in operations
    }
    assert Api(mesh.url, key).call("GET", "/api/v1/keys").status == 200
