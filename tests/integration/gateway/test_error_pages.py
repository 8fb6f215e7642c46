"""The page on each reason, and that every error leads to its own."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from gateway.site.error_pages import PATH
from services.history import errors as history_errors
from services.webhooks import errors as webhooks_errors
from shared import errors
from shared.errors import PenstockError
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.integration.gateway.envoys import Answer, Envoy
    from tests.integration.gateway.stand_ins import Services

RAISED = [
    *errors.every_error(),
    *(
        error
        for module in (history_errors, webhooks_errors)
        for error in vars(module).values()
        if isinstance(error, type) and issubclass(error, PenstockError) and error.__module__ == module.__name__
    ),
]
FROM_THE_GATEWAY = {
    "ROUTE_NOT_FOUND": lambda site: site.call("GET", "/api/v1/nope"),
    "METHOD_NOT_ALLOWED": lambda site: site.call("PUT", "/api/v1/jobs", {}),
    "BAD_REQUEST": lambda site: site.call("GET", "/api/v1/jobs/j-1", {}),
    "UNSUPPORTED_MEDIA_TYPE": lambda site: site.call(
        "POST", "/api/v1/jobs", b"<a/>", headers={"content-type": "a/xml"}
    ),
    "TOO_LARGE": lambda site: site.call("POST", "/api/v1/jobs", b" " * (site.settings.max_body_bytes + 1)),
    "UNAUTHENTICATED": lambda site: site.call("GET", "/api/v1/jobs/j-1", key="bad"),
    "INVALID_ARGUMENT": lambda site: site.call("POST", "/api/v1/jobs", {"nope": 1}),
}


@pytest.fixture
async def pages(site: Envoy) -> Envoy:
    """The site, once it answers."""

    async def answer() -> bool:
        return site.call("GET", PATH, key=None).status == 200

    await eventually(answer, what="the site")
    return site


def _raises(error: PenstockError) -> Callable[[object], Awaitable[None]]:
    async def answer(request: object) -> None:
        raise error

    return answer


def _page_behind(site: Envoy, answer: Answer) -> Answer:
    assert answer.error
    page = site.call("GET", urlsplit(answer.page).path, key=None)
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert f"<h1>{answer.info['reason']}</h1>" in page.body.decode()
    assert "<h2>What to do</h2>" in page.body.decode()
    return page


async def test_every_error_of_a_service_leads_to_its_page(pages: Envoy, services: Services) -> None:
    for error_class in RAISED:
        services.answer = _raises(error_class("what was wrong"))  # type: ignore[assignment]  it answers with no job
        answer = pages.call("GET", "/api/v1/jobs/j-1")
        assert answer.info["reason"] == error_class.reason
        _page_behind(pages, answer)


@pytest.mark.parametrize("reason", FROM_THE_GATEWAY)
async def test_every_error_of_the_gateway_leads_to_its_page(pages: Envoy, services: Services, reason: str) -> None:
    answer = FROM_THE_GATEWAY[reason](pages)
    assert answer.info["reason"] == reason
    _page_behind(pages, answer)


async def test_a_page_runs_nothing_and_loads_nothing_from_elsewhere(pages: Envoy) -> None:
    page = pages.call("GET", f"{PATH}/QUEUE_FULL", key=None)
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert b"<script" not in page.body
    assert b"https://" not in page.body
    assert b"Retry-After" in page.body
    assert {"accept", "accept-encoding"} <= set(page.headers["vary"].lower().split(", "))
    again = pages.call("GET", f"{PATH}/QUEUE_FULL", key=None, headers={"if-none-match": page.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


async def test_the_index_leads_to_every_page(pages: Envoy) -> None:
    listed = pages.call("GET", PATH, key=None, headers={"accept": "application/json"}).json
    index = pages.call("GET", PATH, key=None).body.decode()
    assert len(listed) > 60
    assert [each["name"] for each in listed if f'href="{PATH}/{each["name"]}"' not in index] == []


async def test_a_program_gets_json(pages: Envoy) -> None:
    answer = pages.call("GET", f"{PATH}/JOB_NOT_FOUND", key=None, headers={"accept": "application/json"})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert (answer.json["http_status"], answer.json["retry"]) == (404, False)


@pytest.mark.parametrize("asked", ["job_not_found", "Job-Not-Found"])
async def test_a_reason_in_other_letters_is_led_to_its_page(pages: Envoy, asked: str) -> None:
    answer = pages.call("GET", f"{PATH}/{asked}", key=None)
    assert (answer.status, answer.headers["location"]) == (301, f"{PATH}/JOB_NOT_FOUND")


async def test_an_unknown_reason_is_a_page_with_near_ones(pages: Envoy) -> None:
    answer = pages.call("GET", f"{PATH}/JOB_NOT_FUND", key=None)
    assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert f'href="{PATH}/JOB_NOT_FOUND"' in answer.body.decode()
    answer = pages.call("GET", f"{PATH}/%3Cscript%3Ealert(1)%3C%2Fscript%3E", key=None)
    assert answer.status in {400, 404}
    assert b"<script" not in answer.body
