"""API1:2023 Broken object level authorization, at the object store: a signed link is good for one thing, by one verb.

What is large goes past every service, straight between the store and whoever has a link; so the store must hold to it.
"""

from __future__ import annotations

import http.client
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.e2e.api import TIMEOUT_S
from tests.e2e.attacks.tenants import CANARY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.e2e.attacks.tenants import Tenant
    from tests.e2e.mesh import Mesh


def asked(
    url: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> tuple[int, bytes]:
    """What anyone gets who has a link, or makes one up."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT_S)
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def link_of(tenant: Tenant) -> tuple[str, Mapping[str, str]]:
    """The link by which a tenant sends an upload that is pending, and what is sent with it."""
    pending = tenant.api.call("GET", f"/api/v1/uploads/{tenant.things['upload'][1]}").json
    return pending["put"]["url"], pending["put"]["headers"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "POST"])
def test_nothing_in_the_store_is_reached_without_a_link(mesh: Mesh, victim: Tenant, method: str) -> None:
    path = urlsplit(link_of(victim)[0]).path
    bucket = "/" + path.split("/")[1]
    ready = path.replace("incoming/", "uploads/").replace(victim.things["upload"][1], victim.things["upload"][0])
    assert ready != path
    store = mesh.layout.objects_url
    for where in (
        "/",
        bucket,
        f"{bucket}?list-type=2",
        f"{bucket}?acl",
        f"{bucket}?policy",
        path,
        ready,
        f"{ready}?acl",
    ):
        status, body = asked(store + where, method, body=b"x" if method in {"PUT", "POST"} else None)
        assert status in {400, 401, 403, 405, 411}, (method, where, status, body)
        assert CANARY.encode() not in body
        assert b"<Contents>" not in body  # what a list would have; a refusal names the key that was asked for


def test_a_link_leads_to_nothing_else(attacker: Tenant, victim: Tenant) -> None:
    url, headers = link_of(attacker)
    path = urlsplit(url).path
    own = attacker.things["upload"][1]
    assert own in path
    assert f"/{attacker.name}/" in path
    theirs = [
        path.replace(f"/{attacker.name}/", f"/{victim.name}/").replace(own, upload)
        for upload in victim.things["upload"]
    ]
    theirs += [each.replace("incoming/", "uploads/") for each in theirs]
    theirs += [
        path.replace(own, f"../{victim.name}/{victim.things['upload'][0]}"),
        path.replace(own, ""),
        "/",
        path + "/x",
    ]
    for other in theirs:
        for method in ("PUT", "GET", "DELETE"):
            status, body = asked(url.replace(path, other), method, headers, b"x" if method == "PUT" else None)
            assert status in {400, 403, 405}, (method, other, status, body)
    assert victim.api.call("GET", f"/api/v1/uploads/{victim.things['upload'][0]}").json["state"] == "READY"


def test_a_link_cannot_be_made_to_last_or_to_do_more(attacker: Tenant) -> None:
    url, headers = link_of(attacker)
    (expires,) = re.findall(r"X-Amz-Expires=(\d+)", url)
    changed = [
        url.replace(f"X-Amz-Expires={expires}", "X-Amz-Expires=604800"),
        re.sub(r"X-Amz-Date=\d+", "X-Amz-Date=20990101", url),
        re.sub(r"X-Amz-Signature=\w+", "X-Amz-Signature=" + "0" * 64, url),
        re.sub(r"&X-Amz-Signature=\w+", "", url),
        re.sub(r"X-Amz-SignedHeaders=[^&]+", "X-Amz-SignedHeaders=host", url),
        re.sub(r"X-Amz-Algorithm=[^&]+", "X-Amz-Algorithm=none", url),
    ]
    for each in changed:
        assert each != url
        assert asked(each, "PUT", headers, b"x")[0] in {400, 403}, each
    for method in ("GET", "HEAD", "DELETE", "POST"):
        assert asked(url, method, headers)[0] in {400, 403, 405}, method
