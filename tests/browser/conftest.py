"""One mesh and one Chromium for all that a person does on the pages."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect, sync_playwright

from deploy.local.layout import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from tests.e2e.mesh import Mesh

#: What Chromium would else ask of others by itself, and what it needs where there is no display.
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_TIMEOUT_MS = 60_000
#: Swagger UI says this of every name with `_` that a link leads to, and takes the link all the same.
_HARMLESS = "Deprecated: escaping deep link whitespace with `_`"
#: Has the page itself count what its policy forbade: not all of it is told on the console.
_WATCH = """
window.refused = [];
addEventListener("securitypolicyviolation", (event) => {
  window.refused.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sample}`);
});
"""


@dataclass(frozen=True, slots=True)
class Visit:
    """A page in a browser that knows nothing yet, and all that went wrong on it.

    Args:
        page: What Playwright drives.
        origin: The only one that may be asked.
        faults: Errors on the console, exceptions of scripts, and requests to others.
    """

    page: Page
    origin: str
    faults: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Listens from now on."""
        self.page.add_init_script(_WATCH)
        self.page.on("console", lambda said: self._hear(said.type, said.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self._see(request.url))

    def found_faults(self) -> list[str]:
        """All that went wrong so far, with what the page's policy forbade."""
        refused: list[Any] = self.page.evaluate("window.refused")
        return self.faults + [f"refused: {each}" for each in refused]

    def _hear(self, level: str, text: str) -> None:
        if level == "error" and not text.startswith(_HARMLESS):
            self.faults.append(text)

    def _see(self, url: str) -> None:
        if not url.startswith((f"{self.origin}/", "data:")):
            self.faults.append(f"asked another origin: {url}")


@pytest.fixture(scope="session")
def mesh(whole_mesh: Mesh) -> Mesh:
    return whole_mesh


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium")
    assert path is not None, (
        "tests/browser drives chromium, which is not on the PATH (Debian: apt-get install chromium)"
    )
    expect.set_options(timeout=_TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=[*_FLAGS])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where pictures are kept, for people to look at."""
    folder = ROOT / ".penstock" / "browser"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def visit(mesh: Mesh, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """A visit on a desktop, or as a test's parameter has it; nothing may have gone wrong in the end."""
    with _visit(mesh, browser, getattr(request, "param", {})) as visit:
        yield visit
        assert visit.found_faults() == []


@contextmanager
def _visit(mesh: Mesh, browser: Browser, look: dict[str, Any]) -> Iterator[Visit]:
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **look})
    context.set_default_timeout(_TIMEOUT_MS)
    try:
        visit = Visit(context.new_page(), mesh.url)
        visit.watch()
        yield visit
    finally:
        context.close()
