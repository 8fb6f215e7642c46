"""The frame of every page for people: its head, the way to the other pages, one stylesheet in light and dark."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.site.assets import Assets
from gateway.site.documents import HTML, Document

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from starlette.routing import Route

_FOLDER = Path(__file__).parent / "static"
_STYLESHEET = "penstock.css"
_ICON = "penstock.svg"
#: What a page may load and do: its own stylesheet and pictures, and no more. Takes the place of the gateway's policy.
_POLICY = {
    "default-src": "'none'",
    "style-src": "'self'",
    "img-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
#: Where the frame leads to, and under which words.
_LINKS = {"/docs": "API", "/docs/errors": "Errors", "/openapi.json": "OpenAPI"}

_CURRENT = ' aria-current="page"'


class Frame:
    """What all pages have in common."""

    def __init__(self) -> None:
        self._assets = Assets(_FOLDER, [_STYLESHEET, _ICON])

    def routes(self) -> Sequence[Route]:
        """What the frame itself loads."""
        return self._assets.routes()

    def page(
        self,
        *,
        title: str,
        main: str,
        path: str,
        stylesheets: Iterable[str] = (),
        scripts: Iterable[str] = (),
        policy: Mapping[str, str] | None = None,
    ) -> Document:
        """A page.

        Args:
            title: What the browser's tab says, as plain text.
            main: The page's content, as HTML.
            path: Its own path: the link that leads to it says so.
            stylesheets: Paths of what it loads beside the frame's own.
            scripts: Paths of what it runs, in this order, once the page is there.
            policy: Directives of its Content-Security-Policy that differ from those of a page that runs nothing.
        """
        head = [
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(title)} · Penstock</title>",
            f'<link rel="icon" type="image/svg+xml" href="{self._assets.url(_ICON)}">',
            *(f'<link rel="stylesheet" href="{sheet}">' for sheet in (*stylesheets, self._assets.url(_STYLESHEET))),
            *(f'<script src="{script}" defer></script>' for script in scripts),
        ]
        links = [
            f'<a href="{target}"{_CURRENT if target == path else ""}>{words}</a>' for target, words in _LINKS.items()
        ]
        body = [
            '<a class="skip" href="#main">Skip to the content</a>',
            '<header class="bar"><a class="name" href="/docs">Penstock</a>',
            f'<nav aria-label="Pages">{"".join(links)}</nav></header>',
            f'<main id="main">\n{main}\n</main>',
        ]
        html = "\n".join(
            [
                "<!doctype html>",
                '<html lang="en">',
                "<head>",
                *head,
                "</head>",
                "<body>",
                *body,
                "</body>",
                "</html>",
                "",
            ]
        )
        directives = {**_POLICY, **(policy or {})}
        return Document(html.encode(), HTML, policy="; ".join(f"{name} {of}" for name, of in directives.items()))
