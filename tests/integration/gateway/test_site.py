"""The site process behind Envoy: `/readyz` before services that come and go, and the pages for people."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.integration.gateway.envoys import Envoy
    from tests.integration.gateway.stand_ins import Services


async def _readyz(site: Envoy) -> Any:
    async def answer() -> Any:
        found = site.call("GET", "/readyz", key=None)
        assert "services" in found.json
        return found

    return await eventually(answer, what="the site")


async def test_each_service_and_dependency_is_named(site: Envoy, services: Services) -> None:
    answer = await _readyz(site)
    assert answer.status == 503
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["retry-after"] == "1"
    assert answer.json == {
        "status": "not ready",
        "services": {
            "intake": {"ready": True, "dependencies": {"redis": True}},
            "away": {"ready": False, "dependencies": {}, "error": "is not reachable"},
        },
    }
    assert services.checks == 0


async def test_a_lost_dependency_is_named(site: Envoy, all_services: Services) -> None:
    assert all_services.health is not None
    all_services.dependencies["redis"] = False
    try:
        await all_services.health.check_dependencies()
        answer = await _readyz(site)
        assert answer.json["services"]["intake"] == {"ready": False, "dependencies": {"redis": False}}
    finally:
        all_services.dependencies["redis"] = True
        await all_services.health.check_dependencies()


async def test_the_site_answers_head(site: Envoy) -> None:
    await _readyz(site)
    answer = site.call("HEAD", "/readyz", key=None)
    assert (answer.status, answer.body) == (503, b"")


async def test_the_document_of_the_api_is_served_in_both_forms(site: Envoy) -> None:
    await _readyz(site)
    as_json = site.call("GET", "/openapi.json", key=None)
    as_yaml = site.call("GET", "/openapi.yaml", key=None)
    assert (as_json.status, as_json.headers["content-type"]) == (200, "application/json")
    assert (as_yaml.status, as_yaml.headers["content-type"]) == (200, "application/yaml")
    assert as_json.json["openapi"] == "3.1.0"
    assert yaml.load(as_yaml.body, Loader=yaml.CSafeLoader) == as_json.json
    for answer in (as_json, as_yaml):
        assert answer.headers["cache-control"] != "no-store"
        path = "/openapi.json" if answer is as_json else "/openapi.yaml"
        again = site.call("GET", path, key=None, headers={"if-none-match": answer.headers["etag"]})
        assert (again.status, again.body) == (304, b"")


async def test_the_root_leads_to_the_docs_wherever_the_gateway_stands(site: Envoy, services: Services) -> None:
    await _readyz(site)
    answer = site.call("GET", "/", key=None, headers={"host": "evil.example"})
    assert (answer.status, answer.headers["location"]) == (302, "/docs")
    page = site.call("GET", "/docs", key=None)
    assert (page.status, page.headers["cache-control"]) == (200, "no-cache")
    assert "default-src 'none'; style-src 'self'" in page.headers["content-security-policy"]
    again = site.call("GET", "/docs", key=None, headers={"if-none-match": page.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert (services.checks, services.received) == (0, [])


async def test_a_pages_files_may_be_kept_for_good(site: Envoy) -> None:
    await _readyz(site)
    (sheet,) = re.findall(rb'href="(/docs/assets/[^"]+penstock.css)"', site.call("GET", "/docs", key=None).body)
    file = site.call("GET", sheet.decode(), key=None, headers={"accept-encoding": "gzip"})
    assert (file.status, file.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert (file.headers["content-encoding"], "immutable" in file.headers["cache-control"]) == ("gzip", True)


@pytest.mark.parametrize(
    "path",
    [
        "/docs/assets/penstock.css",
        "/docs/assets/../../config.py",
        "/docs/assets/%2e%2e/%2e%2e/config.py",
        "/docs/assets/..%2f..%2fconfig.py",
        "/docs//etc/passwd",
        "/docs/errors/NOPE/..",
    ],
)
async def test_nothing_else_on_disk_is_a_page(site: Envoy, path: str) -> None:
    await _readyz(site)
    answer = site.call("GET", path, key=None)
    assert answer.status in {400, 404}
    assert answer.error["status"] in {"NOT_FOUND", "INVALID_ARGUMENT"}
