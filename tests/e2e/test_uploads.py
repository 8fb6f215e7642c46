"""Large things through Envoy, as their caller sees them."""

from __future__ import annotations

import hashlib
import http.client
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from shared import ids
from tests.e2e.api import Api

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.e2e.mesh import Mesh

BODY = os.urandom(300_000)


@pytest.fixture(scope="module")
def api(mesh: Mesh) -> Api:
    return Api(mesh.url, mesh.new_key("uploaders"))


def create(api: Api, body: bytes = BODY, **changes: Any) -> dict[str, Any]:
    told = {"size": len(body), "sha256": hashlib.sha256(body).hexdigest(), "contentType": "image/png"} | changes
    answer = api.call("POST", "/api/v1/uploads", told)
    assert answer.status == 200, answer.body
    return answer.json


def send(put: Mapping[str, Any], body: bytes) -> int:
    """What becomes of a PUT of someone who has no key and nothing but the link."""
    url = urlsplit(put["url"])
    connection = http.client.HTTPConnection(url.netloc, timeout=30)
    try:
        connection.request("PUT", f"{url.path}?{url.query}", body=body, headers=dict(put["headers"]))
        return connection.getresponse().status
    finally:
        connection.close()


def test_an_upload_is_created_sent_without_a_key_and_completed(api: Api, mesh: Mesh) -> None:
    upload = create(api)
    assert ids.is_upload_id(upload["id"])
    assert (upload["state"], upload["size"], upload["contentType"]) == ("PENDING", str(len(BODY)), "image/png")
    assert urlsplit(upload["put"]["url"]).netloc == mesh.layout.address("objects")  # past every service
    path = f"/api/v1/uploads/{upload['id']}"
    early = api.call("POST", f"{path}:complete", {})
    assert (early.status, early.reason) == (400, "UPLOAD_INCOMPLETE"), early.body

    assert send(upload["put"], BODY[::-1]) == 400
    assert send(upload["put"], BODY[1:]) == 403
    assert send(upload["put"], BODY) == 200
    ready = api.call("POST", f"{path}:complete", {})
    assert ready.status == 200, ready.body
    assert (ready.json["state"], ready.json["sha256"]) == ("READY", upload["sha256"])
    assert "put" not in ready.json
    assert api.call("GET", path).json == ready.json

    other = Api(mesh.url, mesh.new_key("strangers"))
    assert (other.call("GET", path).status, other.call("DELETE", path).status) == (404, 404)
    assert Api(mesh.url).call("GET", path).status == 401
    assert api.call("DELETE", path).status == 200
    gone = api.call("GET", path)
    assert (gone.status, gone.reason) == (404, "UPLOAD_NOT_FOUND")


@pytest.mark.parametrize(
    ("told", "status", "reason", "fields"),
    [
        ({"size": 0}, 400, "INVALID_ARGUMENT", {"size"}),
        ({"size": 104_857_601}, 413, "TOO_LARGE", {"size"}),
        ({"sha256": "x", "contentType": "*/*"}, 400, "INVALID_ARGUMENT", {"sha256", "contentType"}),
        ({"contentTyp": "image/png"}, 400, "INVALID_ARGUMENT", {"contentTyp"}),
    ],
)
def test_a_request_that_is_wrong_is_refused_by_its_fields(
    api: Api, told: dict[str, Any], status: int, reason: str, fields: set[str]
) -> None:
    answer = api.call("POST", "/api/v1/uploads", {"size": 1, "sha256": "0" * 64} | told)
    assert (answer.status, answer.reason, answer.fields) == (status, reason, fields), answer.body


def test_params_of_one_mib_are_accepted(api: Api, mesh: Mesh) -> None:
    params = {"url": f"{mesh.far_end}/post", "text": "x" * (1024 * 1024 - 200)}
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    job = api.submit("http.post", params, notBefore=later)
    assert job["state"] == "QUEUED"
    assert api.call("POST", f"/api/v1/jobs/{job['id']}:cancel", {}).json["state"] == "CANCELED"
