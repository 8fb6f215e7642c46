"""The TypeScript SDK in a browser, as a page's own module, without anything of Node's."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from deploy.local.layout import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Route

    from tests.browser.conftest import Visit
    from tests.e2e.mesh import Mesh

_SDK = ROOT / "sdks" / "typescript"
_PAGE = '<!doctype html><link rel="icon" href="data:,"><title>An application</title>'
_BUILD_TIMEOUT_S = 120
#: What an application does: a job to its end, its states, its result, many, what is refused, and a webhook's signature.
_USE = """
async ([url, apiKey, target]) => {
  const { JobNotFound, Penstock, webhooks } = await import("/application/dist/index.js");
  const penstock = new Penstock({ url, apiKey });
  const job = await penstock.jobs.run("http", "http.get", { url: target });
  const states = [];
  for await (const { state } of penstock.jobs.watch(job.id)) states.push(state);
  const result = JSON.parse(new TextDecoder().decode((await penstock.jobs.result(job.id)).bytes));
  const call = { upstream: "http", method: "http.get" };
  const requests = [1, 2, 3].map((n) => ({ ...call, params: { url: `${target}?n=${n}` } }));
  const outcomes = [];
  for await (const outcome of penstock.map(requests)) outcomes.push(outcome.job.state);
  const refused = await penstock.jobs.get(job.id.replace(/.{12}$/, "000000000000")).catch((error) => error);
  const signed = new Penstock({ url, apiKey, signRequests: true });
  const again = await signed.jobs.get(job.id);
  const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  const unsigned = await webhooks.verify("{}", new Headers(), secret).catch((error) => error);
  return {
    states, outcomes, same: again.id === job.id, answered: Object.keys(result).includes("slideshow"),
    refused: refused instanceof JobNotFound, unsigned: unsigned.name,
  };
}
"""


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    subprocess.run(("npm", "run", "--silent", "build"), cwd=_SDK, check=True, timeout=_BUILD_TIMEOUT_S)


def test_an_application_calls_penstock_from_its_page(visit: Visit, mesh: Mesh) -> None:
    visit.page.route(f"{visit.origin}/application/**", _serve)
    visit.page.goto(f"{visit.origin}/application/")
    used: dict[str, Any] = visit.page.evaluate(_USE, [visit.origin, mesh.key, f"{mesh.far_end}/json"])
    assert used["states"][-1] == "SUCCEEDED"
    assert used["outcomes"] == ["SUCCEEDED"] * 3
    assert (used["same"], used["answered"], used["refused"], used["unsigned"]) == (True, True, True, "WrongHeader")
    assert visit.faults == ["Failed to load resource: the server responded with a status of 404 (Not Found)"]
    visit.faults.clear()  # the browser tells of each refusal, which here is what was asked for


def _serve(route: Route) -> None:
    """The application's files, as a server of static files has them."""
    name = route.request.url.partition("/application/")[2]
    if name:
        route.fulfill(path=_SDK / name)
    else:
        route.fulfill(body=_PAGE, content_type="text/html")
