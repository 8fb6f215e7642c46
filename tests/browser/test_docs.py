"""`/docs` as a person uses it: with a key, from the first call to the result."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.e2e.api import Api

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Page

    from tests.browser.conftest import Visit
    from tests.e2e.mesh import Mesh

_PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
_DARK = {"color_scheme": "dark"}


def _open(visit: Visit, path: str = "/docs") -> Page:
    visit.page.goto(f"{visit.origin}{path}")
    expect(_operation(visit.page, "POST", "/api/v1/jobs")).to_be_visible()
    return visit.page


def _operation(page: Page, verb: str, path: str) -> Locator:
    summary = page.locator(f'.opblock-summary-path[data-path="{path}"]')
    return page.locator(f".opblock-{verb.lower()}").filter(has=summary)


def _authorize(page: Page, key: str) -> None:
    page.locator(".auth-wrapper .authorize").first.click()
    bearer = page.locator(".auth-container").filter(has_text=re.compile("bearer", re.IGNORECASE)).first
    bearer.locator("input").fill(key)
    bearer.get_by_role("button", name="Apply credentials").click()
    page.locator(".auth-btn-wrapper .btn-done").first.click()


def _answer(operation: Locator, status: int) -> str:
    live = operation.locator(".live-responses-table .response")
    expect(live.locator(".response-col_status")).to_have_text(re.compile(rf"^{status}"))
    return live.locator(".response-col_description .highlight-code code").first.inner_text()


def _execute(operation: Locator, status: int) -> str:
    operation.locator(".btn.execute").click()
    return _answer(operation, status)


def test_a_job_is_submitted_and_seen_to_its_end(visit: Visit, mesh: Mesh, pictures: Path) -> None:
    page = _open(visit, "/")
    assert page.url == f"{visit.origin}/docs"
    _authorize(page, mesh.key)

    submit = _operation(page, "POST", "/api/v1/jobs")
    submit.locator(".opblock-summary-control").click()
    call = {"upstream": "http", "method": "http.get", "params": {"url": f"{mesh.far_end}/json"}}
    submit.locator("textarea.body-param__text").fill(json.dumps(call))
    job = json.loads(_execute(submit, 200))
    assert job["state"] == "QUEUED"
    expect(submit.locator(".curl")).to_contain_text("curl -X 'POST'")
    page.screenshot(path=pictures / "submitted.png")
    submit.locator(".opblock-summary-control").click()

    wait = _operation(page, "GET", "/api/v1/jobs/{job_id}:wait")
    wait.locator(".opblock-summary-control").click()
    wait.locator('tr[data-param-name="job_id"] input').fill(job["id"])
    ended = json.loads(_execute(wait, 200))
    assert (ended["id"], ended["state"]) == (job["id"], "SUCCEEDED")
    wait.locator(".live-responses-table").scroll_into_view_if_needed()
    page.screenshot(path=pictures / "succeeded.png")

    page.reload()
    expect(page.locator(".auth-wrapper .authorize.locked").first).to_be_visible()  # the browser still has the key


def test_an_error_leads_to_its_page(visit: Visit, mesh: Mesh, pictures: Path) -> None:
    answer = Api(mesh.url, mesh.key).call("GET", "/api/v1/jobs/http-01890a5d-ac96-774b-bcce-b302099a8057")
    (help_,) = [each for each in answer.error["details"] if each["@type"].endswith("google.rpc.Help")]
    visit.page.goto(help_["links"][0]["url"])
    expect(visit.page.get_by_role("heading", level=1)).to_contain_text(answer.reason)
    visit.page.screenshot(path=pictures / "error.png")
    api = visit.page.get_by_role("navigation", name="Pages").get_by_role("link", name="API", exact=True)
    assert api.get_attribute("href") == "/docs"


@pytest.mark.parametrize("visit", [_PHONE], indirect=True)
def test_a_phone_shows_the_page_in_its_width(visit: Visit, pictures: Path) -> None:
    page = _open(visit)
    page.screenshot(path=pictures / "phone.png")
    submit = _operation(page, "POST", "/api/v1/jobs")
    submit.locator(".opblock-summary-control").tap()
    expect(submit.locator(".btn.execute")).to_be_visible()
    submit.scroll_into_view_if_needed()
    page.screenshot(path=pictures / "phone-call.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("visit", [_DARK], indirect=True)
def test_who_wants_it_dark_has_it_dark(visit: Visit, pictures: Path) -> None:
    page = _open(visit)
    page.locator("#api").scroll_into_view_if_needed()
    page.screenshot(path=pictures / "dark.png")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", ground)[:3])) < 64
    page.emulate_media(color_scheme="light")
    expect(page.locator("html")).not_to_have_class(re.compile("dark-mode"))


def test_the_keyboard_reaches_everything_and_the_search_finds_calls_by_their_words(visit: Visit) -> None:
    page = _open(visit)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.authorize')"):
            break
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert (page.evaluate("document.activeElement.innerText.trim()"), outline) == ("Authorize", "solid")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Available authorizations")).to_be_visible()
    page.locator(".close-modal").click()

    page.get_by_label("Search the API").fill("POST JOBS cancel")
    expect(_operation(page, "POST", "/api/v1/jobs/{job_id}:cancel")).to_be_visible()
    expect(_operation(page, "POST", "/api/v1/jobs")).to_have_count(0)
